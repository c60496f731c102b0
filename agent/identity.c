#include "agent/identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

/* The pairs that got through, and that of agent.conf. */
enum { PAIRS = 4 };

struct pair {
	char cert[PATH_MAX], key[PATH_MAX];
	bool known, is_refused, has_ended;
	struct x509_info info;
	struct digest digest;
};

struct pairs {
	size_t count;
	struct pair all[PAIRS]; /* first the one that counts, unless it is refused */
};

/* A pair of tls/ that this box can use. */
static int
pair_read(const struct conf *c, const char *name, struct pair *out, struct err *e)
{
	AUTO_BUF struct buf pem = BUF_INIT(TLS_PEM_MAX), key = BUF_INIT(PEM_BYTES_MAX);
	char path[PATH_MAX];

	if (identity_path(c, name, path, e) < 0 || file_read(path, &pem, e) < 0)
		return -1;
	if (x509_find_key(buf_span(&pem), buf_span(&pem), &key, e) < 0 ||
		x509_info(buf_span(&pem), &out->info, e) < 0)
		return err_context(e, "%s", path);
	if (strcmp(out->info.name, c->id) != 0)
		return err_set(e, ERR_UNTRUSTED, "%s is of another box", path);
	memcpy(out->cert, path, sizeof(path));
	memcpy(out->key, path, sizeof(path));
	out->digest = digest_of(buf_span(&pem));
	out->known = true;
	return 0;
}

static bool
pair_try(const struct conf *c, const char *name, struct pair *out)
{
	struct err e;

	*out = (struct pair){0};
	if (pair_read(c, name, out, &e) == 0)
		return true;
	if (!is_missing(&e))
		log_warning("passed over: %s", e.text);
	return false;
}

static bool
configured_try(const struct conf *c, struct pair *out)
{
	AUTO_BUF struct buf pem = BUF_INIT(TLS_PEM_MAX);
	struct err e;

	*out = (struct pair){0};
	if (!c->tls_cert || !c->tls_key)
		return false;
	(void)snprintf(out->cert, sizeof(out->cert), "%s", c->tls_cert);
	(void)snprintf(out->key, sizeof(out->key), "%s", c->tls_key);
	out->known = file_read(c->tls_cert, &pem, &e) == 0 &&
		     x509_info(buf_span(&pem), &out->info, &e) == 0;
	out->digest = digest_of(buf_span(&pem));
	return true;
}

static void
refusals_read(const struct conf *c, struct pairs *pairs)
{
	AUTO_BUF struct buf text = BUF_INIT((size_t)PAIRS * DIGEST_HEX_SIZE);
	char path[PATH_MAX], hex[DIGEST_HEX_SIZE];

	if (identity_path(c, IDENTITY_REFUSED, path, NULL) < 0 || file_read(path, &text, NULL) < 0)
		return;
	for (size_t i = 0; i < pairs->count; i++)
		pairs->all[i].is_refused =
			strstr(buf_str(&text), digest_hex(&pairs->all[i].digest, hex)) != NULL;
}

/* One that cannot be read is none to turn to. */
static void
pairs_read(const struct conf *c, struct pairs *out)
{
	static const char *const names[] = {IDENTITY_PROVEN, IDENTITY_OLDER, IDENTITY_OLDEST};
	struct pair configured;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		n += pair_try(c, names[i], &out->all[n]);
	if (configured_try(c, &configured) && (configured.known || n == 0)) {
		size_t at = n > 0 && configured.info.from_s > out->all[0].info.from_s ? 0 : n;

		memmove(out->all + at + 1, out->all + at, (n - at) * sizeof(out->all[0]));
		out->all[at] = configured;
		n++;
	}
	out->count = n;
	refusals_read(c, out);
}

/* The first that is not refused; where all are, it was not for the pair. */
static size_t
pairs_first(const struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		if (!pairs->all[i].is_refused)
			return i;
	}
	return 0;
}

static void
identity_take(const struct pair *p, struct identity *id)
{
	memcpy(id->cert, p->cert, sizeof(id->cert));
	memcpy(id->key, p->key, sizeof(id->key));
	id->certificate = p->info;
	id->known = p->known;
}

int
identity_read(const struct conf *c, const char *name, struct x509_info *out, struct err *e)
{
	AUTO_FREE struct pair *p = calloc(1, sizeof(*p));

	if (!p)
		return err_sys(e, ENOMEM, "reading %s", name);
	if (pair_read(c, name, p, e) < 0)
		return -1;
	*out = p->info;
	return 0;
}

static int
refusals_write(const struct conf *c, const struct pairs *pairs, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT((size_t)PAIRS * DIGEST_HEX_SIZE);
	char path[PATH_MAX], hex[DIGEST_HEX_SIZE];

	for (size_t i = 0; i < pairs->count; i++) {
		if (pairs->all[i].is_refused &&
			buf_printf(&text, e, "%s\n", digest_hex(&pairs->all[i].digest, hex)) < 0)
			return -1;
	}
	if (path_join(path, sizeof(path), c->state_dir, "tls", e) < 0 ||
		dir_make(path, 0700, e) < 0 || identity_path(c, IDENTITY_REFUSED, path, e) < 0)
		return -1;
	return file_replace(path, 0600, buf_span(&text), e);
}

/* What has ended has no turn, unless all have: then it is the clock. */
static void
pairs_drop_ended(struct pairs *pairs, int64_t now_s)
{
	size_t good = 0;

	for (size_t i = 0; i < pairs->count; i++)
		good += now_s < pairs->all[i].info.until_s;
	for (size_t i = 0; good > 0 && i < pairs->count; i++)
		pairs->all[i].has_ended = now_s >= pairs->all[i].info.until_s;
}

static size_t
pairs_mark(struct pairs *pairs, size_t refused, bool anew)
{
	size_t left = 0;

	for (size_t i = 0; i < pairs->count; i++) {
		struct pair *p = &pairs->all[i];

		p->is_refused = p->has_ended || i == refused || (p->is_refused && !anew);
		left += !p->is_refused;
	}
	return left;
}

/* Where none is left, all others have their turn again. False where there is no other. */
static bool
pairs_turn(struct pairs *pairs, int64_t now_s)
{
	size_t was = pairs_first(pairs);

	pairs_drop_ended(pairs, now_s);
	return pairs_mark(pairs, was, false) > 0 || pairs_mark(pairs, was, true) > 0;
}

int
identity_refuse(const struct conf *c, int64_t now_s, bool *turned, struct err *e)
{
	AUTO_FREE struct pairs *pairs = calloc(1, sizeof(*pairs));
	bool turns;

	if (!pairs)
		return err_sys(e, ENOMEM, "choosing a certificate");
	pairs_read(c, pairs);
	turns = pairs_turn(pairs, now_s);
	if (turns && refusals_write(c, pairs, e) < 0)
		return -1;
	*turned = turns;
	return 0;
}

int
identity_forgive(const struct conf *c, int64_t now_s, bool *turned, struct err *e)
{
	AUTO_FREE struct pairs *pairs = calloc(1, sizeof(*pairs));
	size_t was;
	bool turns;

	if (!pairs)
		return err_sys(e, ENOMEM, "choosing a certificate");
	pairs_read(c, pairs);
	was = pairs_first(pairs);
	pairs_drop_ended(pairs, now_s);
	(void)pairs_mark(pairs, PAIRS, true);
	turns = pairs_first(pairs) < was;
	if (turns && refusals_write(c, pairs, e) < 0)
		return -1;
	*turned = turns;
	return 0;
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
	AUTO_FREE struct pairs *pairs = calloc(1, sizeof(*pairs));
	struct pair trial;

	*out = (struct identity){0};
	if (pairs)
		pairs_read(c, pairs);
	if (pairs && pairs->count > 0) {
		identity_take(&pairs->all[pairs_first(pairs)], out);
		out->is_astray = pairs_first(pairs) > 0;
	}
	out->on_trial = pair_try(c, IDENTITY_TRIAL, &trial);
	if (out->on_trial)
		identity_take(&trial, out);
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

/* Those that were delivered; before that, those that the box was made with. */
static void
authorities_quote(const char *path, char out[DIGEST_HEX_SIZE])
{
	AUTO_BUF struct buf pem = BUF_INIT(TLS_PEM_MAX);
	struct digest d;
	struct err e;

	if (!path || file_read(path, &pem, &e) < 0)
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
	authorities_quote(id.authorities[0] ? id.authorities : c->tls_ca, r->authorities_sha256);
}
