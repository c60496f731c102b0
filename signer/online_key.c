#include "signer/online_key.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/text.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"

int
online_key_id(const char *path, char id[DIGEST_HEX_SIZE], struct err *e)
{
	AUTO_SECKEY struct seckey *k = NULL;
	AUTO_JSON json_t *public = NULL;
	char pub[PATH_MAX];
	uint8_t raw[32];
	bool encrypted;

	(void)snprintf(pub, sizeof(pub), "%.*s.pub", (int)(strlen(path) - strlen(".key")), path);
	if (text_ends_with(path, ".key") && file_exists(pub)) {
		if (pubkey_file_load(pub, &public, e) < 0)
			return -1;
		return pubkey_id(public, id, e);
	}
	if (seckey_is_encrypted(path, &encrypted, e) < 0)
		return -1;
	if (encrypted)
		return err_set(
			e, ERR_USAGE, "%s has a passphrase and its .pub is not beside it", path);
	if (seckey_load(path, NULL, NULL, &k, e) < 0)
		return -1;
	seckey_public(k, raw);
	return pubkey_json_ed25519(raw, &public, e) < 0 ? -1 : pubkey_id(public, id, e);
}

static bool
names(const json_t *root, const char *role, const char *id)
{
	const json_t *entry = json_object_get(json_object_get(root, "roles"), role);

	return !id || json_has_text(json_object_get(entry, "keyids"), id);
}

const char *
online_key_dropped(const json_t *root, const char *snapshot_id, const char *timestamp_id)
{
	if (!names(root, "snapshot", snapshot_id))
		return "snapshot";
	return names(root, "timestamp", timestamp_id) ? NULL : "timestamp";
}
