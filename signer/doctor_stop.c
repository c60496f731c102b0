/* Whether a stop works, and whether it does with a publisher dead: by doing it, in a scratch copy
 * of the site, which a TUF client then reads like a box that knows the present one. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/crypto/random.h"
#include "common/limits.h"
#include "common/tuf/path.h"
#include "common/tuf/tuf.h"
#include "signer/doctor.h"
#include "signer/place.h"
#include "signer/publish.h"
#include "signer/scope.h"

/* Two of the publisher's hours. */
#define OLD_S ((int64_t)2 * 3600)

/* Who would publish. */
struct hands {
	const struct doctor_key *snapshot, *timestamp;
};

struct rehearsal {
	struct doctor *d;
	struct signing *signing;
	bool asks;			 /* a passphrase was offered */
	const struct doctor_role *gates; /* that speaks for gates/all.json */
	const char *signers[ROLE_KEYS_MAX];
	size_t signer_count;
	struct hands own, spare;
	json_t *missing;
};

static int miss(struct rehearsal *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Notes what a stop without this publisher would need. */
static int
miss(struct rehearsal *r, const char *format, ...)
{
	char text[ERR_TEXT_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return json_array_append_new(r->missing, json_string(text));
}

static const struct doctor_role *
role_with(const struct doctor *d, unsigned power)
{
	for (size_t i = 0; i < d->role_count; i++) {
		if (d->roles[i].power == power)
			return &d->roles[i];
	}
	return NULL;
}

static bool
can_open(const struct rehearsal *r, const struct doctor_key *k)
{
	return k->path[0] && (!k->encrypted || r->asks);
}

/* The role that boxes ask about gates/all.json. */
static void
find_gates(struct rehearsal *r)
{
	const struct doctor *d = r->d;
	struct digest of_path = digest_of(span_str(GATE_ALL_PATH));
	const struct doctor_role *targets = role_with(d, POWER_TARGETS);
	char hex[DIGEST_HEX_SIZE];
	const json_t *each;
	size_t i;

	digest_hex(&of_path, hex);
	json_array_foreach (
		targets && targets->document ? document_delegations(targets->document) : NULL, i,
		each) {
		const char *name = json_string_value(json_object_get(each, "name"));

		if (!path_is_delegated(each, GATE_ALL_PATH, hex))
			continue;
		for (size_t k = 0; k < d->role_count; k++) {
			if (strcmp(d->roles[k].name, name) == 0)
				r->gates = &d->roles[k];
		}
		return;
	}
}

static void
find_signers(struct rehearsal *r, const char *given)
{
	if (given)
		r->signers[r->signer_count++] = given;
	for (size_t i = 0; i < r->d->key_count && r->signer_count < ROLE_KEYS_MAX; i++) {
		const struct doctor_key *k = &r->d->keys[i];

		if (r->signer_count < r->gates->threshold && can_open(r, k) &&
			json_has_text(r->gates->keyids, k->id) &&
			(!given || strcmp(given, k->path) != 0))
			r->signers[r->signer_count++] = k->path;
	}
}

/* A key of the role that is here: the publisher's own, or another. */
static const struct doctor_key *
hand(const struct rehearsal *r, const struct doctor_role *role, bool own)
{
	for (size_t i = 0; i < r->d->key_count; i++) {
		const struct doctor_key *k = &r->d->keys[i];

		if (k->online == own && json_has_text(role->keyids, k->id) && can_open(r, k))
			return k;
	}
	return NULL;
}

static int
copy_file(const char *from, const char *to, uint64_t max, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(max);
	char folder[PATH_MAX];

	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(to, '/') - to), to);
	if (dir_make(folder, 0700, e) < 0 || file_read(from, &bytes, e) < 0)
		return -1;
	return file_replace(to, 0600, buf_span(&bytes), e);
}

static int
copy_metadata(const struct doctor *d, const char *dir, const char *name, struct err *e)
{
	char from[PATH_MAX], to[PATH_MAX], relative[NAME_MAX + 32];

	(void)snprintf(relative, sizeof(relative), "site/metadata/%s", name);
	if (path_join(from, sizeof(from), d->site.metadata, name, e) < 0 ||
		path_join(to, sizeof(to), dir, relative, e) < 0)
		return -1;
	return copy_file(from, to, TUF_TARGETS_BYTES_MAX, e);
}

/* The content of the gates role, without which nobody signs it anew. */
static int
copy_gates(const struct rehearsal *r, const char *dir, struct err *e)
{
	json_t *targets = r->gates->document
				  ? json_object_get(r->gates->document->verified.body, "targets")
				  : NULL;
	const char *path;
	json_t *entry;

	json_object_foreach (targets, path, entry) {
		char name[PATH_MAX], from[PATH_MAX], to[PATH_MAX], relative[PATH_MAX];
		bool there;

		if (place_site_name(&r->d->site, path, entry, name, &there, e) < 0 ||
			path_join(from, sizeof(from), r->d->site.targets, name + strlen("targets/"),
				e) < 0 ||
			path_join(relative, sizeof(relative), "site", name, e) < 0 ||
			path_join(to, sizeof(to), dir, relative, e) < 0 ||
			copy_file(from, to, GATE_BYTES_MAX, e) < 0)
			return -1;
	}
	return 0;
}

static int
copy_site(const struct rehearsal *r, const char *dir, struct err *e)
{
	const struct doctor *d = r->d;
	json_t *meta = json_object_get(d->site.snapshot->verified.body, "meta"), *entry;
	char name[NAME_MAX + 1];
	const char *file;

	for (uint64_t n = 1; n <= d->site.root->version; n++) {
		(void)snprintf(name, sizeof(name), "%" PRIu64 ".root.json", n);
		if (copy_metadata(d, dir, name, e) < 0)
			return -1;
	}
	(void)snprintf(name, sizeof(name), "%" PRIu64 ".snapshot.json", d->site.snapshot->version);
	if (copy_metadata(d, dir, name, e) < 0 || copy_metadata(d, dir, "timestamp.json", e) < 0)
		return -1;
	json_object_foreach (meta, file, entry) {
		(void)snprintf(name, sizeof(name), "%" JSON_INTEGER_FORMAT ".%.200s",
			json_integer_value(json_object_get(entry, "version")), file);
		if (copy_metadata(d, dir, name, e) < 0)
			return -1;
	}
	return copy_gates(r, dir, e);
}

static int
open_signer(const struct rehearsal *r, const char *path, struct opened_key *out, struct err *e)
{
	if (path == r->signing->key)
		return signing_open(r->signing, out, e);
	return opened_key_open(path, &r->signing->pass, out, e);
}

/* As `sluice stop --all` does it. */
static int
sign_stop(
	const struct rehearsal *r, const struct workspace *w, char id[STOP_ID_SIZE], struct err *e)
{
	AUTO_SCOPE_GATE struct scope_gate g = {0};
	struct stop *s;

	if (scope_gate_load(w, "all", NULL, &g, e) < 0)
		return -1;
	if (g.gate.stop_count == STOPS_MAX)
		g.gate.stop_count--;
	s = &g.gate.stops[g.gate.stop_count++];
	*s = (struct stop){.at_s = r->d->now_s, .reason = "a rehearsal by sluice doctor"};
	random_hex(STOP_ID_BYTES, s->id);
	memcpy(id, s->id, STOP_ID_SIZE);
	if (scope_gate_put(w, &g, e) < 0)
		return -1;
	for (size_t i = 0; i < r->signer_count; i++) {
		AUTO_OPENED_KEY struct opened_key key = {0};

		if (open_signer(r, r->signers[i], &key, e) < 0 ||
			metadata_check_signer(&g.role, &key.signer, e) < 0 ||
			metadata_sign(w, &g.role, &key.signer, e) < 0)
			return -1;
	}
	return 0;
}

/* A box that has seen the present site takes the new one, and finds the stop. */
static int
read_stop(const struct rehearsal *r, const struct workspace *w, const char *client_dir,
	const char *id, struct err *e)
{
	AUTO_SITE struct site s = {0};
	AUTO_TUF struct tuf_client *before = NULL, *after = NULL;
	AUTO_TARGET struct tuf_target t = {0};
	AUTO_VERIFIED struct verified v = {0};
	struct tuf_fetcher f = doctor_fetcher(&s);
	struct gate g;
	bool found = false;

	if (site_open(w, &s, e) < 0)
		return -1;
	/* Where the present one has expired, that is told elsewhere and is what stops are for. */
	(void)doctor_client_refresh(r->d, &r->d->site, client_dir, &before, NULL);
	if (doctor_client_refresh(r->d, &s, client_dir, &after, e) < 0 ||
		tuf_find(after, &f, GATE_ALL_PATH, r->d->now_s, &found, &t, e) < 0)
		return -1;
	if (!found)
		return err_set(e, ERR_UNTRUSTED, "a client does not find " GATE_ALL_PATH);
	if (tuf_fetch_target(after, &f, &t, GATE_BYTES_MAX, &v, e) < 0 || gate_parse(&v, &g, e) < 0)
		return -1;
	if (g.stop_count == 0 || strcmp(g.stops[g.stop_count - 1].id, id) != 0)
		return err_set(e, ERR_UNTRUSTED, "a client does not see the stop");
	return 0;
}

static int
rehearse(const struct rehearsal *r, const struct hands *h, struct err *e)
{
	AUTO_SCRATCH struct scratch scratch = {0};
	struct workspace w = *r->d->w; /* nothing in it is freed twice: it is not freed here */
	char client_dir[PATH_MAX], incoming[PATH_MAX], id[STOP_ID_SIZE];

	if (doctor_scratch(&scratch, e) < 0)
		return -1;
	(void)snprintf(w.dir, sizeof(w.dir), "%s", scratch.dir);
	w.push = w.reload = NULL;
	w.online_snapshot = (char *)(uintptr_t)h->snapshot->path;
	w.online_timestamp = (char *)(uintptr_t)h->timestamp->path;
	if (workspace_path(&w, "client", client_dir, e) < 0 ||
		workspace_path(&w, "incoming", incoming, e) < 0 ||
		dir_make(client_dir, 0700, e) < 0 || dir_make(incoming, 0700, e) < 0 ||
		copy_site(r, scratch.dir, e) < 0 || sign_stop(r, &w, id, e) < 0 ||
		publish_silently(&w, &r->signing->pass, e) < 0)
		return -1;
	return read_stop(r, &w, client_dir, id, e);
}

/* What two publishers need of root; own: the key that this host publishes with. */
static void
check_online_role(struct rehearsal *r, const struct doctor_role *role, const struct doctor_key *own,
	bool *independent)
{
	size_t count = json_array_size(role->keyids);

	if (role->threshold > 1) {
		*independent = false;
		(void)miss(r, "%s needs %" PRIu64 " signatures: no host publishes alone",
			role->name, role->threshold);
	}
	if (count < 2) {
		*independent = false;
		(void)miss(r, "root names one %s key; it needs a second host's key beside it",
			role->name);
	}
	if (!own)
		(void)miss(
			r, "the %s key of workspace.yaml is not here, or not root's", role->name);
}

static int
verdict_put(struct rehearsal *r, const char *here, const char *without, const char *how,
	const char *remedy, struct err *e)
{
	if (json_object_update_new(json_object_get(r->d->report, "stop"),
		    json_pack("{s:s, s:s, s:s, s:s, s:O}", "from_this_host", here,
			    "with_a_publisher_dead", without, "how", how, "do", remedy, "missing",
			    r->missing)) < 0)
		return err_sys(e, ENOMEM, "doctor");
	return 0;
}

/* Tries a pair of keys; where that fails, missing says why. */
static const char *
try_hands(struct rehearsal *r, const struct hands *h)
{
	struct err why = ERR_INIT;

	if (!h->snapshot || !h->timestamp)
		return "not tried";
	if (rehearse(r, h, &why) == 0)
		return "proved";
	(void)miss(r, "%s", why.text);
	return "fails";
}

static int
judge(struct rehearsal *r, bool independent, struct err *e)
{
	const char *here = try_hands(r, &r->own), *spare = try_hands(r, &r->spare);
	char how[2 * NAME_MAX + 160];

	if (strcmp(spare, "proved") == 0) {
		(void)snprintf(how, sizeof(how),
			"signed with %s and %s in a scratch copy; a client saw it",
			r->spare.snapshot->name, r->spare.timestamp->name);
		return verdict_put(r, here, "proved", how, "keep those two on a second host", e);
	}
	if (strcmp(here, "proved") == 0 && independent)
		return verdict_put(r, here, "proved",
			"signed by this host alone in a scratch copy; a client saw it",
			"run sluice doctor on the other publisher, too", e);
	return verdict_put(r, here, independent ? "not tried" : "cannot work", "", "", e);
}

static int
look(struct rehearsal *r, const char *key, struct err *e)
{
	const struct doctor_role *snapshot = role_with(r->d, POWER_SNAPSHOT);
	const struct doctor_role *timestamp = role_with(r->d, POWER_TIMESTAMP);
	AUTO_SCRATCH struct scratch scratch = {0};
	struct err why = ERR_INIT;
	bool independent = true;

	r->own = (struct hands){hand(r, snapshot, true), hand(r, timestamp, true)};
	r->spare = (struct hands){hand(r, snapshot, false), hand(r, timestamp, false)};
	find_gates(r);
	check_online_role(r, snapshot, r->own.snapshot, &independent);
	check_online_role(r, timestamp, r->own.timestamp, &independent);
	if (!r->gates) {
		(void)miss(r, "no role may speak for gates/all.json (sluice role add gates)");
		return verdict_put(r, "cannot work", "cannot work", "", "", e);
	}
	if (doctor_scratch(&scratch, &why) < 0) {
		(void)miss(r, "%s", why.text);
		return verdict_put(
			r, "not tried", independent ? "not tried" : "cannot work", "", "", e);
	}
	find_signers(r, key);
	if (r->signer_count < r->gates->threshold) {
		(void)miss(r,
			"%s needs %" PRIu64 " signatures, and %zu of its keys open here without a "
			"passphrase; give --key K",
			r->gates->name, r->gates->threshold, r->signer_count);
		return verdict_put(
			r, "not tried", independent ? "not tried" : "cannot work", "", "", e);
	}
	return judge(r, independent, e);
}

/* Versions only rise: what is published on an old copy of the site, no box takes. */
static int
check_age(struct doctor *d, struct err *e)
{
	const int64_t signed_at_s = site_signed_at(&d->site);
	char span[DOCTOR_SPAN_SIZE];

	if (signed_at_s == 0 || d->now_s - signed_at_s < OLD_S)
		return 0;
	return doctor_problem(d, DOCTOR_WARNING,
		"sluice publish every hour; on a second publisher, fetch site/ before a stop", e,
		"this copy of the site is %s old; boxes refuse a stop on one older than theirs",
		doctor_span(d->now_s - signed_at_s, span));
}

int
doctor_look_at_stop(struct doctor *d, struct signing *o, struct err *e)
{
	AUTO_JSON json_t *missing = json_array();
	struct rehearsal r = {
		.d = d, .signing = o, .asks = o->pass.file || o->pass.fd >= 0, .missing = missing};
	const json_t *stop = json_object_get(d->report, "stop");

	if (!d->site_is_open)
		return 0;
	if (check_age(d, e) < 0 || look(&r, o->key, e) < 0)
		return -1;
	if (strcmp(json_string_value(json_object_get(stop, "from_this_host")), "fails") == 0)
		return doctor_problem(d, DOCTOR_BAD, "see below what is missing", e,
			"a stop from this host would not reach the boxes");
	if (strcmp(json_string_value(json_object_get(stop, "with_a_publisher_dead")), "proved") !=
		0)
		return doctor_problem(d, DOCTOR_WARNING, "see `a stop` below, and README.md", e,
			"it is not proved that a stop works with the publisher dead");
	return 0;
}
