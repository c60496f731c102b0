#include "common/tuf/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"
#include "common/tuf/path.h"

void
tuf_free(struct tuf_client **c)
{
	if (!*c)
		return;
	document_free(&(*c)->root);
	client_forget(*c);
	free(*c);
	*c = NULL;
}

int
tuf_open(const struct tuf_store *store, struct tuf_client **out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_ROOT_BYTES_MAX);
	AUTO_TUF struct tuf_client *c = calloc(1, sizeof(*c));

	if (!c)
		return err_sys(e, ENOMEM, "the TUF client");
	c->store = *store;
	if (store->load(store->arg, "root", &bytes, e) < 0 ||
		document_read_anchor(buf_span(&bytes), &c->root, e) < 0)
		return err_context(e, "the trusted root.json");
	*out = TAKE_PTR(c);
	return 0;
}

bool
client_is_consistent(const struct tuf_client *c)
{
	return json_is_true(json_object_get(c->root->verified.body, "consistent_snapshot"));
}

void
client_note_expiry(struct tuf_client *c, const struct document *d)
{
	if (c->expires_role[0] && c->expires_s <= d->expires_s)
		return;
	c->expires_s = d->expires_s;
	(void)snprintf(c->expires_role, sizeof(c->expires_role), "%s", d->role);
}

int
client_accept(struct tuf_client *c, struct document **slot, struct document **d, struct span bytes,
	int64_t now_s, struct err *e)
{
	if (document_check_expiry(*d, now_s, e) < 0 ||
		c->store.save(c->store.arg, (*d)->role, bytes, e) < 0)
		return -1;
	document_free(slot);
	*slot = TAKE_PTR(*d);
	return 0;
}

/* Whether a key that could sign for role under the trusted root no longer can under next. */
static int
keys_revoked(const struct tuf_client *c, const struct document *next, const char *role,
	bool *revoked, struct err *e)
{
	struct role_keys before, after;
	const json_t *id;
	size_t i;

	if (document_root_role(c->root, role, &before, e) < 0 ||
		document_root_role(next, role, &after, e) < 0)
		return -1;
	*revoked = false;
	json_array_foreach (before.keyids, i, id)
		*revoked = *revoked || !json_has_text(after.keyids, json_string_value(id));
	return 0;
}

/* Recovery from versions that stolen keys drove up (section 5.3.11). targets.json goes too, since
 * it is held to the version in the store where one is there. This happens before the new root is
 * saved: after it, a power cut in between would leave the wrong versions in force for good. */
static int
forget_versions(struct tuf_client *c, const struct document *next, struct err *e)
{
	static const char *const roles[] = {"targets", "snapshot", "timestamp"};
	bool timestamp, snapshot;

	if (keys_revoked(c, next, "timestamp", &timestamp, e) < 0 ||
		keys_revoked(c, next, "snapshot", &snapshot, e) < 0)
		return -1;
	if (!timestamp && !snapshot)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		if (c->store.drop(c->store.arg, roles[i], e) < 0)
			return -1;
	}
	c->floor = (struct tuf_floor){0};
	document_free(&c->targets);
	document_free(&c->snapshot);
	document_free(&c->timestamp);
	return 0;
}

int
client_take_root(struct tuf_client *c, struct span bytes, struct err *e)
{
	AUTO_DOCUMENT struct document *next = NULL;
	struct role_keys old, own;
	bool holds;

	if (document_root_role(c->root, "root", &old, e) < 0 ||
		document_read(bytes, "root", DOCUMENT_ROOT, &old, &next, e) < 0 ||
		document_root_role(next, "root", &own, e) < 0)
		return -1;
	if (document_check(next, &own, e) < 0)
		return err_context(e, "the new root, by its own keys");
	if (next->version != c->root->version + 1)
		return err_set(e, ERR_UNTRUSTED,
			"root version %" PRIu64 " came where %" PRIu64 " must follow",
			next->version, c->root->version + 1);
	if (client_floor_holds(c, &holds, e) < 0 || forget_versions(c, next, e) < 0 ||
		c->store.save(c->store.arg, "root", bytes, e) < 0)
		return -1;
	document_free(&c->root);
	c->root = TAKE_PTR(next);
	return holds ? client_floor_bind(c, e) : 0;
}

static bool
is_absent(const struct err *e)
{
	return e->class == ERR_NETWORK && (e->errnum == 404 || e->errnum == 403);
}

static int
update_root(struct tuf_client *c, const struct tuf_fetcher *f, int64_t now_s, struct err *e)
{
	for (int i = 0; i < TUF_ROOT_ROTATIONS_MAX; i++) {
		AUTO_BUF struct buf bytes = BUF_INIT(TUF_ROOT_BYTES_MAX);
		struct err why = ERR_INIT;
		char path[40];

		(void)snprintf(path, sizeof(path), "%" PRIu64 ".root.json", c->root->version + 1);
		if (f->metadata(f->arg, path, bytes.max, &bytes, &why) < 0) {
			if (is_absent(&why))
				break;
			if (e)
				*e = why;
			return err_context(e, "%s", path);
		}
		if (client_take_root(c, buf_span(&bytes), e) < 0)
			return err_context(e, "%s", path);
	}
	return document_check_expiry(c->root, now_s, e);
}

/* What the store has lost is still held back by the floor. */
static int
check_timestamp_floor(const struct tuf_client *c, const struct document *d, struct err *e)
{
	struct metafile snapshot;

	if (document_metafile(d, "snapshot", &snapshot, e) < 0 ||
		client_floor_check(c, "timestamp", c->floor.timestamp, d->version, e) < 0)
		return -1;
	return client_floor_check(c, "snapshot", c->floor.snapshot, snapshot.version, e);
}

/* Versions only rise (section 5.4.3). *newer false: old stays, which is the usual case. */
static int
compare_timestamps(
	const struct document *old, const struct document *new, bool *newer, struct err *e)
{
	struct metafile before, after;

	if (new->version < old->version)
		return err_set(e, ERR_UNTRUSTED,
			"timestamp.json went back from version %" PRIu64 " to %" PRIu64,
			old->version, new->version);
	*newer = new->version > old->version;
	if (!*newer)
		return 0;
	if (document_metafile(old, "snapshot", &before, e) < 0 ||
		document_metafile(new, "snapshot", &after, e) < 0)
		return -1;
	if (after.version < before.version)
		return err_set(e, ERR_UNTRUSTED,
			"timestamp.json takes the snapshot back from version %" PRIu64
			" to %" PRIu64,
			before.version, after.version);
	return 0;
}

static int
update_timestamp(struct tuf_client *c, const struct tuf_fetcher *f, int64_t now_s, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_TIMESTAMP_BYTES_MAX);
	AUTO_DOCUMENT struct document *d = NULL;
	struct role_keys keys;
	bool newer = true;

	if (document_root_role(c->root, "timestamp", &keys, e) < 0 ||
		client_recall(c, &c->timestamp, "timestamp", DOCUMENT_TIMESTAMP, &keys, true, e) <
			0)
		return -1;
	if (f->metadata(f->arg, "timestamp.json", bytes.max, &bytes, e) < 0)
		return err_context(e, "timestamp.json");
	if (document_read(buf_span(&bytes), "timestamp", DOCUMENT_TIMESTAMP, &keys, &d, e) < 0)
		return err_context(e, "timestamp.json");
	if ((c->timestamp && compare_timestamps(c->timestamp, d, &newer, e) < 0) ||
		check_timestamp_floor(c, d, e) < 0)
		return -1;
	if (!newer)
		return document_check_expiry(c->timestamp, now_s, e);
	return client_accept(c, &c->timestamp, &d, buf_span(&bytes), now_s, e);
}

static int
listed_path(const struct tuf_client *c, const char *role, const struct metafile *listed,
	struct buf *out, struct err *e)
{
	if (client_is_consistent(c) && buf_printf(out, e, "%" PRIu64 ".", listed->version) < 0)
		return -1;
	if (path_quote(role, false, out, e) < 0)
		return -1;
	return buf_append(out, ".json", sizeof(".json") - 1, e);
}

int
client_fetch(struct tuf_client *c, const struct tuf_fetcher *f, const char *role,
	enum document_type type, const struct role_keys *keys, const struct metafile *listed,
	struct buf *bytes, struct document **out, struct err *e)
{
	AUTO_BUF struct buf path = BUF_INIT(4 * ROLE_NAME_MAX);
	AUTO_DOCUMENT struct document *d = NULL;
	uint64_t max = client_bytes_max(type);

	if (listed->length > max)
		return err_set(e, ERR_LIMIT,
			"%s metadata is listed with %" PRIu64 " bytes; at most %" PRIu64
			" are read",
			role, listed->length, max);
	if (listed->length)
		max = listed->length;
	*bytes = BUF_INIT(max);
	if (listed_path(c, role, listed, &path, e) < 0)
		return -1;
	if (f->metadata(f->arg, buf_str(&path), max, bytes, e) < 0 ||
		metafile_check(listed, buf_str(&path), buf_span(bytes), e) < 0 ||
		document_read(buf_span(bytes), role, type, keys, &d, e) < 0)
		return err_context(e, "%s", buf_str(&path));
	if (d->version != listed->version)
		return err_set(e, ERR_UNTRUSTED,
			"%s has version %" PRIu64 ", but version %" PRIu64 " is listed",
			buf_str(&path), d->version, listed->version);
	*out = TAKE_PTR(d);
	return 0;
}

/* No version in a snapshot goes back, and nothing that was listed disappears (section 5.5.5). */
static int
compare_snapshots(const struct document *old, const struct document *new, struct err *e)
{
	const json_t *after = json_object_get(new->verified.body, "meta");
	json_t *before = json_object_get(old->verified.body, "meta"), *entry;
	const char *name;

	json_object_foreach (before, name, entry) {
		const json_t *now = json_object_get(after, name);
		json_int_t was = json_integer_value(json_object_get(entry, "version"));

		if (!now)
			return err_set(e, ERR_UNTRUSTED,
				"snapshot version %" PRIu64 " no longer lists %.80s", new->version,
				name);
		if (json_integer_value(json_object_get(now, "version")) < was)
			return err_set(e, ERR_UNTRUSTED,
				"snapshot version %" PRIu64 " takes %.80s back from version "
				"%" JSON_INTEGER_FORMAT,
				new->version, name, was);
	}
	return 0;
}

static int
update_snapshot(struct tuf_client *c, const struct tuf_fetcher *f, int64_t now_s, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(0);
	AUTO_DOCUMENT struct document *d = NULL;
	struct metafile listed;
	struct role_keys keys;

	if (document_metafile(c->timestamp, "snapshot", &listed, e) < 0 ||
		document_root_role(c->root, "snapshot", &keys, e) < 0 ||
		client_recall(c, &c->snapshot, "snapshot", DOCUMENT_SNAPSHOT, &keys, true, e) < 0)
		return -1;
	if (c->snapshot && metafile_is_of(&listed, c->snapshot) && c->snapshot->expires_s > now_s)
		return 0;
	if (client_fetch(c, f, "snapshot", DOCUMENT_SNAPSHOT, &keys, &listed, &bytes, &d, e) < 0)
		return -1;
	if (c->snapshot && compare_snapshots(c->snapshot, d, e) < 0)
		return -1;
	return client_accept(c, &c->snapshot, &d, buf_span(&bytes), now_s, e);
}

int
client_update_targets(struct tuf_client *c, const struct tuf_fetcher *f, const char *role,
	struct document **slot, const struct role_keys *keys, int64_t now_s, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(0);
	AUTO_DOCUMENT struct document *d = NULL;
	struct metafile listed;

	if (document_metafile(c->snapshot, role, &listed, e) < 0 ||
		client_recall(c, slot, role, DOCUMENT_TARGETS, keys, true, e) < 0)
		return -1;
	if (*slot && metafile_is_of(&listed, *slot) && (*slot)->expires_s > now_s)
		return 0;
	if (client_fetch(c, f, role, DOCUMENT_TARGETS, keys, &listed, &bytes, &d, e) < 0)
		return -1;
	return client_accept(c, slot, &d, buf_span(&bytes), now_s, e);
}

static int
update_top_targets(struct tuf_client *c, const struct tuf_fetcher *f, int64_t now_s, struct err *e)
{
	struct metafile listed;
	struct role_keys keys;

	if (document_root_role(c->root, "targets", &keys, e) < 0 ||
		document_metafile(c->snapshot, "targets", &listed, e) < 0 ||
		client_recall(c, &c->targets, "targets", DOCUMENT_TARGETS, &keys, true, e) < 0)
		return -1;
	/* A newer one may have come with a bundle (tuf_take_targets); section 4.3, VERSION. */
	if (c->targets && c->targets->version > listed.version)
		return err_set(e, ERR_UNTRUSTED,
			"the snapshot lists version %" PRIu64
			" of targets.json, but version %" PRIu64 " is known",
			listed.version, c->targets->version);
	if (client_floor_check(c, "targets", c->floor.targets, listed.version, e) < 0)
		return -1;
	return client_update_targets(c, f, "targets", &c->targets, &keys, now_s, e);
}

int
tuf_refresh(struct tuf_client *c, const struct tuf_fetcher *f, int64_t now_s, struct err *e)
{
	c->fresh = false;
	if (client_catch_up(c, e) < 0 || update_root(c, f, now_s, e) < 0 ||
		update_timestamp(c, f, now_s, e) < 0 || update_snapshot(c, f, now_s, e) < 0 ||
		update_top_targets(c, f, now_s, e) < 0 || client_floor_raise(c, e) < 0)
		return -1;
	c->expires_role[0] = '\0';
	client_note_expiry(c, c->root);
	client_note_expiry(c, c->timestamp);
	client_note_expiry(c, c->snapshot);
	client_note_expiry(c, c->targets);
	c->fresh = true;
	return 0;
}

struct document **
client_slot(struct tuf_client *c, const char *role)
{
	struct document **empty = NULL;

	for (size_t i = 0; i < ARRAY_LEN(c->delegated); i++) {
		struct document **slot = &c->delegated[i];

		if (*slot && strcmp((*slot)->role, role) == 0)
			return slot;
		if (!*slot && !empty)
			empty = slot;
	}
	return empty;
}

const json_t *
tuf_document(const struct tuf_client *c, const char *role)
{
	const struct document *const top[] = {c->root, c->timestamp, c->snapshot, c->targets};

	for (size_t i = 0; i < ARRAY_LEN(top) + ARRAY_LEN(c->delegated); i++) {
		const struct document *d =
			i < ARRAY_LEN(top) ? top[i] : c->delegated[i - ARRAY_LEN(top)];

		if (d && strcmp(d->role, role) == 0)
			return d->verified.body;
	}
	return NULL;
}

bool
tuf_loss(struct tuf_client *c, struct err *why)
{
	bool lost = c->loss.class != ERR_NONE;

	if (lost)
		*why = c->loss;
	c->loss = ERR_INIT;
	return lost;
}

int64_t
tuf_expires_s(const struct tuf_client *c, const char **role)
{
	*role = c->expires_role;
	return c->expires_role[0] ? c->expires_s : 0;
}

struct digest
tuf_timestamp_keys(const struct tuf_client *c)
{
	struct digest d = {0};
	struct role_keys keys;

	/* A root that was read has this role; without memory the caller drops its floor. */
	if (document_root_role(c->root, "timestamp", &keys, NULL) == 0)
		(void)role_keys_digest(&keys, &d, NULL);
	return d;
}
