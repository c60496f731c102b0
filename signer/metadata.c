#include "signer/metadata.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/random.h"
#include "common/limits.h"
#include "common/tuf/path.h"
#include "signer/site.h"

void
metadata_free(struct metadata *m)
{
	json_decref(m->root);
	json_decref(m->waiting);
	json_decref(m->keys);
	json_decref(m->entry);
	*m = (struct metadata){0};
}

static bool
is_root(const struct metadata *m)
{
	return strcmp(m->role, "root") == 0;
}

/* Finds role's keys and entry in its delegator: roles by name in root, an ordered list in targets.
 */
static int
find_authority(const json_t *delegator, struct metadata *m, struct err *e)
{
	const json_t *delegations = json_object_get(delegator, "delegations");
	json_t *entry = json_object_get(json_object_get(delegator, "roles"), m->role), *each;
	json_t *keys = json_object_get(delegations ? delegations : delegator, "keys");
	size_t i;

	json_array_foreach (json_object_get(delegations, "roles"), i, each) {
		const char *name = json_string_value(json_object_get(each, "name"));

		if (name && strcmp(name, m->role) == 0)
			entry = each;
	}
	if (!entry || !keys)
		return err_set(e, ERR_USAGE,
			"there is no role '%s' in this workspace; see `sluice role list`", m->role);
	json_decref(m->entry);
	json_decref(m->keys);
	m->entry = json_incref(entry);
	m->keys = json_incref(keys);
	return 0;
}

/* A role that is to be is looked for in what waits, too: it may sign while the ceremony that makes
 * it is still under way. */
static int
load_delegation(const struct workspace *w, struct metadata *m, struct err *e)
{
	AUTO_METADATA struct metadata targets = {0}, waiting = {0};

	if (metadata_load_in_force(w, &targets, e) < 0)
		return -1;
	if (find_authority(targets.body, m, NULL) == 0)
		return 0;
	if (metadata_load(w, "targets", &waiting, e) < 0)
		return -1;
	return find_authority(waiting.body, m, e);
}

/* Who may sign: root says it of itself and of targets, targets says it of all others. */
static int
load_authority(const struct workspace *w, struct metadata *m, struct err *e)
{
	AUTO_METADATA struct metadata root = {0};

	if (is_root(m))
		return find_authority(m->body, m, e);
	if (strcmp(m->role, "targets") != 0)
		return load_delegation(w, m, e);
	return metadata_load(w, "root", &root, e) < 0 ? -1 : find_authority(root.body, m, e);
}

int
metadata_keys(const struct metadata *m, struct role_keys *out, struct err *e)
{
	struct role_keys k = {.keys = m->keys};
	json_t *keyids;

	if (json_get_array(m->entry, "keyids", TUF_KEYS_MAX, &keyids, e) < 0 ||
		json_get_uint(m->entry, "threshold", 1, INT64_MAX, &k.threshold, e) < 0)
		return err_context(e, "role %s", m->role);
	k.keyids = keyids;
	*out = k;
	return 0;
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
	if (!s->root)
		return 0;
	m->published = s->root->version;
	return adopt(m, json_incref(s->root->verified.root), e);
}

static int
load_published(const struct workspace *w, struct metadata *m, struct err *e)
{
	AUTO_SITE struct site s = {0};
	AUTO_DOCUMENT struct document *d = NULL;
	struct role_keys keys;

	if (site_open(w, &s, e) < 0)
		return -1;
	if (is_root(m))
		return load_published_root(&s, m, e);
	if (load_authority(w, m, e) < 0 || metadata_keys(m, &keys, e) < 0 ||
		site_role(&s, m->role, &keys, &m->published, &d, NULL, e) < 0)
		return -1;
	return d ? adopt(m, json_incref(d->verified.root), e) : adopt_empty(m, e);
}

static int
waiting_path(const struct workspace *w, const struct metadata *m, char out[PATH_MAX], struct err *e)
{
	char relative[sizeof("incoming/.json") + sizeof(m->role)];

	(void)snprintf(relative, sizeof(relative), "incoming/%s.json", m->role);
	return workspace_path(w, relative, out, e);
}

/* Somebody with a right to has signed it, though not yet everybody who must. */
static int
check_waiting(struct metadata *m, const char *path, struct err *e)
{
	AUTO_JSON json_t *good = NULL;
	struct role_keys keys;

	if (metadata_keys(m, &keys, e) < 0 || envelope_good_signers(m->root, &keys, &good, e) < 0)
		return err_context(e, "%s", path);
	if (json_array_size(good) == 0)
		return err_set(e, ERR_UNTRUSTED,
			"%s is not signed by any key of the role %s; remove it and sign again",
			path, m->role);
	return 0;
}

static int
adopt_waiting(struct metadata *m, json_t *root, const char *path, struct err *e)
{
	uint64_t version;
	json_t *body;

	if (json_get_object(root, "signed", &body, e) < 0 ||
		json_get_uint(body, "version", 1, INT64_MAX, &version, e) < 0)
		return err_context(e, "%s", path);
	/* Published, but the publisher was interrupted before it cleared it away. */
	if (version == m->published && json_equal(body, m->body))
		return 0;
	if (version != m->published + 1)
		return err_set(e, ERR_REFUSED,
			"%s has version %" PRIu64 ", but version %" PRIu64
			" is published; remove it and sign again",
			path, version, m->published);
	if (adopt(m, json_incref(root), e) < 0 || (is_root(m) && find_authority(m->body, m, e) < 0))
		return -1;
	m->waiting = json_deep_copy(m->body);
	if (!m->waiting)
		return err_sys(e, ENOMEM, "%s", path);
	return check_waiting(m, path, e);
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

/* Leaves m as it is on failure. */
static int
load_waiting(const struct workspace *w, struct metadata *m, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	AUTO_METADATA struct metadata next = *m;
	AUTO_JSON json_t *root = NULL;
	char path[PATH_MAX];

	json_incref(next.root);
	json_incref(next.keys);
	json_incref(next.entry);
	if (waiting_path(w, m, path, e) < 0)
		return -1;
	if (!file_exists(path))
		return 0;
	if (file_read_regular(path, &bytes, e) < 0 ||
		json_parse(buf_span(&bytes), path, &root, e) < 0 ||
		adopt_waiting(&next, root, path, e) < 0)
		return -1;
	if (w->sets_aside && next.waiting && !is_root(m) &&
		check_publishable(w, &next, buf_span(&bytes), e) < 0)
		return -1;
	metadata_free(m);
	*m = next;
	next = (struct metadata){0};
	return 0;
}

int
metadata_load(const struct workspace *w, const char *role, struct metadata *out, struct err *e)
{
	AUTO_METADATA struct metadata m = {0};
	struct err why = ERR_INIT;

	if (!name_is_plain(role) || strlen(role) >= sizeof(m.role))
		return err_set(e, ERR_USAGE, "'%s' cannot be a role's name", role);
	(void)snprintf(m.role, sizeof(m.role), "%s", role);
	if (load_published(w, &m, e) < 0)
		return -1;
	if (load_waiting(w, &m, &why) < 0) {
		if (!w->sets_aside || !m.root)
			return err_set(e, why.class, "%s", why.text);
		m.leftover = why;
	}
	if (!m.root)
		return err_set(e, ERR_USAGE,
			"this workspace has no root yet; begin with `sluice root init`");
	if (is_root(&m) && find_authority(m.body, &m, e) < 0)
		return -1;
	*out = m;
	m = (struct metadata){0};
	return 0;
}

static bool
has_threshold(const struct metadata *m, const struct role_keys *keys)
{
	AUTO_JSON json_t *good = NULL;

	return envelope_good_signers(m->root, keys, &good, NULL) == 0 &&
	       json_array_size(good) >= keys->threshold;
}

/* Whether the root that a publisher would take now is the one that is loaded. */
static bool
root_has_signatures(const struct workspace *w, const struct site *s)
{
	AUTO_METADATA struct metadata root = {0};
	struct role_keys keys;

	if (metadata_load(w, "root", &root, NULL) < 0)
		return false;
	if (s->root && (document_root_role(s->root, "root", &keys, NULL) < 0 ||
			       !has_threshold(&root, &keys)))
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
	if (find_authority(s->root->verified.body, m, e) < 0 || metadata_keys(m, &keys, e) < 0 ||
		site_role(s, "targets", &keys, &m->published, &d, NULL, e) < 0)
		return -1;
	return d ? adopt(m, json_incref(d->verified.root), e) : 0;
}

int
metadata_load_in_force(const struct workspace *w, struct metadata *out, struct err *e)
{
	AUTO_METADATA struct metadata next = {0}, now = {0};
	AUTO_SITE struct site s = {0};
	struct metadata *best = &next;
	struct role_keys keys;
	struct err why = ERR_INIT;
	bool loaded = metadata_load(w, "targets", &next, &why) == 0;

	if (site_open(w, &s, e) < 0)
		return -1;
	if (!loaded || metadata_keys(&next, &keys, NULL) < 0 || !has_threshold(&next, &keys) ||
		!root_has_signatures(w, &s)) {
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

	if (adopt(&m, envelope_new(body), e) < 0 || find_authority(m.body, &m, e) < 0)
		return -1;
	*out = m;
	m = (struct metadata){0};
	return 0;
}

bool
metadata_has_leftover(const struct metadata *m)
{
	return m->leftover.text[0] != '\0';
}

bool
metadata_path_valid(const char *path)
{
	char component[NAME_MAX + 1];

	if (strlen(path) > TUF_PATH_MAX)
		return false;
	for (;;) {
		size_t len = strcspn(path, "/");

		if (len >= sizeof(component))
			return false;
		memcpy(component, path, len);
		component[len] = '\0';
		if (!name_is_plain(component))
			return false;
		if (!path[len])
			return true;
		path += len + 1;
	}
}

int
metadata_put(struct metadata *m, const struct metadata_target *t, struct err *e)
{
	struct digest of_path = digest_of(span_str(t->path));
	char hex[DIGEST_HEX_SIZE];
	json_t *entry;

	if (!metadata_path_valid(t->path))
		return err_set(e, ERR_REFUSED, "'%s' cannot be a target's path", t->path);
	if (strcmp(m->role, "targets") != 0 &&
		!path_is_delegated(m->entry, t->path, digest_hex(&of_path, hex)))
		return err_set(e, ERR_REFUSED,
			"the role %s has no right to %s; see `sluice role list`", m->role, t->path);
	entry = json_pack("{s:I, s:{s:s}}", "length", (json_int_t)t->length, "hashes", "sha256",
		digest_hex(&t->sha256, hex));
	if (!entry || (t->custom && json_object_set(entry, "custom", t->custom) < 0) ||
		json_object_set_new(json_object_get(m->body, "targets"), t->path, entry) < 0)
		return err_sys(e, ENOMEM, "listing %s", t->path);
	return 0;
}

int
metadata_remove(struct metadata *m, const char *path, struct err *e)
{
	if (json_object_del(json_object_get(m->body, "targets"), path) < 0)
		return err_set(e, ERR_USAGE, "the role %s does not list %s", m->role, path);
	return 0;
}

const json_t *
metadata_find(const struct metadata *m, const char *path)
{
	return json_object_get(json_object_get(m->body, "targets"), path);
}

/* By what the role is for, whatever it is called: gates that are stale open nothing, releases may
 * stand for long. */
static uint64_t
life_of(const struct workspace *w, const struct metadata *m)
{
	const char *pattern =
		json_string_value(json_array_get(json_object_get(m->entry, "paths"), 0));

	if (is_root(m))
		return w->root_life_s;
	if (strcmp(m->role, "targets") == 0)
		return w->targets_life_s;
	if (pattern && strncmp(pattern, "gates/", strlen("gates/")) == 0)
		return w->gates_life_s;
	if (pattern && strncmp(pattern, "rollouts/", strlen("rollouts/")) == 0)
		return w->rollouts_life_s;
	return w->releases_life_s;
}

/* A new version, which nobody has signed yet. */
static int
renew(const struct workspace *w, struct metadata *m, struct err *e)
{
	int64_t expires_s = clock_wall_s() + (int64_t)life_of(w, m);
	char text[CLOCK_TEXT_MAX];

	if (json_object_set_new(m->body, "version", json_integer((json_int_t)m->published + 1)) <
			0 ||
		json_object_set_new(
			m->body, "expires", json_string(clock_format(expires_s, text))) < 0 ||
		json_object_set_new(m->root, "signatures", json_array()) < 0)
		return err_sys(e, ENOMEM, "%s metadata", m->role);
	return 0;
}

int
metadata_check_signer(const struct metadata *m, const struct signer *s, struct err *e)
{
	struct role_keys keys;
	const json_t *id;
	size_t i;

	if (metadata_keys(m, &keys, e) < 0)
		return -1;
	json_array_foreach (keys.keyids, i, id) {
		if (json_is_string(id) && strcmp(json_string_value(id), s->keyid) == 0)
			return 0;
	}
	return err_set(e, ERR_REFUSED,
		"the key %.16s is not one of the role %s; `sluice role list` shows which are",
		s->keyid, m->role);
}

/* Kept, for whoever wants to know what it was; not where the publisher looks. */
static int
set_aside(const struct metadata *m, const char *path, struct err *e)
{
	char aside[PATH_MAX], tag[9];

	if (!metadata_has_leftover(m))
		return 0;
	random_hex(4, tag);
	if ((size_t)snprintf(aside, sizeof(aside), "%s.aside-%s", path, tag) >= sizeof(aside))
		return err_set(e, ERR_LIMIT, "the path %s is too long", path);
	return file_rename(path, aside, e);
}

static int
drop_in(const struct workspace *w, const struct metadata *m, struct err *e)
{
	AUTO_FREE char *text = json_dumps(m->root, JSON_COMPACT | JSON_SORT_KEYS);
	char path[PATH_MAX];

	if (!text)
		return err_sys(e, ENOMEM, "%s metadata", m->role);
	if (workspace_path(w, "incoming", path, e) < 0 || dir_make(path, 0755, e) < 0 ||
		waiting_path(w, m, path, e) < 0 || set_aside(m, path, e) < 0)
		return -1;
	return file_replace(path, 0644, span_str(text), e);
}

/* The publisher would refuse it, however many have signed it. */
static bool
is_expired(const struct metadata *m)
{
	const char *text = json_string_value(json_object_get(m->body, "expires"));
	int64_t expires_s;

	return !text || clock_parse(text, &expires_s, NULL) < 0 || expires_s <= clock_wall_s();
}

int
metadata_sign(const struct workspace *w, struct metadata *m, const struct signer *s, struct err *e)
{
	bool same = m->waiting && json_equal(m->waiting, m->body) && !is_expired(m);

	if (is_root(m) && find_authority(m->body, m, e) < 0)
		return -1;
	if (metadata_check_signer(m, s, e) < 0 || (!same && renew(w, m, e) < 0) ||
		envelope_sign(m->root, s, e) < 0 || drop_in(w, m, e) < 0)
		return -1;
	if (same)
		return 0;
	json_decref(m->waiting);
	m->waiting = json_deep_copy(m->body);
	return m->waiting ? 0 : err_sys(e, ENOMEM, "%s metadata", m->role);
}
