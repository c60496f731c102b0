#include "signer/roster.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/base/num.h"
#include "common/base/text.h"
#include "common/crypto/pubkey.h"

const char *const roster_names[ROSTER_ROLES] = {"root", "targets", "snapshot", "timestamp"};

void
roster_free(struct roster *r)
{
	for (size_t i = 0; i < ROSTER_ROLES; i++) {
		for (size_t k = 0; k < r->roles[i].count; k++)
			json_decref(r->roles[i].key[k]);
	}
	*r = (struct roster){0};
}

static int
add_path(struct holders *h, const char *role, const char *path, struct err *e)
{
	if (h->count == ROLE_KEYS_MAX)
		return err_set(
			e, ERR_USAGE, "--%s is given more than %d times", role, ROLE_KEYS_MAX);
	h->path[h->count++] = path;
	return 0;
}

int
roster_option(struct roster *r, int option, const char *argument, bool *mine, struct err *e)
{
	int i = option - OPT_ROSTER, role = i - ROSTER_ROLES;

	*mine = i >= 0 && i < ROSTER_ROLES + 2;
	if (!*mine)
		return 0;
	if (i < ROSTER_ROLES)
		return add_path(&r->roles[i], roster_names[i], argument, e);
	if (num_parse(argument, 1, ROLE_KEYS_MAX, &r->roles[role].threshold, e) < 0)
		return err_set(e, ERR_USAGE,
			"--%sthreshold takes a number from 1 to %d, not '%.32s'",
			role == ROSTER_ROOT ? "" : "targets-", ROLE_KEYS_MAX, argument);
	return 0;
}

/* Both halves of a secret key, or the public half alone. */
static int
load_key(struct holders *h, size_t i, struct hand *hand, struct passphrase_source *pass,
	struct err *e)
{
	AUTO_OPENED_KEY struct opened_key opened = {0};
	struct err not_public = ERR_INIT;

	if (pubkey_file_load(h->path[i], &h->key[i], &not_public) == 0)
		return 0;
	if (text_ends_with(h->path[i], ".pub"))
		return err_set(e, not_public.class, "%s", not_public.text);
	if (!hand) {
		if (opened_key_open(h->path[i], pass, &opened, e) < 0)
			return -1;
		h->key[i] = json_incref(opened.public);
		return 0;
	}
	if (hand_add(hand, h->path[i], e) < 0 || hand_open(hand, pass, e) < 0)
		return -1;
	for (size_t k = 0; k < hand->opened; k++) {
		if (strcmp(hand->path[k], h->path[i]) == 0)
			h->key[i] = json_incref(hand->key[k].public);
	}
	return 0;
}

int
roster_load(struct roster *r, struct hand *h, struct passphrase_source *pass, struct err *e)
{
	for (int role = 0; role < ROSTER_ROLES; role++) {
		bool signs = role == ROSTER_ROOT || role == ROSTER_TARGETS;

		for (size_t i = 0; i < r->roles[role].count; i++) {
			if (load_key(&r->roles[role], i, signs ? h : NULL, pass, e) < 0)
				return -1;
		}
	}
	return 0;
}

static int
add_keys(const struct holders *h, const char *role, json_t *keys, json_t *keyids, struct err *e)
{
	for (size_t i = 0; i < h->count; i++) {
		char id[DIGEST_HEX_SIZE];

		if (pubkey_id(h->key[i], id, e) < 0)
			return -1;
		if (json_has_text(keyids, id))
			return err_set(e, ERR_USAGE,
				"%s is given twice for the role %s: it counts once", h->path[i],
				role);
		if (json_object_set(keys, id, h->key[i]) < 0 ||
			json_array_append_new(keyids, json_string(id)) < 0)
			return err_sys(e, ENOMEM, "root metadata");
	}
	return 0;
}

static int
apply_role(const struct holders *h, const char *role, json_t *body, struct err *e)
{
	json_t *roles = json_object_get(body, "roles"), *keys = json_object_get(body, "keys");
	json_t *old = json_object_get(roles, role);
	AUTO_JSON json_t *keyids =
		h->count ? json_array() : json_incref(json_object_get(old, "keyids"));
	uint64_t threshold = h->threshold;

	if (!keyids || add_keys(h, role, keys, keyids, e) < 0)
		return keyids ? -1 : err_set(e, ERR_USAGE, "the role %s has no key", role);
	if (!threshold &&
		(!old || json_get_uint(old, "threshold", 1, INT64_MAX, &threshold, e) < 0))
		threshold = 1;
	if (json_array_size(keyids) < threshold)
		return err_set(e, ERR_USAGE,
			"the role %s has %zu keys, but a threshold of %" PRIu64, role,
			json_array_size(keyids), threshold);
	if (json_object_set_new(roles, role,
		    json_pack("{s:O, s:I}", "keyids", keyids, "threshold", (json_int_t)threshold)) <
		0)
		return err_sys(e, ENOMEM, "root metadata");
	return 0;
}

int
roster_apply(const struct roster *r, json_t *body, struct err *e)
{
	for (int role = 0; role < ROSTER_ROLES; role++) {
		const struct holders *h = &r->roles[role];
		const json_t *roles = json_object_get(body, "roles");

		if ((h->count || h->threshold || !json_object_get(roles, roster_names[role])) &&
			apply_role(h, roster_names[role], body, e) < 0)
			return -1;
	}
	roster_drop_unused(json_object_get(body, "keys"), json_object_get(body, "roles"));
	return 0;
}

/* roles: an object in a root, an array in delegations. */
static bool
is_used(const json_t *roles, const char *id)
{
	const char *name;
	json_t *role;
	size_t i;

	json_array_foreach (roles, i, role) {
		if (json_has_text(json_object_get(role, "keyids"), id))
			return true;
	}
	json_object_foreach ((json_t *)(uintptr_t)roles, name, role) {
		if (json_has_text(json_object_get(role, "keyids"), id))
			return true;
	}
	return false;
}

void
roster_drop_unused(json_t *keys, const json_t *roles)
{
	json_t *key;
	const char *id;
	void *next;

	json_object_foreach_safe(keys, next, id, key)
	{
		if (!is_used(roles, id))
			(void)json_object_del(keys, id);
	}
}
