#include "agent/identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/log.h"

int
identity_path(const struct conf *c, const char *name, char out[PATH_MAX], struct err *e)
{
	char relative[NAME_MAX];

	(void)snprintf(relative, sizeof(relative), "tls/%s", name);
	return path_join(out, PATH_MAX, c->state_dir, relative, e);
}

static bool
is_missing(const struct err *e)
{
	return e->class == ERR_SYSTEM && e->errnum == ENOENT;
}

/* A pair of tls/ that this box can use. */
static int
pair_read(const struct conf *c, const char *path, struct x509_info *out, struct err *e)
{
	AUTO_BUF struct buf pem = BUF_INIT(TLS_PEM_MAX), key = BUF_INIT(PEM_BYTES_MAX);
	struct x509_info info;

	if (file_read(path, &pem, e) < 0)
		return -1;
	if (x509_find_key(buf_span(&pem), buf_span(&pem), &key, e) < 0 ||
		x509_info(buf_span(&pem), &info, e) < 0)
		return err_context(e, "%s", path);
	if (strcmp(info.name, c->id) != 0)
		return err_set(e, ERR_UNTRUSTED, "%s is of another box", path);
	*out = info;
	return 0;
}

static void
pair_try(const struct conf *c, const char *name, bool on_trial, struct identity *id)
{
	struct x509_info info;
	char path[PATH_MAX];
	struct err e;

	if (identity_path(c, name, path, &e) < 0 || pair_read(c, path, &info, &e) < 0) {
		if (!is_missing(&e))
			log_warning("passed over: %s", e.text);
		return;
	}
	if (!on_trial && id->known && info.from_s < id->certificate.from_s)
		return;
	memcpy(id->cert, path, sizeof(path));
	memcpy(id->key, path, sizeof(path));
	id->certificate = info;
	id->known = true;
	id->on_trial = on_trial;
}

static void
configured_take(const struct conf *c, struct identity *id)
{
	AUTO_BUF struct buf pem = BUF_INIT(TLS_PEM_MAX);
	struct err e;

	if (!c->tls_cert || !c->tls_key)
		return;
	(void)snprintf(id->cert, sizeof(id->cert), "%s", c->tls_cert);
	(void)snprintf(id->key, sizeof(id->key), "%s", c->tls_key);
	id->known = file_read(c->tls_cert, &pem, &e) == 0 &&
		    x509_info(buf_span(&pem), &id->certificate, &e) == 0;
}

static void
authorities_take(const struct conf *c, struct identity *id)
{
	AUTO_BUF struct buf pem = BUF_INIT(TLS_PEM_MAX);
	AUTO_CAS struct x509_bundle cas = {0};
	char path[PATH_MAX];
	struct err e;

	if (identity_path(c, IDENTITY_AUTHORITIES, path, &e) == 0 &&
		file_read(path, &pem, &e) == 0 && x509_bundle_read(buf_span(&pem), &cas, &e) == 0)
		memcpy(id->authorities, path, sizeof(path));
	else if (!is_missing(&e))
		log_warning("passed over: %s: %s", path, e.text);
}

void
identity_choose(const struct conf *c, struct identity *out)
{
	*out = (struct identity){0};
	configured_take(c, out);
	pair_try(c, IDENTITY_PROVEN, false, out);
	pair_try(c, IDENTITY_TRIAL, true, out);
	authorities_take(c, out);
}

/* It stands behind its key. */
static void
request_quote(const struct conf *c, char out[CSR_PEM_MAX + 1])
{
	static const char head[] = "-----BEGIN CERTIFICATE REQUEST-----";
	AUTO_BUF struct buf pem = BUF_INIT(PEM_BYTES_MAX);
	const char *request = NULL;
	char path[PATH_MAX];
	struct err e;

	if (identity_path(c, IDENTITY_NEXT, path, &e) == 0 && file_read(path, &pem, &e) == 0)
		request = strstr(buf_str(&pem), head);
	if (request && strlen(request) <= CSR_PEM_MAX)
		memcpy(out, request, strlen(request) + 1);
}

static void
authorities_quote(const char *path, char out[DIGEST_HEX_SIZE])
{
	AUTO_BUF struct buf pem = BUF_INIT(TLS_PEM_MAX);
	struct digest d;
	struct err e;

	if (!path[0] || file_read(path, &pem, &e) < 0)
		return;
	d = digest_of(buf_span(&pem));
	(void)digest_hex(&d, out);
}

void
identity_report(const struct conf *c, struct report *r)
{
	struct identity id;

	identity_choose(c, &id);
	if (id.known && strlen(id.certificate.serial) < sizeof(r->certificate_serial))
		memcpy(r->certificate_serial, id.certificate.serial,
			strlen(id.certificate.serial) + 1);
	request_quote(c, r->certificate_request);
	authorities_quote(id.authorities, r->authorities_sha256);
}
