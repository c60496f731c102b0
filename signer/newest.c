/* The newest version of a role: published, waiting in incoming/, or a draft of this workspace. */
#include "signer/newest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/limits.h"
#include "signer/draft.h"
#include "signer/online_key.h"
#include "signer/site.h"

/* Where to look for what is newer than the published version. */
enum newest { IN_INCOMING, IN_DRAFTS_TOO };

static int load(const struct workspace *w, const char *role, enum newest where,
	struct metadata *out, struct err *e);

int
newest_find_authority(const json_t *delegator, struct metadata *m, struct err *e)
{
	const json_t *delegations = json_object_get(delegator, "delegations");
	const json_t *by = delegations ? delegations : delegator;
	const json_t *roles = json_object_get(by, "roles");
	json_t *keys = json_object_get(by, "keys");
	json_t *entry =
		delegations ? delegation_find(roles, m->role) : json_object_get(roles, m->role);

	if (!entry || !keys)
		return err_set(e, ERR_USAGE,
			"there is no role '%s' in this workspace; see `sluice role list`", m->role);
	json_incref(entry);
	json_incref(keys);
	json_decref(m->entry);
	json_decref(m->keys);
	m->entry = entry;
	m->keys = keys;
	return 0;
}

/* The targets.json that is published, in the order of newest; a role that is to be is looked for in
 * what waits, too: it may sign while the ceremony that makes it is still under way. */
static int
load_delegation(const struct workspace *w, enum newest where, struct metadata *m, struct err *e)
{
	AUTO_METADATA struct metadata targets = {0}, waiting = {0};

	if (metadata_load_in_force(w, &targets, e) < 0)
		return -1;
	if (newest_find_authority(targets.body, m, NULL) == 0)
		return 0;
	if (load(w, "targets", where, &waiting, e) < 0)
		return -1;
	return newest_find_authority(waiting.body, m, e);
}

/* Who may sign: root says it of itself and of targets, targets says it of all others. */
static int
load_authority(const struct workspace *w, enum newest where, struct metadata *m, struct err *e)
{
	AUTO_METADATA struct metadata root = {0};

	if (newest_is_root(m))
		return newest_find_authority(m->body, m, e);
	if (strcmp(m->role, "targets") != 0)
		return load_delegation(w, where, m, e);
	return load(w, "root", where, &root, e) < 0 ? -1 : newest_find_authority(root.body, m, e);
}

/* Makes root the document that m edits; takes the reference over. */
static int
adopt(struct metadata *m, json_t *root, struct err *e)
{
	if (!root)
		return err_sys(e, ENOMEM, "%s metadata", m->role);
	json_decref(m->root);
	m->root = root;
	m->body = json_object_get(root, "signed");
	return 0;
}

/* The published version, remembered as it is beside a copy to be edited. */
static int
adopt_published(struct metadata *m, json_t *root, struct err *e)
{
	m->in_force = json_incref(root);
	return adopt(m, json_deep_copy(root), e);
}

static int
adopt_empty(struct metadata *m, struct err *e)
{
	AUTO_JSON json_t *body = json_pack("{s:s, s:s, s:i, s:s, s:{}}", "_type", "targets",
		"spec_version", TUF_SPEC_VERSION, "version", 0, "expires", "", "targets");

	if (!body)
		return err_sys(e, ENOMEM, "%s metadata", m->role);
	return adopt(m, envelope_new(body), e);
}

static int
load_published_root(const struct site *s, struct metadata *m, struct err *e)
{
	const json_t *body;
	json_t *entry;

	if (!s->root)
		return 0;
	body = s->root->verified.body;
	entry = json_object_get(json_object_get(body, "roles"), "root");
	m->published = s->root->version;
	m->former_keys = json_incref(json_object_get(body, "keys"));
	m->former_entry = json_incref(entry);
	return adopt_published(m, s->root->verified.root, e);
}

/* The keys that the published version must have: for targets.json those of the root in force, so
 * that a change of its keys loses nothing of what it says. */
static int
published_keys(const struct site *s, const struct metadata *m, struct role_keys *out, struct err *e)
{
	if (strcmp(m->role, "targets") == 0 && s->root)
		return document_root_role(s->root, "targets", out, e);
	return metadata_keys(m, out, e);
}

static int
load_published(const struct workspace *w, enum newest where, struct metadata *m, struct err *e)
{
	AUTO_SITE struct site s = {0};
	AUTO_DOCUMENT struct document *d = NULL;
	struct role_keys keys;

	if (site_open(w, &s, e) < 0)
		return -1;
	if (newest_is_root(m)) {
		if (load_published_root(&s, m, e) < 0)
			return -1;
		return site_unused_version(&s, m->role, m->published, &m->unused, e);
	}
	if (load_authority(w, where, m, e) < 0 || published_keys(&s, m, &keys, e) < 0 ||
		site_role(&s, m->role, &keys, &m->published, &d, NULL, e) < 0 ||
		site_unused_version(&s, m->role, m->published, &m->unused, e) < 0)
		return -1;
	return d ? adopt_published(m, d->verified.root, e) : adopt_empty(m, e);
}

int
newest_waiting_path(
	const struct workspace *w, const struct metadata *m, char out[PATH_MAX], struct err *e)
{
	char relative[sizeof("incoming/.json") + sizeof(m->role)];

	(void)snprintf(relative, sizeof(relative), "incoming/%s.json", m->role);
	return workspace_path(w, relative, out, e);
}

int
newest_waiting_digest(
	const struct workspace *w, const struct metadata *m, struct digest *out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	char path[PATH_MAX];

	*out = (struct digest){0};
	if (newest_waiting_path(w, m, path, e) < 0)
		return -1;
	/* What cannot be read is told by whoever needs it. */
	if (file_read_regular(path, &bytes, NULL) == 0)
		*out = digest_of(buf_span(&bytes));
	return 0;
}

int
newest_is_current(const struct workspace *w, const struct metadata *m, bool *current, struct err *e)
{
	AUTO_SITE struct site s = {0};
	struct digest incoming;
	char name[sizeof(m->role) + sizeof(".json")];
	json_int_t published;
	uint64_t unused;

	*current = true;
	if (!m->loaded)
		return 0;
	if (site_open(w, &s, e) < 0 || newest_waiting_digest(w, m, &incoming, e) < 0)
		return -1;
	(void)snprintf(name, sizeof(name), "%s.json", m->role);
	published =
		s.snapshot
			? json_integer_value(json_object_get(
				  json_object_get(
					  json_object_get(s.snapshot->verified.body, "meta"), name),
				  "version"))
			: 0;
	if (newest_is_root(m))
		published = s.root ? (json_int_t)s.root->version : 0;
	if (site_unused_version(&s, m->role, (uint64_t)published, &unused, e) < 0)
		return -1;
	*current = digest_equal(&incoming, &m->incoming) && published == (json_int_t)m->published &&
		   unused == m->unused;
	return 0;
}

/* Somebody with a right to has signed it, though not yet everybody who must. A next root says
 * itself who holds it, so there those count who hold the one before. */
static int
check_waiting(struct metadata *m, const char *path, struct err *e)
{
	AUTO_JSON json_t *good = NULL;
	struct role_keys keys;

	if (!metadata_former_keys(m, &keys) && metadata_keys(m, &keys, e) < 0)
		return -1;
	if (envelope_good_signers(m->root, &keys, &good, e) < 0)
		return err_context(e, "%s", path);
	if (json_array_size(good) == 0)
		return err_set(e, ERR_UNTRUSTED,
			"%s is not signed by any key of the role %s; remove it and sign again",
			path, m->role);
	return 0;
}

/* Whether it is the version that is published: then it was only not cleared away yet. */
static int
check_next(const struct metadata *m, const json_t *body, const char *path, bool *published,
	struct err *e)
{
	uint64_t version;

	if (json_get_uint(body, "version", 1, INT64_MAX, &version, e) < 0)
		return err_context(e, "%s", path);
	*published =
		version == m->published && json_equal(body, json_object_get(m->in_force, "signed"));
	if (!*published && (version <= m->published || version > newest_next_version(m)))
		return err_set(e, ERR_REFUSED,
			"%s has version %" PRIu64 ", but version %" PRIu64
			" is published; remove it and sign again",
			path, version, m->published);
	return 0;
}

static int
adopt_next(struct metadata *m, json_t *root, struct err *e)
{
	if (adopt(m, json_incref(root), e) < 0 ||
		(newest_is_root(m) && newest_find_authority(m->body, m, e) < 0))
		return -1;
	json_decref(m->waiting);
	m->waiting = json_deep_copy(m->body);
	return m->waiting ? 0 : err_sys(e, ENOMEM, "%s metadata", m->role);
}

/* What incoming/ has, where drafts/ has `draft` or nothing (NULL). */
static int
adopt_waiting(
	struct metadata *m, json_t *root, const json_t *draft, const char *path, struct err *e)
{
	bool published;
	json_t *body;

	if (json_get_object(root, "signed", &body, e) < 0)
		return err_context(e, "%s", path);
	if (check_next(m, body, path, &published, e) < 0 || published)
		return published ? 0 : -1;
	if (draft && !json_equal(draft, body))
		return err_set(e, ERR_REFUSED,
			"%s is another next version than drafts/%s.json; remove the one that is "
			"not to be",
			path, m->role);
	if (adopt_next(m, root, e) < 0)
		return -1;
	return draft ? 0 : check_waiting(m, path, e);
}

/* What the publisher will look for beside the threshold. */
static int
check_publishable(
	const struct workspace *w, const struct metadata *m, struct span bytes, struct err *e)
{
	AUTO_DOCUMENT struct document *d = NULL;
	struct role_keys keys;

	if (metadata_keys(m, &keys, e) < 0)
		return -1;
	keys.threshold = 1;
	if (document_read(bytes, m->role, DOCUMENT_TARGETS, &keys, &d, e) < 0)
		return -1;
	return metadata_check_content(w, m, e);
}

/* A second owner of all that m refers to. */
static struct metadata
share(const struct metadata *m)
{
	json_incref(m->root);
	json_incref(m->waiting);
	json_incref(m->in_force);
	json_incref(m->keys);
	json_incref(m->entry);
	json_incref(m->former_keys);
	json_incref(m->former_entry);
	return *m;
}

/* Leaves m as it is on failure. */
static int
load_waiting(const struct workspace *w, struct metadata *m, const json_t *draft, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	AUTO_METADATA struct metadata next = share(m);
	AUTO_JSON json_t *root = NULL;
	char path[PATH_MAX];

	if (newest_waiting_path(w, m, path, e) < 0)
		return -1;
	if (!file_exists(path))
		return 0;
	if (file_read_regular(path, &bytes, e) < 0 ||
		json_parse(buf_span(&bytes), path, &root, e) < 0 ||
		adopt_waiting(&next, root, draft, path, e) < 0)
		return -1;
	if (w->sets_aside && next.waiting && !newest_is_root(m) &&
		check_publishable(w, &next, buf_span(&bytes), e) < 0)
		return -1;
	metadata_free(m);
	*m = next;
	next = (struct metadata){0};
	return 0;
}

/* *draft NULL: there is none, or it is published already. */
static int
read_draft(const struct workspace *w, const struct metadata *m, json_t **draft, struct err *e)
{
	AUTO_JSON json_t *body = NULL;
	bool published = false;
	char path[PATH_MAX];

	if (draft_path(w, m->role, path, e) < 0 || draft_read(w, m->role, &body, e) < 0 ||
		(body && check_next(m, body, path, &published, e) < 0))
		return -1;
	*draft = published ? NULL : json_incref(body);
	return 0;
}

static int
load_newer(const struct workspace *w, enum newest where, struct metadata *m, struct err *e)
{
	AUTO_JSON json_t *draft = NULL, *root = NULL;

	/* A stop waits for nobody's draft. */
	if (where == IN_DRAFTS_TOO && !w->sets_aside && read_draft(w, m, &draft, e) < 0)
		return -1;
	if (load_waiting(w, m, draft, e) < 0)
		return -1;
	if (!draft)
		return 0;
	m->drafted = true;
	if (m->waiting)
		return 0;
	root = envelope_new(draft);
	return root ? adopt_next(m, root, e) : err_sys(e, ENOMEM, "%s metadata", m->role);
}

static int
load(const struct workspace *w, const char *role, enum newest where, struct metadata *out,
	struct err *e)
{
	AUTO_METADATA struct metadata m = {0};
	struct err why = ERR_INIT;

	if (!name_is_plain(role) || strlen(role) >= sizeof(m.role))
		return err_set(e, ERR_USAGE, "'%s' cannot be a role's name", role);
	(void)snprintf(m.role, sizeof(m.role), "%s", role);
	m.loaded = true;
	if (newest_waiting_digest(w, &m, &m.incoming, e) < 0 || load_published(w, where, &m, e) < 0)
		return -1;
	if (!w->published_only && load_newer(w, where, &m, &why) < 0) {
		if (!w->sets_aside || !m.root)
			return err_set(e, why.class, "%s", why.text);
		m.leftover = why;
	}
	if (!m.root)
		return err_set(e, ERR_USAGE,
			"this workspace has no root yet; begin with `sluice root init`, or restore "
			"site/ from where it is served");
	if (newest_is_root(&m) && newest_find_authority(m.body, &m, e) < 0)
		return -1;
	*out = m;
	m = (struct metadata){0};
	return 0;
}

int
metadata_load(const struct workspace *w, const char *role, struct metadata *out, struct err *e)
{
	return load(w, role, IN_DRAFTS_TOO, out, e);
}

static bool
has_threshold(const struct metadata *m, const struct role_keys *keys)
{
	AUTO_JSON json_t *good = NULL;

	return envelope_good_signers(m->root, keys, &good, NULL) == 0 &&
	       json_array_size(good) >= keys->threshold;
}

/* Whether all who may publish now may still do so. */
static bool
keeps_every_key(const struct metadata *root)
{
	static const char *const online[] = {"snapshot", "timestamp"};
	json_t *now = json_object_get(json_object_get(root->in_force, "signed"), "roles");

	for (size_t n = 0; n < ARRAY_LEN(online); n++) {
		const json_t *id;
		size_t i;

		json_array_foreach (
			json_object_get(json_object_get(now, online[n]), "keyids"), i, id) {
			if (online_key_dropped(root->body, n == 0 ? json_string_value(id) : NULL,
				    n == 1 ? json_string_value(id) : NULL))
				return false;
		}
	}
	return true;
}

/* Whether who publishes from here may still do so. A root that takes its keys away waits until it
 * has others, and others' work is judged by the root before that for as long: a stop, too, which
 * its own targets.json might give to other keys. Where nothing tells which keys those are, any may
 * be. */
static bool
keeps_online(const struct workspace *w, const struct metadata *root)
{
	char snapshot[DIGEST_HEX_SIZE], timestamp[DIGEST_HEX_SIZE];

	if (!root->in_force || !root->waiting)
		return true;
	if (online_key_id(w->online_snapshot, snapshot, NULL) < 0 ||
		online_key_id(w->online_timestamp, timestamp, NULL) < 0)
		return keeps_every_key(root);
	return !online_key_dropped(root->body, snapshot, timestamp);
}

/* Whether the root that a publisher would take now is the one that is loaded. */
static bool
root_has_signatures(const struct workspace *w)
{
	AUTO_METADATA struct metadata root = {0};
	struct role_keys keys;

	if (load(w, "root", IN_INCOMING, &root, NULL) < 0 || !keeps_online(w, &root))
		return false;
	if (metadata_former_keys(&root, &keys) && !has_threshold(&root, &keys))
		return false;
	return metadata_keys(&root, &keys, NULL) == 0 && has_threshold(&root, &keys);
}

/* The published targets.json, by the published root; m->root stays NULL where there is none. */
static int
load_published_targets(const struct site *s, struct metadata *m, struct err *e)
{
	AUTO_DOCUMENT struct document *d = NULL;
	struct role_keys keys;

	(void)snprintf(m->role, sizeof(m->role), "targets");
	if (!s->root)
		return 0;
	if (newest_find_authority(s->root->verified.body, m, e) < 0 ||
		metadata_keys(m, &keys, e) < 0 ||
		site_role(s, "targets", &keys, &m->published, &d, NULL, e) < 0)
		return -1;
	return d ? adopt_published(m, d->verified.root, e) : 0;
}

int
metadata_load_in_force(const struct workspace *w, struct metadata *out, struct err *e)
{
	AUTO_METADATA struct metadata next = {0}, now = {0};
	AUTO_SITE struct site s = {0};
	struct metadata *best = &next;
	struct role_keys keys;
	struct err why = ERR_INIT;
	bool loaded = load(w, "targets", IN_INCOMING, &next, &why) == 0;

	if (site_open(w, &s, e) < 0)
		return -1;
	if (!loaded || metadata_keys(&next, &keys, NULL) < 0 || !has_threshold(&next, &keys) ||
		!root_has_signatures(w)) {
		if (load_published_targets(&s, &now, e) < 0)
			return -1;
		if (now.root)
			best = &now;
		else if (!loaded)
			return err_set(e, why.class, "%s", why.text);
	}
	*out = *best;
	*best = (struct metadata){0};
	return 0;
}

int
metadata_first_root(json_t *body, struct metadata *out, struct err *e)
{
	AUTO_METADATA struct metadata m = {.role = "root"};

	if (adopt(&m, envelope_new(body), e) < 0 || newest_find_authority(m.body, &m, e) < 0)
		return -1;
	*out = m;
	m = (struct metadata){0};
	return 0;
}

int
metadata_take_over(const struct workspace *w, struct metadata *m, bool *found, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	AUTO_DOCUMENT struct document *none = NULL;
	AUTO_JSON json_t *root = NULL;
	AUTO_SITE struct site s = {0};
	struct role_keys keys;
	uint64_t version;
	json_t *body;

	if (site_open(w, &s, e) < 0 || metadata_keys(m, &keys, e) < 0 ||
		site_role(&s, m->role, &keys, &version, &none, &bytes, e) < 0)
		return -1;
	*found = version > 0;
	if (!*found)
		return 0;
	if (json_parse(buf_span(&bytes), m->role, &root, e) < 0 ||
		json_get_object(root, "signed", &body, e) < 0)
		return err_context(e, "version %" PRIu64 " of %s", version, m->role);
	return adopt(m, envelope_new(body), e);
}
