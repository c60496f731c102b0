#include "signer/publish.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/limits.h"
#include "signer/bulk.h"
#include "signer/incoming.h"
#include "signer/push.h"
#include "signer/site.h"
#include "signer/sweep.h"

/* What publishes. */
struct publisher {
	const struct workspace *workspace;
	const char *role; /* that was just signed; or NULL */
	bool waits;	  /* for another publisher */
	bool silent;
	bool news_only;		/* no timestamp where nothing else is new */
	struct published *news; /* of who does not wait for large content; else NULL */
	struct opened_key snapshot_key, timestamp_key;
	json_t *carried; /* see struct incoming */
};

/* One publication under way. */
struct publication {
	const struct publisher *by;
	const struct workspace *workspace;
	int lock;
	int64_t now_s;
	struct site site;
	struct incoming incoming;
	json_t *snapshot_body;		/* its "signed": the new one, or the old one that stays */
	struct buf snapshot, timestamp; /* bytes to be written; snapshot empty: the old one stays */
	uint64_t snapshot_version, timestamp_version;
	bool premature; /* the first root or targets.json lacks signatures */
};

static void
publication_end(struct publication *p)
{
	buf_free(&p->snapshot);
	buf_free(&p->timestamp);
	json_decref(p->snapshot_body);
	incoming_free(&p->incoming);
	site_close(&p->site);
	cleanup_fd(&p->lock);
}

/* Whoever has just signed something waits for its turn: the other publisher may have looked into
 * incoming/ before. */
static int
publication_begin(struct publication *p, struct err *e)
{
	const struct workspace *w = p->workspace;

	if (workspace_lock(w, "publisher.lock", "another sluice publisher",
		    p->by->waits ? PUBLISHER_WAIT_MS : 0, &p->lock, e) < 0)
		return -1;
	p->now_s = clock_wall_s();
	sweep(w, p->now_s);
	if (site_open(w, &p->site, e) < 0 || incoming_read(w, &p->site, &p->incoming, e) < 0)
		return -1;
	p->incoming.carried = p->by->carried;
	p->incoming.online_snapshot = p->by->snapshot_key.signer.keyid;
	p->incoming.online_timestamp = p->by->timestamp_key.signer.keyid;
	if (incoming_judge(&p->incoming, p->now_s, e) < 0)
		return -1;
	p->premature = !p->incoming.root || !p->incoming.targets;
	if (p->premature)
		return err_set(e, ERR_REFUSED,
			"there is nothing to publish before root and targets have their "
			"signatures; begin with `sluice root init`, and take what is signed "
			"elsewhere there by `sluice metadata stage`");
	return 0;
}

/* What timestamp or snapshot says of a file. */
static json_t *
metafile(uint64_t version, struct span bytes)
{
	struct digest d = digest_of(bytes);
	char hex[DIGEST_HEX_SIZE];

	return json_pack("{s:I, s:I, s:{s:s}}", "version", (json_int_t)version, "length",
		(json_int_t)bytes.len, "hashes", "sha256", digest_hex(&d, hex));
}

/* Signs body, and reads it back as a client would: a key that root does not name is found here and
 * not by the fleet. */
static int
sign_online(struct publication *p, const char *role, enum document_type type, json_t *body,
	const struct signer *s, struct buf *out, struct err *e)
{
	AUTO_JSON json_t *root = body ? envelope_new(body) : NULL;
	AUTO_DOCUMENT struct document *d = NULL;
	AUTO_FREE char *text = NULL;
	struct role_keys keys;

	if (!root)
		return err_sys(e, ENOMEM, "%s metadata", role);
	if (envelope_sign(root, s, e) < 0)
		return -1;
	text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	if (!text)
		return err_sys(e, ENOMEM, "%s metadata", role);
	*out = BUF_INIT(TUF_SNAPSHOT_BYTES_MAX);
	if (buf_append(out, text, strlen(text), e) < 0 ||
		document_root_role(p->incoming.root, role, &keys, e) < 0)
		return -1;
	if (document_read(buf_span(out), role, type, &keys, &d, e) < 0)
		return err_context(
			e, "the %s key of workspace.yaml is not the one that root names", role);
	return 0;
}

/* The published list, with what is new in this publication. */
static json_t *
snapshot_meta(const struct publication *p)
{
	const struct document *old = p->site.snapshot;
	json_t *meta =
		old ? json_deep_copy(json_object_get(old->verified.body, "meta")) : json_object();

	for (size_t i = 0; meta && i < p->incoming.count; i++) {
		const struct incoming_role *r = &p->incoming.roles[i];
		char name[ROLE_NAME_MAX + sizeof(".json")];

		if (r->state != INCOMING_ACCEPTED || strcmp(r->role, "root") == 0)
			continue;
		(void)snprintf(name, sizeof(name), "%s.json", r->role);
		if (json_object_set_new(
			    meta, name, metafile(r->document->version, buf_span(&r->bytes))) < 0) {
			json_decref(meta);
			meta = NULL;
		}
	}
	return meta;
}

/* A new snapshot for new roles, for new keys, and in good time before the old one expires. */
static bool
needs_snapshot(const struct publication *p)
{
	struct document *old = p->site.snapshot;
	struct role_keys keys;

	for (size_t i = 0; i < p->incoming.count; i++) {
		if (p->incoming.roles[i].state == INCOMING_ACCEPTED)
			return true;
	}
	return !old || document_root_role(p->incoming.root, "snapshot", &keys, NULL) < 0 ||
	       document_check(old, &keys, NULL) < 0 ||
	       old->expires_s - p->now_s < (int64_t)p->workspace->snapshot_life_s / 2;
}

/* A version that was never seen: a publication that was interrupted may have left the next one. */
static int
pick_snapshot_version(struct publication *p, struct err *e)
{
	uint64_t version = p->site.snapshot ? p->site.snapshot->version : 0;
	char path[PATH_MAX];

	do {
		if (site_metadata_path(&p->site, "snapshot", ++version, path, e) < 0)
			return -1;
	} while (file_exists(path));
	p->snapshot_version = version;
	return 0;
}

static int
make_snapshot(struct publication *p, struct err *e)
{
	AUTO_JSON json_t *body = NULL;
	char expires[CLOCK_TEXT_SIZE];

	if (!needs_snapshot(p)) {
		p->snapshot_version = p->site.snapshot->version;
		p->snapshot_body = json_deep_copy(p->site.snapshot->verified.body);
		return 0;
	}
	if (pick_snapshot_version(p, e) < 0)
		return -1;
	body = json_pack("{s:s, s:s, s:I, s:s, s:o}", "_type", "snapshot", "spec_version",
		TUF_SPEC_VERSION, "version", (json_int_t)p->snapshot_version, "expires",
		clock_format(p->now_s + (int64_t)p->workspace->snapshot_life_s, expires), "meta",
		snapshot_meta(p));
	p->snapshot_body = json_incref(body);
	return sign_online(p, "snapshot", DOCUMENT_SNAPSHOT, body, &p->by->snapshot_key.signer,
		&p->snapshot, e);
}

static int
make_timestamp(struct publication *p, struct err *e)
{
	const struct document *old = p->site.timestamp;
	AUTO_JSON json_t *body = NULL;
	char expires[CLOCK_TEXT_SIZE], signed_at[CLOCK_TEXT_SIZE];
	json_t *listed;

	if (p->snapshot.len > 0)
		listed = metafile(p->snapshot_version, buf_span(&p->snapshot));
	else
		listed = json_incref(json_object_get(
			json_object_get(old->verified.body, "meta"), "snapshot.json"));
	p->timestamp_version = old ? old->version + 1 : 1;
	body = json_pack("{s:s, s:s, s:I, s:s, s:s, s:{s:o}}", "_type", "timestamp", "spec_version",
		TUF_SPEC_VERSION, "version", (json_int_t)p->timestamp_version, "expires",
		clock_format(p->now_s + (int64_t)p->workspace->timestamp_life_s, expires),
		"signed_at", clock_format(p->now_s, signed_at), "meta", "snapshot.json", listed);
	return sign_online(p, "timestamp", DOCUMENT_TIMESTAMP, body, &p->by->timestamp_key.signer,
		&p->timestamp, e);
}

static int
write_metadata(
	struct publication *p, const char *role, uint64_t version, struct span bytes, struct err *e)
{
	char path[PATH_MAX];

	if (site_metadata_path(&p->site, role, version, path, e) < 0)
		return -1;
	return file_replace(path, 0644, bytes, e);
}

/* Everything that has a version in its name. Nobody is led to it yet but to the next root, which
 * clients look for by themselves; so that comes last. */
static int
write_immutable(struct publication *p, struct err *e)
{
	const struct incoming_role *root = NULL;

	for (size_t i = 0; i < p->incoming.count; i++) {
		const struct incoming_role *r = &p->incoming.roles[i];

		if (r->state == INCOMING_ACCEPTED && strcmp(r->role, "root") == 0)
			root = r;
	}
	if ((root && incoming_check_root(&p->site, root, e) < 0) ||
		dir_make(p->site.metadata, 0755, e) < 0 || dir_make(p->site.targets, 0755, e) < 0)
		return -1;
	for (size_t i = 0; i < p->incoming.count; i++) {
		const struct incoming_role *r = &p->incoming.roles[i];

		if (r->state == INCOMING_ACCEPTED && r != root &&
			write_metadata(p, r->role, r->document->version, buf_span(&r->bytes), e) <
				0)
			return -1;
	}
	if (p->snapshot.len > 0 &&
		write_metadata(p, "snapshot", p->snapshot_version, buf_span(&p->snapshot), e) < 0)
		return -1;
	if (root &&
		write_metadata(p, "root", root->document->version, buf_span(&root->bytes), e) < 0)
		return -1;
	return 0;
}

/* The moment from which readers see the new site. What it leads to is served by then. */
static int
switch_over(struct publication *p, struct err *e)
{
	char path[PATH_MAX];

	if (push_immutable(p->workspace, &p->site, p->incoming.root->version, p->snapshot_version,
		    p->snapshot_body, e) < 0)
		return err_context(e, "nothing is published: the old site stays in force; run "
				      "`sluice publish` again");
	if (path_join(path, sizeof(path), p->site.metadata, "timestamp.json", e) < 0 ||
		file_replace(path, 0644, buf_span(&p->timestamp), e) < 0)
		return -1;
	if (push_timestamp(p->workspace, e) < 0)
		return err_context(e,
			"site/ is new here, but where it is served the old one stays in force; "
			"run `sluice publish` again");
	return 0;
}

static int
clear_incoming(const struct publication *p, struct err *e)
{
	for (size_t i = 0; i < p->incoming.count; i++) {
		const struct incoming_role *r = &p->incoming.roles[i];

		if ((r->state == INCOMING_ACCEPTED || r->state == INCOMING_PUBLISHED) &&
			incoming_clear(&p->incoming, r, e) < 0)
			return err_context(e, "published, but incoming/ could not be cleared");
	}
	return 0;
}

static void
say_published(const struct publication *p)
{
	for (size_t i = 0; i < p->incoming.count; i++) {
		const struct incoming_role *r = &p->incoming.roles[i];

		if (r->state == INCOMING_ACCEPTED)
			(void)printf("published %s, version %" PRIu64 "\n", r->role,
				r->document->version);
		else if (r->state == INCOMING_WAITING || r->state == INCOMING_DEFERRED)
			(void)fprintf(stderr, "%s waits in incoming/: %s\n", r->role, r->why.text);
		else if (r->state == INCOMING_REFUSED)
			(void)fprintf(stderr, "%s is refused and stays in incoming/: %s\n", r->role,
				r->why.text);
	}
	(void)printf("the site is at snapshot %" PRIu64 ", timestamp %" PRIu64 "\n",
		p->snapshot_version, p->timestamp_version);
}

static bool
is_accepted(const struct publication *p, const char *role)
{
	for (size_t i = 0; i < p->incoming.count; i++) {
		if (strcmp(p->incoming.roles[i].role, role) == 0)
			return p->incoming.roles[i].state == INCOMING_ACCEPTED;
	}
	return false;
}

/* A role whose keys were replaced says nothing until the new ones have signed: its members should
 * know before the boxes complain. */
static void
note_orphans(const struct publication *p)
{
	const json_t *delegation;
	size_t i;

	json_array_foreach (document_delegations(p->incoming.targets), i, delegation) {
		const char *role = json_string_value(json_object_get(delegation, "name"));
		AUTO_DOCUMENT struct document *d = NULL;
		struct role_keys keys;
		uint64_t version = 0;

		if (is_accepted(p, role) ||
			document_delegation_keys(p->incoming.targets, delegation, &keys, NULL) <
				0 ||
			site_role(&p->site, role, &keys, &version, &d, NULL, NULL) < 0)
			continue;
		if (version > 0 && !d)
			(void)fprintf(stderr,
				"note: %s, version %" PRIu64
				", is not signed by its present keys; boxes refuse what it says "
				"until they have signed a new version\n",
				role, version);
	}
}

/* What was refused is an error for whoever signed it, once everything else is published. */
static int
report_refused(const struct publication *p, const char *role, struct err *e)
{
	for (size_t i = 0; i < p->incoming.count; i++) {
		const struct incoming_role *r = &p->incoming.roles[i];

		if (r->state == INCOMING_REFUSED && (!role || strcmp(role, r->role) == 0))
			return err_set(e, ERR_REFUSED,
				"%s was not published (all that is in order was): %s", r->path,
				r->why.text);
	}
	return 0;
}

static bool
is_deferred(const struct publication *p, const char *role)
{
	for (size_t i = 0; i < p->incoming.count; i++) {
		const struct incoming_role *r = &p->incoming.roles[i];

		if (r->state == INCOMING_DEFERRED && (!role || strcmp(role, r->role) == 0))
			return true;
	}
	return false;
}

/* A publication with nothing in it but a new timestamp is for those who ask for that; not for a
 * role whose content is still to be copied. What is published and was not cleared away may have got
 * no further than into site/: a stop that was not pushed, say. */
static bool
is_worth_while(const struct publication *p)
{
	for (size_t i = 0; i < p->incoming.count; i++) {
		if (p->incoming.roles[i].state == INCOMING_ACCEPTED ||
			p->incoming.roles[i].state == INCOMING_PUBLISHED)
			return true;
	}
	if (p->by->news_only)
		return false;
	return !p->by->role || !is_deferred(p, p->by->role);
}

static void
name_add(char *list, size_t size, const char *name)
{
	size_t len = strlen(list);

	(void)snprintf(list + len, size - len, "%s%s", len ? ", " : "", name);
}

static void
news_note(const struct publication *p, enum incoming_state state, char *list, size_t size)
{
	for (size_t i = 0; i < p->incoming.count; i++) {
		if (p->incoming.roles[i].state == state)
			name_add(list, size, p->incoming.roles[i].role);
	}
}

static int
publication_run(struct publication *p, struct err *e)
{
	struct published *news = p->by->news;

	if (publication_begin(p, e) < 0)
		return -1;
	if (!is_worth_while(p))
		return 0;
	if (make_snapshot(p, e) < 0 || make_timestamp(p, e) < 0 || write_immutable(p, e) < 0 ||
		switch_over(p, e) < 0)
		return -1;
	if (news) {
		news->any = true;
		news_note(p, INCOMING_ACCEPTED, news->roles, sizeof(news->roles));
	}
	if (!p->by->silent) {
		say_published(p);
		note_orphans(p);
	}
	return 0;
}

/* What is left to do without the lock, for others may be waiting for it. *again: there is more to
 * publish now. */
static int
publication_follow_up(struct publication *p, bool *again, struct err *e)
{
	AUTO_CLOSE int lock = -1;
	size_t before = json_object_size(p->by->carried);
	struct err busy = ERR_INIT;

	*again = false;
	cleanup_fd(&p->lock);
	p->lock = -1;
	if (clear_incoming(p, e) < 0)
		return -1;
	if (p->by->news)
		news_note(
			p, INCOMING_DEFERRED, p->by->news->deferred, sizeof(p->by->news->deferred));
	if (p->by->news || !is_deferred(p, p->by->role))
		return 0;
	if (bulk_lock(p->workspace, p->by->waits, &lock, &busy) < 0) {
		(void)fprintf(stderr, "%s\n", busy.text);
		return p->by->role ? err_set(e, busy.class, "%s", busy.text) : 0;
	}
	if (bulk_carry(&p->incoming, p->by->carried, e) < 0)
		return err_context(e, "large content did not get to where it is served, and what "
				      "lists it waits; run `sluice publish` again");
	*again = json_object_size(p->by->carried) > before;
	return 0;
}

static int
publish_once(const struct publisher *by, bool *again, struct err *e)
{
	CLEANUP(publication_end)
	struct publication p = {.by = by, .workspace = by->workspace, .lock = -1};
	struct err why = ERR_INIT;

	if (publication_run(&p, &why) < 0) {
		/* Whoever has just signed the first root has done what can be done. */
		*again = false;
		if (!p.premature || !by->waits)
			return err_set(e, why.class, "%s", why.text);
		(void)fprintf(stderr, "%s\n", why.text);
		return 0;
	}
	if (publication_follow_up(&p, again, e) < 0)
		return -1;
	if (by->news) {
		(void)report_refused(&p, NULL, &by->news->refused);
		return 0;
	}
	return *again ? 0 : report_refused(&p, by->role, e);
}

static void
publisher_end(struct publisher *p)
{
	opened_key_close(&p->snapshot_key);
	opened_key_close(&p->timestamp_key);
	json_decref(p->carried);
}

/* Before anything is touched, so that a wrong passphrase costs nothing. */
static int
keys_open(struct publisher *p, struct passphrase_source *pass, struct err *e)
{
	if (opened_key_open(p->workspace->online_snapshot, pass, &p->snapshot_key, e) < 0 ||
		opened_key_open(p->workspace->online_timestamp, pass, &p->timestamp_key, e) < 0)
		return err_context(e, "the online keys of workspace.yaml");
	return 0;
}

/* First all that is small, then large content while others may publish, then the roles that list
 * it. */
static int
publisher_run(struct publisher *p, struct passphrase_source *pass, struct err *e)
{
	bool again = true;

	p->carried = json_object();
	if (keys_open(p, pass, e) < 0)
		return -1;
	while (again) {
		if (publish_once(p, &again, e) < 0)
			return -1;
	}
	return 0;
}

int
publish(const struct workspace *w, struct passphrase_source *pass, struct err *e)
{
	CLEANUP(publisher_end) struct publisher p = {.workspace = w};

	return publisher_run(&p, pass, e);
}

int
publish_silently(const struct workspace *w, struct passphrase_source *pass, struct err *e)
{
	CLEANUP(publisher_end) struct publisher p = {.workspace = w, .silent = true};

	return publisher_run(&p, pass, e);
}

void
publisher_close(struct publisher **p)
{
	if (!*p)
		return;
	publisher_end(*p);
	free(*p);
	*p = NULL;
}

int
publisher_open(const struct workspace *w, struct passphrase_source *pass, struct publisher **out,
	struct err *e)
{
	AUTO_PUBLISHER struct publisher *p = calloc(1, sizeof(*p));

	if (!p)
		return err_sys(e, ENOMEM, "publishing");
	p->workspace = w;
	p->silent = true;
	if (keys_open(p, pass, e) < 0)
		return -1;
	*out = TAKE_PTR(p);
	return 0;
}

int
publisher_publish(struct publisher *p, bool renew, struct published *out, struct err *e)
{
	bool again;

	*out = (struct published){0};
	p->news = out;
	p->news_only = !renew;
	return publish_once(p, &again, e);
}

int
publish_here(const struct workspace *w, const char *role, struct signing *o, struct err *e)
{
	CLEANUP(publisher_end)
	struct publisher p = {.workspace = w, .role = role, .waits = true};
	bool here;

	if (o->draft) {
		(void)printf("nobody has signed it yet: it lies in %s/drafts; `sluice metadata "
			     "stage ROLE -o FILE` takes it to those who sign\n",
			w->dir);
		return 0;
	}
	here = access(w->online_snapshot, R_OK) == 0 && access(w->online_timestamp, R_OK) == 0;

	if (here && !o->no_publish)
		return publisher_run(&p, &o->pass, e);
	(void)printf("signed; it waits in %s/incoming for `sluice publish`%s\n", w->dir,
		here ? "" : " where the online keys are");
	return 0;
}
