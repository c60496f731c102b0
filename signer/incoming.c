#include "signer/incoming.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/text.h"
#include "common/limits.h"
#include "signer/copy.h"
#include "signer/draft.h"
#include "signer/online_key.h"
#include "signer/place.h"
#include "signer/standing.h"

void
incoming_free(struct incoming *in)
{
	for (size_t i = 0; i < in->count; i++) {
		buf_free(&in->roles[i].bytes);
		document_free(&in->roles[i].document);
		json_decref(in->roles[i].bulk);
	}
	free(in->roles);
	document_free(&in->published_targets);
	*in = (struct incoming){0};
}

/* For dir_each: incoming/ROLE.json; other files and the folder targets/ are passed over. */
static int
read_one(void *arg, const char *name, struct err *e)
{
	struct incoming *in = arg;
	struct incoming_role *r = in->roles + in->count;
	size_t len = strlen(name), end = strlen(".json");
	char folder[PATH_MAX];

	if (!name_is_plain(name) || !text_ends_with(name, ".json") || len - end > ROLE_NAME_MAX)
		return 0;
	if (in->count == INCOMING_FILES_MAX)
		return err_set(e, ERR_LIMIT,
			"more than %d roles wait in incoming/; take out what is not to be "
			"published",
			INCOMING_FILES_MAX);
	*r = (struct incoming_role){.bytes = BUF_INIT(TUF_TARGETS_BYTES_MAX)};
	(void)snprintf(r->role, sizeof(r->role), "%.*s", (int)(len - end), name);
	if (workspace_path(in->workspace, "incoming", folder, e) < 0 ||
		path_join(r->path, sizeof(r->path), folder, name, e) < 0)
		return -1;
	if (file_read_regular(r->path, &r->bytes, &r->why) < 0)
		r->state = INCOMING_REFUSED;
	in->count++;
	return 0;
}

int
incoming_read(const struct workspace *w, const struct site *s, struct incoming *out, struct err *e)
{
	AUTO_INCOMING struct incoming in = {.workspace = w, .site = s};
	char folder[PATH_MAX];

	in.roles = calloc(INCOMING_FILES_MAX, sizeof(*in.roles));
	if (!in.roles)
		return err_sys(e, ENOMEM, "reading incoming/");
	if (workspace_path(w, "incoming", folder, e) < 0 || dir_make(folder, 0755, e) < 0 ||
		dir_each(folder, INCOMING_ENTRIES_MAX, read_one, &in, e) < 0)
		return -1;
	*out = in;
	in = (struct incoming){0};
	return 0;
}

static struct incoming_role *
incoming_find(struct incoming *in, const char *role)
{
	for (size_t i = 0; i < in->count; i++) {
		if (strcmp(in->roles[i].role, role) == 0)
			return &in->roles[i];
	}
	return NULL;
}

static void
refuse(struct incoming_role *r)
{
	r->state = INCOMING_REFUSED;
	document_free(&r->document);
}

/* Signed by some of those who may, but by too few: that is no fault, it waits for the others. */
static bool
is_waiting(struct span bytes, const struct role_keys *keys)
{
	AUTO_JSON json_t *root = NULL, *good = NULL;

	return json_parse(bytes, "metadata", &root, NULL) == 0 &&
	       envelope_good_signers(root, keys, &good, NULL) == 0 && json_array_size(good) > 0 &&
	       json_array_size(good) < keys->threshold;
}

/* The threshold of keys and every field. */
static bool
read_document(struct incoming_role *r, enum document_type type, const struct role_keys *keys)
{
	document_free(&r->document);
	if (document_read(buf_span(&r->bytes), r->role, type, keys, &r->document, &r->why) == 0)
		return true;
	r->state = is_waiting(buf_span(&r->bytes), keys) ? INCOMING_WAITING : INCOMING_REFUSED;
	return false;
}

/* The version behind the published one; or one behind those that an interrupted publication has
 * taken. Boxes go from one root to the next, so there every one is needed. */
static bool
is_next(const struct incoming *in, const char *role, uint64_t version, uint64_t published)
{
	uint64_t last = published + 1;

	if (strcmp(role, "root") != 0 &&
		site_unused_version(in->site, role, published, &last, NULL) < 0)
		return false;
	return version > published && version <= last;
}

/* The version rule, and an expiry that lies ahead. */
static bool
check_version(const struct incoming *in, struct incoming_role *r, uint64_t published, int64_t now_s)
{
	if (!is_next(in, r->role, r->document->version, published)) {
		(void)err_set(&r->why, ERR_REFUSED,
			"it has version %" PRIu64 ", but %" PRIu64
			" must follow; remove it and sign again",
			r->document->version, published + 1);
		refuse(r);
		return false;
	}
	if (document_check_expiry(r->document, now_s, &r->why) < 0) {
		refuse(r);
		return false;
	}
	return true;
}

/* Sees to it that the content of new targets is in the site, or would be. */
static int
content_take(const struct incoming *in, const struct document *d, const struct document *published,
	struct err *e)
{
	if (in->only_looks)
		return place_look(in->workspace, in->site, d, published, e);
	return place_targets(in->workspace, in->site, d, published, e);
}

/* Whether targets.json of these keys will be the next version when root is published: what would
 * be refused after it leaves a site that no box accepts. */
static bool
brings_targets(struct incoming *in, const struct role_keys *keys, int64_t now_s)
{
	const struct incoming_role *next = incoming_find(in, "targets");
	AUTO_DOCUMENT struct document *d = NULL;
	struct err why = ERR_INIT;

	return next &&
	       document_read(buf_span(&next->bytes), "targets", DOCUMENT_TARGETS, keys, &d, &why) ==
		       0 &&
	       is_next(in, "targets", d->version, in->targets_version) &&
	       document_check_expiry(d, now_s, &why) == 0 &&
	       content_take(in, d, in->published_targets, &why) == 0;
}

/* Whether root would leave targets without a targets.json of its keys. */
static bool
strands_targets(struct incoming *in, struct document *root, int64_t now_s, struct err *why)
{
	struct role_keys keys;

	if (document_root_role(root, "targets", &keys, why) < 0)
		return true;
	if (in->published_targets && document_check(in->published_targets, &keys, why) == 0)
		return false;
	if (brings_targets(in, &keys, now_s))
		return false;
	(void)err_set(why, ERR_REFUSED,
		"its targets keys have not signed the next targets.json (version %" PRIu64
		") yet, and the two must be published together: `sluice metadata renew targets` "
		"with those keys",
		in->targets_version + 1);
	return true;
}

/* Whether root would leave this publisher without the keys that it signs with. To be asked last:
 * who is told to take other keys can publish nothing with them until all else is in order. */
static bool
strands_online(struct incoming *in, const struct document *root, struct err *why)
{
	const char *role;

	if (!in->root)
		return false;
	role = online_key_dropped(root->verified.body, in->online_snapshot, in->online_timestamp);
	if (!role)
		return false;
	in->rekeys = true;
	(void)err_set(why, ERR_REFUSED,
		"its %s key is not the one that workspace.yaml names under `online`; put the path "
		"of the new secret key there and run `sluice publish`",
		role);
	return true;
}

static bool
check_consistent(struct incoming_role *r)
{
	if (json_is_true(json_object_get(r->document->verified.body, "consistent_snapshot")))
		return true;
	(void)err_set(&r->why, ERR_REFUSED,
		"its consistent_snapshot is not true, and this publisher writes nothing else");
	refuse(r);
	return false;
}

int
incoming_check_root(const struct site *s, const struct incoming_role *root, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_ROOT_BYTES_MAX);
	AUTO_JSON json_t *old = NULL;
	char path[PATH_MAX];

	if (site_metadata_path(s, "root", root->document->version, path, e) < 0)
		return -1;
	if (!file_exists(path))
		return 0;
	if (file_read(path, &bytes, e) < 0 || json_parse(buf_span(&bytes), path, &old, e) < 0)
		return -1;
	if (!json_equal(json_object_get(old, "signed"), root->document->verified.body))
		return err_set(e, ERR_REFUSED,
			"%s is another root than incoming/root.json, and boxes that have it accept "
			"no other of this version; restore site/metadata/timestamp.json if it is "
			"lost, else copy that root to incoming/root.json and publish it",
			path);
	return 0;
}

/* The same, where there is a site that can be published without it: stops go out meanwhile. */
static bool
forks_root(const struct incoming *in, struct incoming_role *r)
{
	if (!in->root || incoming_check_root(in->site, r, &r->why) == 0)
		return false;
	refuse(r);
	return true;
}

/* Whether it is what this workspace drafted itself: then those who have signed it first may be its
 * new holders. */
static bool
is_drafted(const struct incoming *in, const struct incoming_role *r)
{
	AUTO_JSON json_t *draft = NULL, *root = NULL;

	return draft_read(in->workspace, r->role, &draft, NULL) == 0 && draft &&
	       json_parse(buf_span(&r->bytes), r->role, &root, NULL) == 0 &&
	       json_equal(draft, json_object_get(root, "signed"));
}

/* By the threshold of the published root; the first one by its own alone. */
static bool
read_root(const struct incoming *in, struct incoming_role *r)
{
	struct role_keys keys;

	if (in->root && document_root_role(in->root, "root", &keys, &r->why) == 0) {
		if (read_document(r, DOCUMENT_ROOT, &keys))
			return true;
		if (r->why.class == ERR_UNTRUSTED && is_drafted(in, r))
			r->state = INCOMING_WAITING;
		return false;
	}
	if (document_read_anchor(buf_span(&r->bytes), &r->document, &r->why) == 0)
		return true;
	r->state = r->why.class == ERR_UNTRUSTED ? INCOMING_WAITING : INCOMING_REFUSED;
	return false;
}

static void
judge_root(struct incoming *in, struct incoming_role *r, int64_t now_s)
{
	struct role_keys own;

	in->root = in->site->root;
	if (!r || r->state != INCOMING_UNSEEN || !read_root(in, r))
		return;
	if (in->root && in->root->version == r->document->version &&
		in->root->length == r->bytes.len &&
		hashes_agree(&in->root->hashes, &r->document->hashes)) {
		r->state = INCOMING_PUBLISHED;
		return;
	}
	if (!check_version(in, r, in->root ? in->root->version : 0, now_s) ||
		!check_consistent(r) || forks_root(in, r))
		return;
	if (document_root_role(r->document, "root", &own, &r->why) < 0 ||
		document_check(r->document, &own, &r->why) < 0 ||
		strands_targets(in, r->document, now_s, &r->why) ||
		strands_online(in, r->document, &r->why)) {
		r->state = INCOMING_WAITING;
		return;
	}
	r->state = INCOMING_ACCEPTED;
	in->root = r->document;
}

struct bulk_look {
	const struct incoming *in;
	struct incoming_role *role;
};

/* Large content has to be in the site, and where that is served; what is in the site may have got
 * no further. */
static int
look_for_bulk(void *arg, const char *path, const json_t *entry, struct err *e)
{
	struct bulk_look *look = arg;
	const json_t *done;
	char name[PATH_MAX];
	bool there;

	if (!place_is_bulk(entry))
		return 0;
	if (place_site_name(look->in->site, path, entry, name, &there, e) < 0)
		return -1;
	done = json_object_get(look->in->carried, name);
	if (json_is_string(done))
		return err_set(e, ERR_REFUSED, "%s", json_string_value(done));
	if (done || (there && !look->in->workspace->push))
		return 0;
	if (!look->role->bulk)
		look->role->bulk = json_object();
	if (json_object_set_new(look->role->bulk, path, json_deep_copy(entry)) < 0)
		return err_sys(e, ENOMEM, "%s", path);
	return 0;
}

/* The content of new targets goes into place. The top-level role is not deferred where there is no
 * other that boxes would take meanwhile: the first, or the first of new keys, with whose root it
 * has to be published. */
static void
take_content(const struct incoming *in, struct incoming_role *r, const struct document *published)
{
	struct bulk_look look = {in, r};
	int rc = 0;

	r->at_once = !published && strcmp(r->role, "targets") == 0;
	if (!r->at_once)
		rc = place_each_new(r->document, published, look_for_bulk, &look, &r->why);
	if (rc == 0 && r->bulk) {
		(void)err_set(
			&r->why, ERR_REFUSED, "its content is large and has not been copied yet");
		r->state = INCOMING_DEFERRED;
		return;
	}
	if (rc == 0)
		rc = content_take(in, r->document, published, &r->why);
	if (rc < 0)
		refuse(r);
	else
		r->state = INCOMING_ACCEPTED;
}

/* A targets role by its keys. */
static int
judge_targets(struct incoming *in, struct incoming_role *r, const struct role_keys *keys,
	int64_t now_s, struct err *e)
{
	AUTO_BUF struct buf current = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	AUTO_DOCUMENT struct document *published = NULL;
	uint64_t version;

	if (r->state != INCOMING_UNSEEN || !read_document(r, DOCUMENT_TARGETS, keys))
		return 0;
	if (site_role(in->site, r->role, keys, &version, &published, &current, e) < 0)
		return -1;
	/* Somebody may have added a signature more. */
	if ((version > 0 && span_equal(buf_span(&current), buf_span(&r->bytes))) ||
		(published && json_equal(published->verified.body, r->document->verified.body))) {
		r->state = INCOMING_PUBLISHED;
		return 0;
	}
	if (check_version(in, r, version, now_s))
		take_content(in, r, published);
	if (r->state == INCOMING_ACCEPTED && in->targets &&
		standing_check(
			in->workspace, in->site, in->targets, published, r->document, &r->why) < 0)
		refuse(r);
	return 0;
}

/* Whether a targets.json was signed by keys that only a next root gives that right, which waits
 * itself. */
static bool
waits_for_root(struct incoming *in, const struct incoming_role *targets)
{
	const struct incoming_role *root = incoming_find(in, "root");
	AUTO_JSON json_t *next = NULL, *envelope = NULL, *good = NULL;
	struct role_keys keys = {.threshold = 1};
	json_t *body, *entry;

	if (!root || root->state != INCOMING_WAITING ||
		json_parse(buf_span(&root->bytes), "root", &next, NULL) < 0 ||
		json_parse(buf_span(&targets->bytes), "targets", &envelope, NULL) < 0)
		return false;
	body = json_object_get(next, "signed");
	entry = json_object_get(json_object_get(body, "roles"), "targets");
	keys.keys = json_object_get(body, "keys");
	keys.keyids = json_object_get(entry, "keyids");
	return envelope_good_signers(envelope, &keys, &good, NULL) == 0 &&
	       json_array_size(good) > 0;
}

static int
judge_top_targets(struct incoming *in, struct incoming_role *r, int64_t now_s, struct err *e)
{
	struct role_keys keys;

	in->targets = in->published_targets;
	if (!in->root || !r)
		return 0;
	if (document_root_role(in->root, "targets", &keys, e) < 0 ||
		judge_targets(in, r, &keys, now_s, e) < 0)
		return -1;
	if (r->state == INCOMING_ACCEPTED)
		in->targets = r->document;
	if (r->state == INCOMING_REFUSED && waits_for_root(in, r)) {
		r->state = INCOMING_WAITING;
		(void)err_set(&r->why, ERR_REFUSED,
			"its keys are those of the next root, which waits, too");
	}
	return 0;
}

static int
judge_delegated(struct incoming *in, struct incoming_role *r, int64_t now_s, struct err *e)
{
	const json_t *delegation =
		in->targets ? delegation_find(document_delegations(in->targets), r->role) : NULL;
	struct role_keys keys;

	if (r->state != INCOMING_UNSEEN)
		return 0;
	if (!delegation) {
		(void)err_set(&r->why, ERR_REFUSED, "targets.json delegates nothing to it yet");
		r->state = INCOMING_WAITING;
		return 0;
	}
	if (document_delegation_keys(in->targets, delegation, &keys, e) < 0)
		return -1;
	return judge_targets(in, r, &keys, now_s, e);
}

static int
read_published_targets(struct incoming *in, struct err *e)
{
	struct role_keys keys;

	if (!in->site->root)
		return 0;
	if (document_root_role(in->site->root, "targets", &keys, e) < 0)
		return -1;
	return site_role(
		in->site, "targets", &keys, &in->targets_version, &in->published_targets, NULL, e);
}

int
incoming_judge(struct incoming *in, int64_t now_s, struct err *e)
{
	if (read_published_targets(in, e) < 0)
		return -1;
	judge_root(in, incoming_find(in, "root"), now_s);
	if (judge_top_targets(in, incoming_find(in, "targets"), now_s, e) < 0)
		return -1;
	for (size_t i = 0; i < in->count; i++) {
		if (judge_delegated(in, &in->roles[i], now_s, e) < 0)
			return -1;
	}
	return 0;
}

int
incoming_lock(const struct workspace *w, int *lock, struct err *e)
{
	return workspace_lock(
		w, "incoming.lock", "another command that signs", INCOMING_WAIT_MS, lock, e);
}

bool
incoming_is_current(const struct incoming *in)
{
	for (size_t i = 0; i < in->count; i++) {
		const struct incoming_role *r = &in->roles[i];
		struct digest sha256 = digest_of(buf_span(&r->bytes));
		bool same;

		/* What could not be read is nobody's next version. */
		if (r->bytes.len > 0 &&
			(copy_is(r->path, r->bytes.len, &sha256, &same, NULL) < 0 || !same))
			return false;
	}
	return true;
}

int
incoming_clear(const struct incoming *in, const struct incoming_role *r, struct err *e)
{
	struct digest sha256 = digest_of(buf_span(&r->bytes));
	AUTO_CLOSE int lock = -1;
	bool same;

	/* Another publisher may be clearing, too. */
	if (copy_is(r->path, r->bytes.len, &sha256, &same, NULL) < 0 || !same)
		return 0;
	if (strcmp(r->role, "root") != 0 && r->document &&
		place_clear(in->workspace, r->document, e) < 0)
		return -1;
	if (r->document && draft_forget(in->workspace, r->role, r->document->verified.body, e) < 0)
		return -1;
	/* Nobody finds it away for a moment, and signs as if nothing had lain there. */
	if (incoming_lock(in->workspace, &lock, e) < 0)
		return -1;
	return copy_remove_if(r->path, r->bytes.len, &sha256, e);
}
