#include "common/tuf/field.h"

#include <errno.h>
#include <string.h>

#include "common/base/num.h"
#include "common/crypto/pubkey.h"
#include "common/limits.h"

static const char *const top_level[] = {"root", "timestamp", "snapshot", "targets"};

static bool
is_top_level(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(top_level); i++) {
		if (strcmp(top_level[i], name) == 0)
			return true;
	}
	return false;
}

static int
read_keys(const json_t *object, json_t **out, struct err *e)
{
	AUTO_JSON json_t *right = json_object();
	json_t *keys, *key;
	const char *id;

	if (json_get_object(object, "keys", &keys, e) < 0)
		return -1;
	if (json_object_size(keys) > TUF_KEYS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d keys", TUF_KEYS_MAX);
	json_object_foreach (keys, id, key) {
		char computed[DIGEST_HEX_SIZE];

		if (pubkey_id(key, computed, e) < 0)
			return err_context(e, "key %.64s", id);
		if (strcmp(computed, id) == 0 && json_object_set(right, id, key) < 0)
			return err_sys(e, ENOMEM, "keys");
	}
	*out = TAKE_PTR(right);
	return 0;
}

static int
check_strings(const json_t *object, const char *key, struct err *e)
{
	json_t *list, *item;
	size_t i;

	if (json_get_array(object, key, TUF_TARGETS_BYTES_MAX, &list, e) < 0)
		return -1;
	json_array_foreach (list, i, item) {
		if (!json_is_string(item))
			return err_set(
				e, ERR_MALFORMED, "'%s' holds something else than strings", key);
	}
	return 0;
}

static int
check_role(const json_t *role, struct err *e)
{
	uint64_t threshold;

	if (check_strings(role, "keyids", e) < 0)
		return -1;
	return json_get_uint(role, "threshold", 1, INT64_MAX, &threshold, e);
}

int
field_read_root(const json_t *body, json_t **keys, struct err *e)
{
	AUTO_JSON json_t *right = NULL;
	json_t *roles, *role;
	bool consistent;

	if (json_object_get(body, "consistent_snapshot") &&
		json_get_bool(body, "consistent_snapshot", &consistent, e) < 0)
		return -1;
	if (json_get_object(body, "roles", &roles, e) < 0 || read_keys(body, &right, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(top_level); i++) {
		if (json_get_object(roles, top_level[i], &role, e) < 0 || check_role(role, e) < 0)
			return err_context(e, "role %s", top_level[i]);
	}
	*keys = TAKE_PTR(right);
	return 0;
}

int
field_read_metafile(const json_t *entry, struct metafile *out, struct err *e)
{
	struct metafile m = {0};
	const json_t *hashes = json_object_get(entry, "hashes");

	if (json_get_uint(entry, "version", 1, INT64_MAX, &m.version, e) < 0)
		return -1;
	if (json_object_get(entry, "length") &&
		json_get_uint(entry, "length", 1, INT64_MAX, &m.length, e) < 0)
		return -1;
	if (hashes && hashes_read(hashes, &m.hashes, e) < 0)
		return -1;
	m.has_hashes = hashes != NULL;
	*out = m;
	return 0;
}

int
field_check_metafiles(const json_t *body, const char *must, struct err *e)
{
	json_t *meta, *entry;
	const char *name;

	if (json_get_object(body, "meta", &meta, e) < 0)
		return -1;
	if (!json_object_get(meta, must))
		return err_set(e, ERR_MALFORMED, "'meta' does not list %s", must);
	json_object_foreach (meta, name, entry) {
		struct metafile ignored;

		if (field_read_metafile(entry, &ignored, e) < 0)
			return err_context(e, "'meta', %.80s", name);
	}
	return 0;
}

static bool
is_hex_prefix(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len < DIGEST_HEX_SIZE && strspn(text, "0123456789abcdef") == len;
}

/* "paths" or "path_hash_prefixes": exactly one. */
static int
check_scope(const json_t *role, struct err *e)
{
	const json_t *prefixes = json_object_get(role, "path_hash_prefixes"), *item;
	size_t i;

	if ((prefixes != NULL) == (json_object_get(role, "paths") != NULL))
		return err_set(e, ERR_MALFORMED,
			"one of 'paths' and 'path_hash_prefixes' must be there, and only one");
	if (!prefixes)
		return check_strings(role, "paths", e);
	if (check_strings(role, "path_hash_prefixes", e) < 0)
		return -1;
	json_array_foreach (prefixes, i, item) {
		if (!is_hex_prefix(json_string_value(item)))
			return err_set(e, ERR_MALFORMED,
				"a path hash prefix is not 1 to 64 digits of lower-case "
				"hexadecimal");
	}
	return 0;
}

static int
check_delegation(const json_t *role, json_t *seen, struct err *e)
{
	const char *name;
	bool terminating;

	if (json_get_string(role, "name", ROLE_NAME_MAX, &name, e) < 0)
		return -1;
	/* A delegated role's files would take the place of the top-level role's. */
	if (!*name || is_top_level(name))
		return err_set(e, ERR_MALFORMED, "'%s' cannot be delegated to", name);
	if (json_object_get(seen, name))
		return err_set(e, ERR_MALFORMED, "'%s' is delegated to twice", name);
	if (json_object_set_new(seen, name, json_true()) < 0)
		return err_set(e, ERR_MALFORMED, "'%s' is no name for a role", name);
	if (json_object_get(role, "terminating") &&
		json_get_bool(role, "terminating", &terminating, e) < 0)
		return err_context(e, "role %s", name);
	if (check_role(role, e) < 0 || check_scope(role, e) < 0)
		return err_context(e, "role %s", name);
	return 0;
}

int
field_read_targets(const json_t *body, json_t **keys, struct err *e)
{
	AUTO_JSON json_t *right = NULL, *seen = json_object();
	json_t *targets, *delegations, *roles, *role;
	size_t i;

	if (json_get_object(body, "targets", &targets, e) < 0)
		return -1;
	if (!json_object_get(body, "delegations"))
		return 0;
	if (json_get_object(body, "delegations", &delegations, e) < 0 ||
		read_keys(delegations, &right, e) < 0 ||
		json_get_array(delegations, "roles", TUF_TARGETS_BYTES_MAX, &roles, e) < 0)
		return err_context(e, "'delegations'");
	json_array_foreach (roles, i, role) {
		if (check_delegation(role, seen, e) < 0)
			return err_context(e, "'delegations', role %zu", i);
	}
	*keys = TAKE_PTR(right);
	return 0;
}
