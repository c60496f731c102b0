/* The keys that a publisher signs snapshot and timestamp with, and a root that takes them away. */
#ifndef SLUICE_SIGNER_ONLINE_KEY_H
#define SLUICE_SIGNER_ONLINE_KEY_H

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"

/* The key id of a secret key file: from its public half beside it, else from itself where that
 * takes no passphrase. */
int online_key_id(const char *path, char id[DIGEST_HEX_SIZE], struct err *e);

/* The role whose key a next root (its "signed") takes away from who publishes with keys of these
 * ids, or NULL: such a root waits until its publisher has others, so that stops go out meanwhile.
 * An id that is NULL is not asked about. Both who publishes and who asks what will be published
 * with his work go by this. */
const char *online_key_dropped(
	const json_t *root, const char *snapshot_id, const char *timestamp_id);

#endif
