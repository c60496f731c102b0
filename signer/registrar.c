#include "signer/registrar.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/x509.h"
#include "common/limits.h"
#include "signer/authority.h"
#include "signer/metadata.h"
#include "signer/renewal.h"
#include "signer/scope.h"

#define DAY_S ((uint64_t)86400)

/* How long a box waits for another answer, and an answer for its box. */
static int64_t
again_s(const struct workspace *w)
{
	return (int64_t)num_min(DAY_S, w->box_cert_life_s / 12);
}

static int64_t
kept_s(const struct workspace *w)
{
	return (int64_t)num_min(14 * DAY_S, w->box_cert_life_s / 3);
}

int64_t
registrar_patience_s(const struct workspace *w)
{
	return (int64_t)num_min(2 * DAY_S, w->box_cert_life_s / 3);
}

int
registrar_is_urgent(
	const struct workspace *w, struct fleet *f, int64_t now_s, bool *out, struct err *e)
{
	int64_t until_s = 0;
	bool found;

	if (renewal_earliest(f, now_s - again_s(w), now_s, &found, &until_s, e) < 0)
		return -1;
	*out = found && until_s - now_s < (int64_t)num_min(7 * DAY_S, w->box_cert_life_s / 4);
	return 0;
}

/* Of a request, only the key is taken; but a box that asks in another's name is up to no good. */
static int
request_check(const struct renewal_request *r, struct buf *public_key, struct err *e)
{
	struct span csr = span_str(r->request);
	char name[65];

	if (x509_csr_key(csr, public_key, e) < 0 || x509_csr_name(csr, name, e) < 0)
		return -1;
	if (strcmp(name, r->name) != 0)
		return err_set(e, ERR_UNTRUSTED, "it asks in another name than its own");
	return 0;
}

static int
give(const struct registrar *r, const struct authority *a, const struct renewal_request *request,
	struct span public_key, int64_t now_s, struct registered *out, struct err *e)
{
	AUTO_BUF struct buf cert = BUF_INIT(PEM_BYTES_MAX);
	struct x509_info info;
	bool still;

	if (authority_issue(r->w, a, request->name, public_key, now_s, &cert, e) < 0 ||
		x509_info(buf_span(&cert), &info, e) < 0 ||
		renewal_answer(
			r->fleet, request, a->issuer, &info, buf_span(&cert), now_s, &still, e) < 0)
		return -1;
	out->given += still;
	return 0;
}

static int
answer(const struct registrar *r, const struct authority *a, const struct renewal_request *request,
	int64_t now_s, struct registered *out, struct err *e)
{
	AUTO_BUF struct buf public_key = BUF_INIT(PEM_BYTES_MAX);
	struct err why = ERR_INIT;

	if (request_check(request, &public_key, &why) == 0)
		return give(r, a, request, buf_span(&public_key), now_s, out, e);
	if (why.class == ERR_SYSTEM)
		return err_set(e, ERR_SYSTEM, "%s: %s", request->name, why.text);
	if (out->refused++ == 0)
		(void)err_set(&out->why, why.class, "%s asks for a certificate and gets none: %s",
			request->name, why.text);
	return renewal_refuse(r->fleet, request, now_s, e);
}

/* Where there is no room for all who wait, what has lain there longest makes some. */
static int
room_make(const struct registrar *r, uint64_t wanted, int64_t now_s, struct registered *out,
	uint64_t *room, struct err *e)
{
	struct renewal_counts counts;
	uint64_t untaken;

	if (renewal_count(r->fleet, &counts, e) < 0)
		return -1;
	if (counts.answered + wanted > ANSWERS_MAX) {
		if (renewal_yield(r->fleet, now_s - again_s(r->w),
			    counts.answered + wanted - ANSWERS_MAX, &untaken, e) < 0 ||
			renewal_count(r->fleet, &counts, e) < 0)
			return -1;
		out->untaken += untaken;
	}
	*room = ANSWERS_MAX - num_min(counts.answered, ANSWERS_MAX);
	return 0;
}

static int
answer_all(const struct registrar *r, int64_t now_s, struct registered *out, struct err *e)
{
	AUTO_RENEWAL_LIST struct renewal_list l = {0};
	AUTO_AUTHORITY struct authority a = {0};
	AUTO_CLOSE int lock = -1;
	uint64_t room = 0;

	if (renewal_expire(r->fleet, now_s - kept_s(r->w), now_s, &out->untaken, e) < 0 ||
		renewal_waiting(r->fleet, now_s - again_s(r->w), now_s, ANSWERS_MAX, &l, e) < 0 ||
		room_make(r, l.count, now_s, out, &room, e) < 0)
		return -1;
	if (l.count > 0 && (authority_lock(r->w, &lock, e) < 0 || authority_open(r->w, &a, e) < 0))
		return -1;
	for (size_t i = 0; i < l.count && i < room; i++) {
		if (answer(r, &a, &l.list[i], now_s, out, e) < 0)
			return -1;
	}
	return 0;
}

/* A role on its way to say what it should. */
struct posting {
	const struct registrar *by;
	struct metadata role;
	json_t *wanted; /* its paths */
	bool changed;
};

static void
posting_free(struct posting *p)
{
	metadata_free(&p->role);
	json_decref(p->wanted);
}
#define AUTO_POSTING CLEANUP(posting_free)

static int
posting_begin(struct posting *p, const char *path, struct err *e)
{
	p->wanted = json_object();
	if (scope_role(p->by->w, path, NULL, &p->role, e) < 0)
		return -1;
	return metadata_check_signer(&p->role, p->by->signer, e);
}

static int
posting_put(struct posting *p, const char *path, struct span content, struct err *e)
{
	const json_t *entry = metadata_find(&p->role, path);
	struct digest listed, wanted = digest_of(content);
	struct metadata_target target;
	uint64_t length;

	if (json_object_set_new(p->wanted, path, json_true()) < 0)
		return err_set(e, ERR_SYSTEM, "%s: no memory", path);
	if (entry && scope_entry(entry, &length, &listed, NULL) == 0 &&
		digest_equal(&listed, &wanted))
		return 0;
	p->changed = true;
	if (metadata_stage(p->by->w, path, content, &target, e) < 0)
		return -1;
	return metadata_put(&p->role, &target, e);
}

/* What is listed and not wanted any more. */
static int
posting_clear(struct posting *p, const char *prefix, struct err *e)
{
	const char *path;
	json_t *entry;
	void *next;

	json_object_foreach_safe(json_object_get(p->role.body, "targets"), next, path, entry)
	{
		if (strncmp(path, prefix, strlen(prefix)) != 0 || json_object_get(p->wanted, path))
			continue;
		p->changed = true;
		if (metadata_remove(&p->role, path, e) < 0)
			return -1;
	}
	return 0;
}

static bool
is_due(const struct posting *p, int64_t now_s)
{
	const char *text = json_text(p->role.body, "expires");
	int64_t expires_s;

	return !p->role.waiting && p->role.published > 0 && text &&
	       clock_parse(text, &expires_s, NULL) == 0 &&
	       expires_s - now_s < (int64_t)(p->by->w->releases_life_s / 2);
}

static int
posting_end(struct posting *p, int64_t now_s, struct registered *out, struct err *e)
{
	size_t len = strlen(out->roles);

	if (!p->changed && !is_due(p, now_s))
		return 0;
	if (metadata_sign(p->by->w, &p->role, p->by->signer, e) < 0)
		return -1;
	(void)snprintf(
		out->roles + len, sizeof(out->roles) - len, "%s%s", len ? ", " : "", p->role.role);
	return 0;
}

static int
answer_put(void *arg, const char *box, struct span pem, struct err *e)
{
	char path[TUF_PATH_MAX + 1];

	(void)snprintf(path, sizeof(path), "certificates/%s.crt", box);
	return posting_put(arg, path, pem, e);
}

static int
answers_post(const struct registrar *r, int64_t now_s, struct registered *out, struct err *e)
{
	AUTO_POSTING struct posting p = {.by = r};

	if (posting_begin(&p, "certificates/box.crt", e) < 0 ||
		renewal_each_answer(r->fleet, answer_put, &p, e) < 0 ||
		posting_clear(&p, "certificates/", e) < 0)
		return -1;
	return posting_end(&p, now_s, out, e);
}

/* A fleet with one CA has nothing to tell that boxes do not know, unless the CA of the server is
 * all that they know. */
static int
nobody_posts(const struct registrar *r, struct registered *out, struct err *e)
{
	bool ours;

	if (authority_made_server(r->w, &ours, e) < 0)
		return -1;
	out->unbelieved = !ours;
	return 0;
}

static int
authorities_post(const struct registrar *r, int64_t now_s, struct registered *out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(TLS_PEM_MAX);
	AUTO_POSTING struct posting p = {.by = r};
	AUTO_CAS struct x509_bundle cas = {0};
	struct err none = ERR_INIT;

	if (authority_cas(r->w, &cas, e) < 0)
		return -1;
	if (posting_begin(&p, REGISTRAR_AUTHORITIES, &none) < 0) {
		if (cas.count == 1 && none.class == ERR_REFUSED)
			return nobody_posts(r, out, e);
		return err_set(e, none.class, "%s", none.text);
	}
	if (authority_text(&cas, &text, e) < 0)
		return -1;
	if (posting_put(&p, REGISTRAR_AUTHORITIES, buf_span(&text), e) < 0)
		return -1;
	return posting_end(&p, now_s, out, e);
}

void
registered_warn(const struct registered *done, void (*say)(void *arg, const char *text), void *arg)
{
	char text[ERR_TEXT_SIZE + 32];

	if (done->refused > 0) {
		(void)snprintf(text, sizeof(text), "%s%s", done->why.text,
			done->refused > 1 ? " (and others likewise)" : "");
		say(arg, text);
	}
	if (done->untaken > 0) {
		(void)snprintf(text, sizeof(text),
			"%llu boxes did not take the certificates that lay ready for them, which "
			"are taken back until they ask again",
			(unsigned long long)done->untaken);
		say(arg, text);
	}
	if (done->unbelieved && done->given > 0)
		say(arg, "tls/server.crt is of another CA, and no role speaks for authorities: "
			 "boxes "
			 "that do not know the fleet's CA refuse what they are given now; see "
			 "`sluice tls --help`");
}

int
registrar_run(const struct registrar *r, int64_t now_s, struct registered *out, struct err *e)
{
	*out = (struct registered){0};
	if (authorities_post(r, now_s, out, e) < 0 || answer_all(r, now_s, out, e) < 0)
		return -1;
	return answers_post(r, now_s, out, e);
}
