#include "signer/revocation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "signer/roster.h"

enum { ID_DIGITS_MIN = 8 };

void
revocation_free(struct revocation *r)
{
	json_decref(r->heir);
	*r = (struct revocation){0};
}

/* The keys that a root or targets knows, and its roles: an object, or an array. */
static json_t *
keys_of(const struct metadata *m)
{
	const json_t *delegations = json_object_get(m->body, "delegations");

	return json_object_get(strcmp(m->role, "root") == 0 ? m->body : delegations, "keys");
}

static json_t *
roles_of(const struct metadata *m)
{
	const json_t *delegations = json_object_get(m->body, "delegations");

	return json_object_get(strcmp(m->role, "root") == 0 ? m->body : delegations, "roles");
}

static int
find_id(const char *word, const struct metadata *m, char id[DIGEST_HEX_SIZE], struct err *e)
{
	const char *each;
	json_t *key;

	json_object_foreach (keys_of(m), each, key) {
		if (strncmp(each, word, strlen(word)) != 0 || strlen(each) >= DIGEST_HEX_SIZE)
			continue;
		if (id[0] && strcmp(id, each) != 0)
			return err_set(e, ERR_USAGE,
				"more than one key's id begins with %.64s; give more digits", word);
		(void)snprintf(id, DIGEST_HEX_SIZE, "%s", each);
	}
	return 0;
}

static int
read_key(const char *path, json_t **key, char id[DIGEST_HEX_SIZE], struct err *e)
{
	return pubkey_file_load(path, key, e) < 0 ? -1 : pubkey_id(*key, id, e);
}

int
revocation_read(const char *word, const char *heir_path, const struct metadata *root,
	const struct metadata *targets, struct revocation *out, struct err *e)
{
	AUTO_REVOCATION struct revocation r = {0};
	AUTO_JSON json_t *key = NULL;

	if (file_exists(word)) {
		if (read_key(word, &key, r.keyid, e) < 0)
			return -1;
	} else if (strlen(word) < ID_DIGITS_MIN || find_id(word, root, r.keyid, e) < 0 ||
		   find_id(word, targets, r.keyid, e) < 0 || !r.keyid[0]) {
		return err_set(e, ERR_USAGE,
			"'%.64s' is neither a public key file nor the first digits (%d or more) of "
			"one key's id; `sluice role list` shows them",
			word, ID_DIGITS_MIN);
	}
	if (heir_path && read_key(heir_path, &r.heir, r.heir_id, e) < 0)
		return err_context(e, "--replace-by");
	if (strcmp(r.keyid, r.heir_id) == 0)
		return err_set(e, ERR_USAGE, "--replace-by names the key that is to go");
	*out = r;
	out->heir = TAKE_PTR(r.heir);
	return 0;
}

/* Where a key id stands, or the end. */
static size_t
index_of(const json_t *keyids, const char *id)
{
	size_t i = 0;

	while (i < json_array_size(keyids)) {
		const char *each = json_string_value(json_array_get(keyids, i));

		if (each && strcmp(each, id) == 0)
			break;
		i++;
	}
	return i;
}

static int
leave_role(struct revocation *r, const char *name, json_t *role, json_t *keys, bool *was,
	struct err *e)
{
	json_t *keyids = json_object_get(role, "keyids");
	size_t at = index_of(keyids, r->keyid);
	uint64_t threshold = 1;

	if (at == json_array_size(keyids))
		return 0;
	*was = true;
	(void)json_array_remove(keyids, at);
	if (r->heir && index_of(keyids, r->heir_id) == json_array_size(keyids) &&
		(json_array_insert_new(keyids, at, json_string(r->heir_id)) < 0 ||
			json_object_set(keys, r->heir_id, r->heir) < 0))
		return err_sys(e, ENOMEM, "%s", name);
	if (json_get_uint(role, "threshold", 1, INT64_MAX, &threshold, e) < 0)
		return err_context(e, "role %s", name);
	if (json_array_size(keyids) < threshold)
		return err_set(e, ERR_REFUSED,
			"without it the role %s has %zu keys, but a threshold of %" PRIu64
			"; give --replace-by NEW.pub, or change the threshold first (%s)",
			name, json_array_size(keyids), threshold,
			json_object_get(role, "name") ? "sluice role change"
						      : "sluice root rotate");
	return 0;
}

static int
leave_roles(struct revocation *r, struct metadata *m, bool *was, struct err *e)
{
	json_t *roles = roles_of(m), *keys = keys_of(m), *role;
	const char *name;
	size_t i;

	json_array_foreach (roles, i, role) {
		name = json_string_value(json_object_get(role, "name"));
		if (leave_role(r, name ? name : "(no name)", role, keys, was, e) < 0)
			return -1;
	}
	json_object_foreach (roles, name, role) {
		if (leave_role(r, name, role, keys, was, e) < 0)
			return -1;
	}
	if (*was)
		roster_drop_unused(keys, roles);
	return 0;
}

int
revocation_apply(
	struct revocation *r, struct metadata *root, struct metadata *targets, struct err *e)
{
	if (leave_roles(r, root, &r->in_root, e) < 0 ||
		leave_roles(r, targets, &r->in_targets, e) < 0)
		return -1;
	if (!r->in_root && !r->in_targets)
		return err_set(e, ERR_USAGE, "the key %.16s is in no role: there is nothing to do",
			r->keyid);
	return 0;
}
