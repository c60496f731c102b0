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
#include "signer/draft.h"
#include "signer/incoming.h"
#include "signer/newest.h"

void
metadata_free(struct metadata *m)
{
	json_decref(m->root);
	json_decref(m->waiting);
	json_decref(m->in_force);
	json_decref(m->keys);
	json_decref(m->entry);
	json_decref(m->former_keys);
	json_decref(m->former_entry);
	*m = (struct metadata){0};
}

/* Keys and threshold of a role's entry. */
static int
entry_keys(const json_t *keys, const json_t *entry, struct role_keys *out, struct err *e)
{
	struct role_keys k = {.keys = keys};
	json_t *keyids;

	if (json_get_array(entry, "keyids", TUF_KEYS_MAX, &keyids, e) < 0 ||
		json_get_uint(entry, "threshold", 1, INT64_MAX, &k.threshold, e) < 0)
		return -1;
	k.keyids = keyids;
	*out = k;
	return 0;
}

int
metadata_keys(const struct metadata *m, struct role_keys *out, struct err *e)
{
	if (entry_keys(m->keys, m->entry, out, e) < 0)
		return err_context(e, "role %s", m->role);
	return 0;
}

int
metadata_follow(struct metadata *m, const struct metadata *root, struct err *e)
{
	return newest_find_authority(root->body, m, e);
}

bool
metadata_former_keys(const struct metadata *m, struct role_keys *out)
{
	return m->former_entry && entry_keys(m->former_keys, m->former_entry, out, NULL) == 0;
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

const json_t *
metadata_find_in_force(const struct metadata *m, const char *path)
{
	const json_t *body = json_object_get(m->in_force, "signed");

	return json_object_get(json_object_get(body, "targets"), path);
}

/* By what the role is for, whatever it is called: gates that are stale open nothing, releases may
 * stand for long. */
static uint64_t
life_of(const struct workspace *w, const struct metadata *m)
{
	const char *pattern =
		json_string_value(json_array_get(json_object_get(m->entry, "paths"), 0));

	if (newest_is_root(m))
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
	int64_t expires_s = m->expires_s ? m->expires_s : clock_wall_s() + (int64_t)life_of(w, m);
	char text[CLOCK_TEXT_SIZE];

	if (json_object_set_new(
		    m->body, "version", json_integer((json_int_t)newest_next_version(m))) < 0 ||
		json_object_set_new(
			m->body, "expires", json_string(clock_format(expires_s, text))) < 0 ||
		json_object_set_new(m->root, "signatures", json_array()) < 0)
		return err_sys(e, ENOMEM, "%s metadata", m->role);
	return 0;
}

int
metadata_check_signer(const struct metadata *m, const struct signer *s, struct err *e)
{
	struct role_keys keys, former;

	if (!s->keyid[0])
		return 0;
	if (metadata_keys(m, &keys, e) < 0)
		return -1;
	if (json_has_text(keys.keyids, s->keyid) ||
		(metadata_former_keys(m, &former) && json_has_text(former.keyids, s->keyid)))
		return 0;
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

/* Between two people who sign at the same time the first one's work stays, and so does what a
 * publisher is making a version of. The lock is held for moments only, never while somebody is
 * asked. */
static int
still_current(const struct workspace *w, const struct metadata *m, int *lock, struct err *e)
{
	bool current;

	if (incoming_lock(w, lock, e) < 0 || newest_is_current(w, m, &current, e) < 0)
		return -1;
	if (current)
		return 0;
	(void)err_set(e, ERR_REFUSED,
		"somebody else has just signed the role %s, and what they did would be lost; do "
		"this again",
		m->role);
	if (e)
		e->errnum = EAGAIN;
	return -1;
}

bool
metadata_was_overtaken(const struct err *e)
{
	return e->class == ERR_REFUSED && e->errnum == EAGAIN;
}

static int
drop_in(const struct workspace *w, struct metadata *m, struct err *e)
{
	AUTO_FREE char *text = json_dumps(m->root, JSON_COMPACT | JSON_SORT_KEYS);
	AUTO_CLOSE int lock = -1;
	char path[PATH_MAX];

	if (!text)
		return err_sys(e, ENOMEM, "%s metadata", m->role);
	if (still_current(w, m, &lock, e) < 0 || workspace_path(w, "incoming", path, e) < 0 ||
		dir_make(path, 0755, e) < 0 || newest_waiting_path(w, m, path, e) < 0 ||
		set_aside(m, path, e) < 0 || file_replace(path, 0644, span_str(text), e) < 0)
		return -1;
	m->incoming = digest_of(span_str(text));
	return 0;
}

/* The publisher would refuse it, however many have signed it. */
static bool
is_expired(const struct metadata *m)
{
	const char *text = json_string_value(json_object_get(m->body, "expires"));
	int64_t expires_s;

	return !text || clock_parse(text, &expires_s, NULL) < 0 || expires_s <= clock_wall_s();
}

/* Whether it is what incoming/ or drafts/ has, and may stay that. */
static bool
is_same(const struct metadata *m)
{
	const char *text = json_string_value(json_object_get(m->body, "expires"));
	char wanted[CLOCK_TEXT_SIZE];

	if (!m->waiting || !json_equal(m->waiting, m->body) || is_expired(m))
		return false;
	return !m->expires_s || strcmp(text, clock_format(m->expires_s, wanted)) == 0;
}

int
metadata_prepare(const struct workspace *w, struct metadata *m, struct err *e)
{
	if (newest_is_root(m) && newest_find_authority(m->body, m, e) < 0)
		return -1;
	if (m->prepared && json_equal(m->waiting, m->body))
		return 0;
	if (!is_same(m)) {
		if (renew(w, m, e) < 0)
			return -1;
		json_decref(m->waiting);
		m->waiting = json_deep_copy(m->body);
		if (!m->waiting)
			return err_sys(e, ENOMEM, "%s metadata", m->role);
	}
	m->prepared = true;
	return 0;
}

/* For others to sign. Signatures of an older version that wait are void, and would wait in vain. */
static int
put_draft(const struct workspace *w, const struct metadata *m, struct err *e)
{
	char path[PATH_MAX];

	if (json_array_size(json_object_get(m->root, "signatures")) > 0)
		return 0;
	if (draft_write(w, m->role, m->body, e) < 0 || newest_waiting_path(w, m, path, e) < 0)
		return -1;
	return file_exists(path) ? file_remove(path, e) : 0;
}

int
metadata_sign(const struct workspace *w, struct metadata *m, const struct signer *s, struct err *e)
{
	if (metadata_prepare(w, m, e) < 0 || metadata_check_signer(m, s, e) < 0)
		return -1;
	if (!s->keyid[0])
		return put_draft(w, m, e);
	if (envelope_sign(m->root, s, e) < 0 ||
		((m->drafted || newest_is_root(m)) && draft_write(w, m->role, m->body, e) < 0))
		return -1;
	return drop_in(w, m, e);
}

int
metadata_receive(
	const struct workspace *w, const struct metadata *seen, json_t *envelope, struct err *e)
{
	struct metadata m = *seen;

	m.root = envelope;
	if (newest_is_root(&m) &&
		draft_write(w, m.role, json_object_get(envelope, "signed"), e) < 0)
		return -1;
	return drop_in(w, &m, e);
}
