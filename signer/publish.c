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
#include "signer/online.h"
#include "signer/push.h"
#include "signer/site.h"
#include "signer/sweep.h"

/* A person or two who sign at the same moment; more is something that runs wild. */
enum { STALE_TRIES = 20 };

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
struct edition {
	const struct publisher *by;
	const struct workspace *workspace;
	int lock;
	struct site site;
	struct incoming incoming;
	struct online online;
	bool premature; /* the first root or targets.json lacks signatures */
	bool stale;	/* incoming/ is not what was judged any more: it is to be begun anew */
};

static void
edition_end(struct edition *p)
{
	online_free(&p->online);
	incoming_free(&p->incoming);
	site_close(&p->site);
	cleanup_fd(&p->lock);
}

/* Whoever has just signed something waits for its turn: the other publisher may have looked into
 * incoming/ before. */
static int
edition_begin(struct edition *p, struct err *e)
{
	const struct workspace *w = p->workspace;
	int64_t now_s;

	if (workspace_lock(w, "publisher.lock", "another sluice publisher",
		    p->by->waits ? PUBLISHER_WAIT_MS : 0, &p->lock, e) < 0)
		return -1;
	now_s = clock_wall_s();
	sweep(w, now_s);
	if (site_open(w, &p->site, e) < 0 || incoming_read(w, &p->site, &p->incoming, e) < 0)
		return -1;
	p->incoming.carried = p->by->carried;
	p->incoming.online_snapshot = p->by->snapshot_key.signer.keyid;
	p->incoming.online_timestamp = p->by->timestamp_key.signer.keyid;
	if (incoming_judge(&p->incoming, now_s, e) < 0)
		return -1;
	p->online = (struct online){.workspace = w,
		.site = &p->site,
		.incoming = &p->incoming,
		.snapshot_signer = &p->by->snapshot_key.signer,
		.timestamp_signer = &p->by->timestamp_key.signer,
		.now_s = now_s};
	p->premature = !p->incoming.root || !p->incoming.targets;
	if (p->premature)
		return err_set(e, ERR_REFUSED,
			"there is nothing to publish before root and targets have their "
			"signatures; begin with `sluice root init`, and take what is signed "
			"elsewhere there by `sluice metadata stage`");
	return 0;
}

static int
write_metadata(
	struct edition *p, const char *role, uint64_t version, struct span bytes, struct err *e)
{
	char path[PATH_MAX];

	if (site_metadata_path(&p->site, role, version, path, e) < 0)
		return -1;
	return file_replace(path, 0644, bytes, e);
}

/* Everything that has a version in its name. Nobody is led to it yet but to the next root, which
 * clients look for by themselves; so that comes last. */
static int
write_immutable(struct edition *p, struct err *e)
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
	if (p->online.snapshot.len > 0 && write_metadata(p, "snapshot", p->online.snapshot_version,
						  buf_span(&p->online.snapshot), e) < 0)
		return -1;
	if (root &&
		write_metadata(p, "root", root->document->version, buf_span(&root->bytes), e) < 0)
		return -1;
	return 0;
}

/* From here on the versions that are accepted are taken: who signs meanwhile signs the ones behind
 * them. A signature that was put into incoming/ since that was read, a stop perhaps, is not passed
 * over: all is begun anew with it. */
static int
claim(struct edition *p, struct err *e)
{
	AUTO_CLOSE int lock = -1;

	if (incoming_lock(p->workspace, &lock, e) < 0)
		return -1;
	p->stale = !incoming_is_current(&p->incoming);
	return p->stale ? 0 : write_immutable(p, e);
}

static bool
is_accepted(const struct edition *p, const char *role)
{
	for (size_t i = 0; i < p->incoming.count; i++) {
		if (strcmp(p->incoming.roles[i].role, role) == 0)
			return p->incoming.roles[i].state == INCOMING_ACCEPTED;
	}
	return false;
}

/* Whether what the top-level role lists has not been copied before it. */
static bool
goes_at_once(const struct edition *p)
{
	for (size_t i = 0; i < p->incoming.count; i++) {
		if (p->incoming.roles[i].state == INCOMING_ACCEPTED && p->incoming.roles[i].at_once)
			return true;
	}
	return false;
}

/* The moment from which readers see the new site. What it leads to is served by then. */
static int
switch_over(struct edition *p, struct err *e)
{
	char path[PATH_MAX];

	if (push_immutable(p->workspace, &p->site, p->incoming.root->version,
		    p->online.snapshot_version, p->online.snapshot_body, goes_at_once(p), e) < 0)
		return err_context(e, "nothing is published: the old site stays in force; run "
				      "`sluice publish` again");
	if (path_join(path, sizeof(path), p->site.metadata, "timestamp.json", e) < 0 ||
		file_replace(path, 0644, buf_span(&p->online.timestamp), e) < 0)
		return -1;
	if (push_timestamp(p->workspace, e) < 0)
		return err_context(e,
			"site/ is new here, but where it is served the old one stays in force; "
			"run `sluice publish` again");
	return 0;
}

static int
clear_incoming(const struct edition *p, struct err *e)
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
say_published(const struct edition *p)
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
		p->online.snapshot_version, p->online.timestamp_version);
}

/* A role whose keys were replaced says nothing until the new ones have signed: its members should
 * know before the boxes complain. */
static void
note_orphans(const struct edition *p)
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
report_refused(const struct edition *p, const char *role, struct err *e)
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
is_deferred(const struct edition *p, const char *role)
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
is_worth_while(const struct edition *p)
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
news_note(const struct edition *p, enum incoming_state state, char *list, size_t size)
{
	for (size_t i = 0; i < p->incoming.count; i++) {
		if (p->incoming.roles[i].state == state)
			name_add(list, size, p->incoming.roles[i].role);
	}
}

static int
edition_run(struct edition *p, struct err *e)
{
	struct published *news = p->by->news;

	if (edition_begin(p, e) < 0)
		return -1;
	if (!is_worth_while(p))
		return 0;
	if (online_snapshot(&p->online, e) < 0 || online_timestamp(&p->online, e) < 0 ||
		claim(p, e) < 0)
		return -1;
	if (p->stale)
		return 0;
	if (switch_over(p, e) < 0)
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

/* Whether there is work for the bulk lane: of one role, its own content; of who publishes all there
 * is, what the server may have lost, too. */
static bool
wants_bulk(const struct edition *p)
{
	if (p->by->news)
		return false;
	return is_deferred(p, p->by->role) || (!p->by->role && p->workspace->push);
}

static int
edition_carry(const struct edition *p, struct err *e)
{
	if (is_deferred(p, NULL)) {
		if (bulk_carry(&p->incoming, p->by->carried, e) < 0)
			return err_context(e,
				"large content did not get to where it is served, and what lists "
				"it waits; run `sluice publish` again");
		return 0;
	}
	if (push_listed_bulk(p->workspace, &p->site, p->online.snapshot_body, p->by->carried, e) <
		0)
		return err_context(e, "all is published, but large content may be missing where it "
				      "is served; run `sluice publish` again");
	return 0;
}

/* What is left to do without the lock, for others may be waiting for it. *again: there is more to
 * publish now. */
static int
edition_follow_up(struct edition *p, bool *again, struct err *e)
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
	if (!wants_bulk(p))
		return 0;
	if (bulk_lock(p->workspace, p->by->waits, &lock, &busy) < 0) {
		if (is_deferred(p, NULL))
			(void)fprintf(stderr, "%s\n", busy.text);
		return p->by->role ? err_set(e, busy.class, "%s", busy.text) : 0;
	}
	if (edition_carry(p, e) < 0)
		return -1;
	*again = json_object_size(p->by->carried) > before;
	return 0;
}

static void
rekey_note(const struct incoming *in, struct err *out)
{
	*out = ERR_INIT;
	for (size_t i = 0; in->rekeys && i < in->count; i++) {
		if (strcmp(in->roles[i].role, "root") == 0)
			(void)err_set(out, ERR_REFUSED, "root waits in incoming/: %s",
				in->roles[i].why.text);
	}
}

static int
publish_once(const struct publisher *by, bool *stale, bool *again, struct err *e)
{
	CLEANUP(edition_end)
	struct edition p = {.by = by, .workspace = by->workspace, .lock = -1};
	struct err why = ERR_INIT;
	int rc = edition_run(&p, &why);

	if (by->news)
		rekey_note(&p.incoming, &by->news->rekey);
	*stale = rc == 0 && p.stale;
	if (*stale)
		return 0;
	if (rc < 0) {
		/* Whoever has just signed the first root has done what can be done. */
		*again = false;
		if (!p.premature || !by->waits) {
			if (e)
				*e = why;
			return -1;
		}
		(void)fprintf(stderr, "%s\n", why.text);
		return 0;
	}
	if (edition_follow_up(&p, again, e) < 0)
		return -1;
	if (by->news) {
		(void)report_refused(&p, NULL, &by->news->refused);
		return 0;
	}
	return *again ? 0 : report_refused(&p, by->role, e);
}

static int
publish_current(const struct publisher *by, bool *again, struct err *e)
{
	bool stale = true;

	for (int tries = 0; stale; tries++) {
		if (tries == STALE_TRIES)
			return err_set(e, ERR_REFUSED,
				"what waits in incoming/ changes faster than it can be published; "
				"run `sluice publish` again");
		if (publish_once(by, &stale, again, e) < 0)
			return -1;
	}
	return 0;
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
		if (publish_current(p, &again, e) < 0)
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
	return publish_current(p, &again, e);
}

int
publisher_rekey(struct publisher *p, const struct workspace *now, struct passphrase_source *pass,
	bool *changed, struct err *e)
{
	CLEANUP(publisher_end) struct publisher next = {.workspace = now};
	const char *snapshot = next.snapshot_key.signer.keyid,
		   *timestamp = next.timestamp_key.signer.keyid;
	bool fits = false;

	if (keys_open(&next, pass, e) < 0)
		return -1;
	if (strcmp(snapshot, p->snapshot_key.signer.keyid) != 0 ||
		strcmp(timestamp, p->timestamp_key.signer.keyid) != 0) {
		if (online_fits(p->workspace, snapshot, timestamp, &fits, e) < 0)
			return -1;
	}
	*changed = fits;
	if (!fits)
		return 0;
	opened_key_close(&p->snapshot_key);
	opened_key_close(&p->timestamp_key);
	p->snapshot_key = next.snapshot_key;
	p->timestamp_key = next.timestamp_key;
	next.snapshot_key = next.timestamp_key = (struct opened_key){0};
	return 0;
}

void
publisher_carried(struct publisher *p, json_t *carried)
{
	json_decref(p->carried);
	p->carried = json_incref(carried);
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
