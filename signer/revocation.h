/* Taking a key out of every role that it is in. */
#ifndef SLUICE_SIGNER_REVOCATION_H
#define SLUICE_SIGNER_REVOCATION_H

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "signer/metadata.h"

struct revocation {
	char keyid[DIGEST_HEX_SIZE];
	json_t *heir; /* the KEY that takes its places; owned, or NULL */
	char heir_id[DIGEST_HEX_SIZE];
	bool in_root, in_targets; /* found by revocation_apply */
};

void revocation_free(struct revocation *r);
#define AUTO_REVOCATION CLEANUP(revocation_free)

/* word: a public key file, or eight or more digits of an id that one key of the two documents has.
 * heir_path: a public key file, or NULL. ERR_USAGE. */
int revocation_read(const char *word, const char *heir_path, const struct metadata *root,
	const struct metadata *targets, struct revocation *out, struct err *e);

/* Edits both. ERR_USAGE when the key is in no role; ERR_REFUSED when a role would be left with
 * fewer keys than its threshold. */
int revocation_apply(
	struct revocation *r, struct metadata *root, struct metadata *targets, struct err *e);

#endif
