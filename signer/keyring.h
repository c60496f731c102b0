/* The public keys in a folder, by whose file names people know them. */
#ifndef SLUICE_SIGNER_KEYRING_H
#define SLUICE_SIGNER_KEYRING_H

#include <stddef.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"

struct keyring {
	json_t *names; /* key id → name */
};

void keyring_free(struct keyring *k);
#define AUTO_KEYRING CLEANUP(keyring_free)

/* Adds all NAME.pub in dir; files that are no keys are passed over. A folder that is not there is
 * empty. Where two files hold one key, the first by name counts. */
int keyring_add(struct keyring *k, const char *dir, struct err *e);

/* Borrowed; NULL for a key that is not in it. */
const char *keyring_name(const struct keyring *k, const char *keyid);

#endif
