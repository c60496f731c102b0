/* A box that asks for certificates, and what a CA gives it. */
#ifndef SLUICE_TESTS_UNIT_PETITION_SCENE_H
#define SLUICE_TESTS_UNIT_PETITION_SCENE_H

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/identity.h"
#include "agent/petition.h"
#include "common/crypto/x509.h"
#include "tests/unit/poll_scene.h"

enum { PEM_MAX = 16384, LIFE_DAYS = 90 };
enum { KEY_CERTIFICATES = 5, KEY_AUTHORITIES = 6 };

static struct buf ca_key, ca_cert, next_ca_key, next_ca_cert;
static char id[] = "gw-000001", ca_path[] = "ca.crt", cert_path[] = "box.crt",
	    key_path[] = "box.key", report_path[] = "report.key", url[] = "https://a/";
static unsigned restarts;

void
net_restart(struct net *n)
{
	(void)n;
	restarts++;
}

/* Power goes before the step of this number; 0: never. */
static unsigned steps_left;

static inline void
step(void)
{
	if (steps_left > 0 && --steps_left == 0)
		_exit(0);
}

int
rename(const char *from, const char *to)
{
	step();
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
unlink(const char *path)
{
	step();
	return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static inline int
cas_make(void **state)
{
	(void)state;
	ca_key = ca_cert = next_ca_key = next_ca_cert = BUF_INIT(PEM_MAX);
	if (x509_key_new(&ca_key, NULL) < 0 || x509_key_new(&next_ca_key, NULL) < 0 ||
		x509_ca_new(buf_span(&ca_key), "CA", REPO_NOW_S - DAY_S,
			REPO_NOW_S + 9999LL * DAY_S, &ca_cert, NULL) < 0)
		return -1;
	return x509_ca_new(buf_span(&next_ca_key), "next CA", REPO_NOW_S - DAY_S,
		REPO_NOW_S + 9999LL * DAY_S, &next_ca_cert, NULL);
}

static inline int
cas_free(void **state)
{
	(void)state;
	buf_free(&ca_key);
	buf_free(&ca_cert);
	buf_free(&next_ca_key);
	buf_free(&next_ca_cert);
	return 0;
}

/* A certificate of so many days' age, and 90 days' life. */
static inline void
issue(struct span key, const char *name, int64_t age_days, bool by_next, struct buf *out)
{
	struct x509_request r = {.use = X509_CLIENT,
		.name = name,
		.from_s = REPO_NOW_S - age_days * DAY_S,
		.until_s = REPO_NOW_S + (LIFE_DAYS - age_days) * DAY_S};
	struct err e = ERR_INIT;

	if (x509_issue(buf_span(by_next ? &next_ca_cert : &ca_cert),
		    buf_span(by_next ? &next_ca_key : &ca_key), key, &r, out, &e) < 0)
		fail_msg("%s", e.text);
}

/* What the box was made with. */
static inline void
manufacture(int64_t age_days)
{
	AUTO_BUF struct buf key = BUF_INIT(PEM_MAX), cert = BUF_INIT(PEM_MAX);

	assert_int_equal(x509_key_new(&key, NULL), 0);
	issue(buf_span(&key), id, age_days, false, &cert);
	assert_int_equal(folder_put("ca.crt", ca_cert.data, ca_cert.len), 0);
	assert_int_equal(folder_put("box.key", key.data, key.len), 0);
	assert_int_equal(folder_put("box.crt", cert.data, cert.len), 0);
}

static inline int
petition_set(void **state)
{
	struct scene *x;

	if (scene_set(state) < 0)
		return -1;
	x = *state;
	memcpy(x->conf.id, id, sizeof(id));
	x->conf.tls_ca = ca_path;
	x->conf.tls_cert = cert_path;
	x->conf.tls_key = key_path;
	x->conf.report_key = report_path;
	x->conf.report_url = url;
	repo_delegate(x->repo, "targets", "certificates", KEY_CERTIFICATES, "certificates/*", true);
	repo_delegate(x->repo, "targets", "authorities", KEY_AUTHORITIES, "authorities/*", true);
	repo_release(x->repo, "targets");
	restarts = 0;
	return 0;
}

static inline bool
there_is(const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "tls/%s", name);
	return file_exists(path);
}

#define IN_PETITION(t) cmocka_unit_test_setup_teardown(t, petition_set, scene_clear)

#endif
