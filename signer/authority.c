#include "signer/authority.h"

#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/x509.h"
#include "common/limits.h"
#include "signer/nginx.h"
#include "signer/reload.h"

#define YEAR_S ((int64_t)365 * 86400)

/* The CA, and the server's certificate with it, last as long as a box in the field: nothing renews
 * them by itself. `sluice doctor` tells in time, `sluice tls renew` does the latter. */
#define AUTHORITY_LIFE_S (20 * YEAR_S)

/* A clock that is a day behind still takes what was made now. */
#define BACKDATE_S ((int64_t)86400)

#define SESSIONS_CONF "nginx/sessions.conf"
#define SESSIONS_REMAIN                                                                            \
	"tls/crl.pem is new, but TLS sessions of before it go on until they end by themselves"

enum { LOCK_WAIT_MS = 5000, SESSIONS_SIZE = 256 };

struct pair {
	struct buf cert, key;
};

static void
pair_free(struct pair *p)
{
	/* Both are PEM texts; the key's bytes are in the file that they came from or go to. */
	buf_free(&p->cert);
	buf_free(&p->key);
}

#define AUTO_PAIR CLEANUP(pair_free)
#define PAIR_INIT ((struct pair){.cert = BUF_INIT(PEM_BYTES_MAX), .key = BUF_INIT(PEM_BYTES_MAX)})

static int
tls_read(const struct workspace *w, const char *name, struct buf *out, struct err *e)
{
	char path[PATH_MAX];

	return workspace_path(w, name, path, e) < 0 ? -1 : file_read(path, out, e);
}

/* cert is the whole of ca.crt, of which others read the first; key is that one's. */
static int
authority_load(const struct workspace *w, struct pair *ca, struct err *e)
{
	AUTO_BUF struct buf keys = BUF_INIT(PEM_BYTES_MAX);

	if (tls_read(w, "tls/ca.crt", &ca->cert, e) < 0 ||
		tls_read(w, "tls/ca.key", &keys, e) < 0 ||
		x509_find_key(buf_span(&keys), buf_span(&ca->cert), &ca->key, e) < 0)
		return err_context(e, "the fleet's certificate authority");
	return 0;
}

int
authority_lock(const struct workspace *w, int *lock, struct err *e)
{
	return workspace_lock(w, "tls.lock", "another sluice, which issues or changes the CA,",
		LOCK_WAIT_MS, lock, e);
}

void
authority_close(struct authority *a)
{
	buf_free(&a->cas);
	buf_free(&a->key);
}

int
authority_open(const struct workspace *w, struct authority *out, struct err *e)
{
	AUTO_AUTHORITY struct authority a = {
		.cas = BUF_INIT(TLS_PEM_MAX), .key = BUF_INIT(PEM_BYTES_MAX)};
	AUTO_BUF struct buf keys = BUF_INIT(PEM_BYTES_MAX);
	AUTO_CAS struct x509_bundle cas = {0};
	struct digest issuer, all;

	if (authority_cas(w, &cas, e) < 0 || authority_text(&cas, &a.cas, e) < 0 ||
		tls_read(w, "tls/ca.key", &keys, e) < 0 ||
		x509_find_key(buf_span(&keys), buf_span(&a.cas), &a.key, e) < 0 ||
		x509_fingerprint(buf_span(&a.cas), &issuer, e) < 0)
		return err_context(e, "the fleet's certificate authority");
	(void)digest_hex(&issuer, a.issuer);
	all = digest_of(buf_span(&a.cas));
	(void)digest_hex(&all, a.all);
	*out = a;
	a.cas = BUF_INIT(0);
	a.key = BUF_INIT(0);
	return 0;
}

/* A key goes first, so that no certificate lies about without it. */
static int
pair_save(const struct workspace *w, const char *cert, const char *key, const struct pair *p,
	struct err *e)
{
	char cert_path[PATH_MAX], key_path[PATH_MAX];

	if (workspace_path(w, cert, cert_path, e) < 0 || workspace_path(w, key, key_path, e) < 0 ||
		file_replace(key_path, 0600, buf_span(&p->key), e) < 0)
		return -1;
	return file_replace(cert_path, 0644, buf_span(&p->cert), e);
}

static bool
is_there(const struct workspace *w, const char *name)
{
	char path[PATH_MAX];

	return workspace_path(w, name, path, NULL) == 0 && file_exists(path);
}

int
authority_new(
	const char *name, int64_t now_s, struct buf *key_pem, struct buf *cert_pem, struct err *e)
{
	if (x509_key_new(key_pem, e) < 0)
		return -1;
	return x509_ca_new(
		buf_span(key_pem), name, now_s - BACKDATE_S, now_s + AUTHORITY_LIFE_S, cert_pem, e);
}

static int
ca_make(const struct workspace *w, int64_t now_s, struct err *e)
{
	AUTO_PAIR struct pair ca = PAIR_INIT;

	if (is_there(w, "tls/ca.crt"))
		return 0;
	if (authority_new("Sluice fleet CA", now_s, &ca.key, &ca.cert, e) < 0)
		return -1;
	return pair_save(w, "tls/ca.crt", "tls/ca.key", &ca, e);
}

/* The names that a server is reached by: the first is its CN. */
struct server_names {
	struct site_url site, report;
	const char *list[6];
};

static int
server_names_read(const struct workspace *w, struct server_names *out, struct err *e)
{
	if (site_url_parse(w->site_url, &out->site, e) < 0 ||
		site_url_parse(w->report_url, &out->report, e) < 0)
		return -1;
	out->list[0] = out->site.host;
	out->list[1] = "localhost";
	out->list[2] = "127.0.0.1";
	out->list[3] = "::1";
	out->list[4] = strcmp(out->site.host, out->report.host) == 0 ? NULL : out->report.host;
	out->list[5] = NULL;
	return 0;
}

/* Never beyond the CA's own end, where all of it ends. */
static int
server_issue(const struct workspace *w, const struct pair *ca, int64_t now_s, struct pair *server,
	int64_t *until_s, struct err *e)
{
	struct server_names names;
	struct x509_dates of_ca;
	struct x509_request request = {.use = X509_SERVER, .from_s = now_s - BACKDATE_S};

	if (server_names_read(w, &names, e) < 0 ||
		x509_cert_dates(buf_span(&ca->cert), &of_ca, e) < 0)
		return -1;
	request.name = names.list[0];
	request.alt_names = names.list;
	request.until_s = now_s + AUTHORITY_LIFE_S - BACKDATE_S;
	if (request.until_s > of_ca.until_s)
		request.until_s = of_ca.until_s;
	*until_s = request.until_s;
	return x509_issue(buf_span(&ca->cert), buf_span(&ca->key), buf_span(&server->key), &request,
		&server->cert, e);
}

static int
server_make(const struct workspace *w, int64_t now_s, struct err *e)
{
	AUTO_PAIR struct pair ca = PAIR_INIT, server = PAIR_INIT;
	int64_t until_s;

	if (is_there(w, "tls/server.crt"))
		return 0;
	if (authority_load(w, &ca, e) < 0 || x509_key_new(&server.key, e) < 0 ||
		server_issue(w, &ca, now_s, &server, &until_s, e) < 0)
		return -1;
	return pair_save(w, "tls/server.crt", "tls/server.key", &server, e);
}

int
authority_make(const struct workspace *w, int64_t now_s, struct err *e)
{
	if (ca_make(w, now_s, e) < 0)
		return -1;
	return server_make(w, now_s, e);
}

int
authority_made_server(const struct workspace *w, bool *out, struct err *e)
{
	AUTO_BUF struct buf cas = BUF_INIT(TLS_PEM_MAX), server = BUF_INIT(TLS_PEM_MAX);
	struct err why = ERR_INIT;
	size_t which;
	bool ours = true;

	if (is_there(w, "tls/ca.crt") && is_there(w, "tls/server.crt")) {
		if (tls_read(w, "tls/ca.crt", &cas, e) < 0 ||
			tls_read(w, "tls/server.crt", &server, e) < 0)
			return -1;
		ours = x509_find_issuer(buf_span(&cas), buf_span(&server), &which, &why) == 0;
		if (!ours && why.class != ERR_UNTRUSTED)
			return err_set(e, why.class, "tls/server.crt: %s", why.text);
	}
	*out = ours;
	return 0;
}

/* The key stays, so that one file is replaced and the two always fit. */
int
authority_renew_server(const struct workspace *w, int64_t now_s, int64_t *until_s, struct err *e)
{
	AUTO_PAIR struct pair ca = PAIR_INIT, server = PAIR_INIT;
	AUTO_BUF struct buf before = BUF_INIT(PEM_BYTES_MAX);
	char path[PATH_MAX];
	struct err why = ERR_INIT;
	size_t which;

	if (authority_load(w, &ca, e) < 0 || tls_read(w, "tls/server.crt", &before, e) < 0 ||
		tls_read(w, "tls/server.key", &server.key, e) < 0)
		return -1;
	if (x509_find_issuer(buf_span(&ca.cert), buf_span(&before), &which, &why) < 0)
		return err_set(e, ERR_REFUSED,
			"tls/server.crt was not made by this fleet's CA, so whoever made it renews "
			"it; for one of this CA move it away first (%s)",
			why.text);
	if (server_issue(w, &ca, now_s, &server, until_s, e) < 0 ||
		workspace_path(w, "tls/server.crt", path, e) < 0 ||
		file_replace(path, 0644, buf_span(&server.cert), e) < 0)
		return -1;
	return reload_run(
		w, "the web server shows the old certificate until it reads the new one", e);
}

int
authority_issue(const struct workspace *w, const struct authority *a, const char *box,
	struct span key_pem, int64_t now_s, struct buf *cert_pem, struct err *e)
{
	/* A short life is not mostly in the past: what is left of it says when it is to be renewed.
	 */
	const struct x509_request request = {.use = X509_CLIENT,
		.name = box,
		.from_s = now_s - (int64_t)num_min((uint64_t)BACKDATE_S, w->box_cert_life_s / 4),
		.until_s = now_s + (int64_t)w->box_cert_life_s};

	return x509_issue(buf_span(&a->cas), buf_span(&a->key), key_pem, &request, cert_pem, e);
}

/* A CRL of each CA: a web server that has a CRL of one wants one of all. They have the same in
 * them, for no number is given twice. */
static int
crl_write(const struct x509_bundle *cas, struct span keys, const struct fleet_revoked *revoked,
	uint64_t number, const struct x509_dates *dates, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < cas->count; i++) {
		AUTO_BUF struct buf key = BUF_INIT(PEM_BYTES_MAX);
		struct span ca = buf_span(&cas->certs[i]);

		if (x509_find_key(keys, ca, &key, e) < 0 ||
			x509_crl(ca, buf_span(&key), revoked->list, revoked->count, number,
				dates->from_s, dates->until_s, out, e) < 0)
			return err_context(e, "the fleet's certificate authority");
	}
	return 0;
}

int
authority_cas(const struct workspace *w, struct x509_bundle *out, struct err *e)
{
	AUTO_BUF struct buf pem = BUF_INIT(PEM_BYTES_MAX);

	if (tls_read(w, "tls/ca.crt", &pem, e) < 0)
		return -1;
	return x509_bundle_read(buf_span(&pem), out, e) < 0 ? err_context(e, "tls/ca.crt") : 0;
}

int
authority_text(const struct x509_bundle *cas, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < cas->count; i++) {
		if (buf_append(out, cas->certs[i].data, cas->certs[i].len, e) < 0)
			return -1;
	}
	return 0;
}

/* A session is not judged again: those of before the new CRL go with it. */
static int
sessions_renew(const struct workspace *w, uint64_t crl_number, struct err *e)
{
	AUTO_BUF struct buf conf = BUF_INIT(SESSIONS_SIZE);
	char path[PATH_MAX];

	if (workspace_path(w, SESSIONS_CONF, path, e) < 0 ||
		nginx_sessions_conf(crl_number, &conf, e) < 0)
		return -1;
	return file_replace(path, 0644, buf_span(&conf), e);
}

int
authority_lock_crl(const struct workspace *w, int64_t wait_ms, int *lock, struct err *e)
{
	return workspace_lock(w, "crl.lock", "another sluice, which writes the CRL or reloads,",
		wait_ms, lock, e);
}

/* sessions: why those of before it do not end, where all else is done. */
static int
crl_replace(const struct workspace *w, struct fleet *f, int64_t now_s, struct err *sessions,
	struct err *e)
{
	const struct x509_dates dates = {now_s - BACKDATE_S, now_s + (int64_t)w->crl_life_s};
	AUTO_BUF struct buf crl = BUF_INIT(CRL_BYTES_MAX), keys = BUF_INIT(PEM_BYTES_MAX);
	AUTO_FLEET_REVOKED struct fleet_revoked revoked = {0};
	AUTO_CAS struct x509_bundle cas = {0};
	char path[PATH_MAX];
	uint64_t number, unlisted;

	if (authority_cas(w, &cas, e) < 0 || tls_read(w, "tls/ca.key", &keys, e) < 0 ||
		workspace_path(w, "tls/crl.pem", path, e) < 0 ||
		fleet_unlisted(f, &unlisted, e) < 0 || fleet_revoked(f, now_s, &revoked, e) < 0 ||
		fleet_crl_number(f, &number, e) < 0 ||
		crl_write(&cas, buf_span(&keys), &revoked, number, &dates, &crl, e) < 0)
		return -1;
	(void)sessions_renew(w, number, sessions);
	/* Whatever became of those: a CRL that runs out locks every box out. */
	if (reload_owe(w, f, number, e) < 0 || file_replace(path, 0644, buf_span(&crl), e) < 0)
		return -1;
	return fleet_list(f, unlisted, e);
}

static int
sessions_judge(const struct err *why, struct err *e)
{
	if (why->class == ERR_NONE)
		return 0;
	return err_set(e, why->class, "%s: %s", SESSIONS_REMAIN, why->text);
}

int
authority_write_crl(const struct workspace *w, struct fleet *f, int64_t now_s, struct err *e)
{
	struct err sessions = ERR_INIT;

	if (crl_replace(w, f, now_s, &sessions, e) < 0)
		return -1;
	return sessions_judge(&sessions, e);
}

int
authority_renew_crl(const struct workspace *w, struct fleet *f, int64_t now_s, struct err *e)
{
	AUTO_CLOSE int lock = -1;
	struct err sessions = ERR_INIT;

	if (authority_lock_crl(w, CRL_WAIT_MS, &lock, e) < 0)
		return err_context(e, "tls/crl.pem is not written; run this again");
	if (crl_replace(w, f, now_s, &sessions, e) < 0 || reload_crl(w, f, e) < 0)
		return -1;
	return sessions_judge(&sessions, e);
}

static bool
has_ca_key(const struct workspace *w)
{
	char key[PATH_MAX];

	return workspace_path(w, "tls/ca.key", key, NULL) == 0 && access(key, R_OK) == 0;
}

bool
authority_crl_is_short(const struct workspace *w, struct fleet *f)
{
	uint64_t unlisted;

	return has_ca_key(w) && fleet_unlisted(f, &unlisted, NULL) == 0 && unlisted > 0;
}

bool
authority_sessions_are_due(const struct workspace *w, struct fleet *f)
{
	AUTO_BUF struct buf wanted = BUF_INIT(SESSIONS_SIZE), is = BUF_INIT(SESSIONS_SIZE);
	uint64_t number;

	if (!has_ca_key(w) || fleet_crl_last(f, &number, NULL) < 0 || number == 0 ||
		nginx_sessions_conf(number, &wanted, NULL) < 0)
		return false;
	return tls_read(w, SESSIONS_CONF, &is, NULL) < 0 ||
	       !span_equal(buf_span(&is), buf_span(&wanted));
}

int
authority_end_sessions(const struct workspace *w, struct fleet *f, int64_t now_s, struct err *e)
{
	uint64_t number;

	if (fleet_crl_last(f, &number, e) < 0)
		return -1;
	/* Where it still cannot be written, no CRL is made in vain. */
	if (sessions_renew(w, number, e) < 0)
		return err_context(e, SESSIONS_REMAIN);
	return authority_write_crl(w, f, now_s, e);
}

bool
authority_crl_is_due(const struct workspace *w, int64_t now_s)
{
	AUTO_BUF struct buf crl = BUF_INIT(CRL_BYTES_MAX);
	AUTO_CAS struct x509_bundle cas = {0};
	struct x509_dates dates;

	if (!has_ca_key(w))
		return false;
	/* One that is damaged, or lacks a CA, is made anew; who cannot make it says why. What the
	 * file's own times are says nothing: it may have been copied, or touched. */
	if (authority_cas(w, &cas, NULL) < 0 || tls_read(w, "tls/crl.pem", &crl, NULL) < 0 ||
		x509_crls_check(&cas, buf_span(&crl), &dates, NULL) < 0)
		return true;
	return now_s >= dates.until_s - (int64_t)(w->crl_life_s / 2) || now_s < dates.from_s;
}
