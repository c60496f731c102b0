/* The signed envelope {"signed": {...}, "signatures": [{keyid, sig}]}: TUF metadata, a bundle's
 * manifest and a box's report all have this shape (TUF 1.0.34 section 4.2.1).
 *
 * This is where bytes become trusted. A parser of any signed document takes a struct verified, and
 * only the functions here make one: by a threshold of signatures, or by a digest that something
 * verified has named. */
#ifndef SLUICE_CRYPTO_ENVELOPE_H
#define SLUICE_CRYPTO_ENVELOPE_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"

/* A document that was checked. Owns its JSON. body is what parsers read: the value of "signed" in
 * an envelope, the whole document where there is no envelope. */
struct verified {
	json_t *root;
	const json_t *body; /* inside root */
};

void verified_free(struct verified *v);
#define AUTO_VERIFIED CLEANUP(verified_free)

/* Who may sign: the keys of one role. keys maps key id → KEY object and may hold more keys than the
 * role's; keyids lists the role's. Both borrowed. Built by whoever trusts them. */
struct role_keys {
	const json_t *keys;
	const json_t *keyids;
	uint64_t threshold; /* at least 1; 0 is ERR_UNTRUSTED, never "no check" */
};

/* Parses bytes only as far as needed, and counts the role's keys that signed the canonical form of
 * "signed". A key counts once however many signatures or key ids it has; signatures that are wrong,
 * of unknown keys or of unknown types are passed over. Below threshold: ERR_UNTRUSTED saying how
 * many of how many. The same key id twice in "signatures" is ERR_MALFORMED. */
int envelope_verify(struct span bytes, const char *name, const struct role_keys *role,
	struct verified *out, struct err *e);

/* The same for one key, which is known under keyid and alone has to sign. */
int envelope_verify_one(struct span bytes, const char *name, const struct pubkey *key,
	const char *keyid, struct verified *out, struct err *e);

/* Checks that bytes have this length and SHA-256, and only then parses them. For an envelope body
 * is "signed"; for any other object it is the root. */
int verified_by_digest(struct span bytes, const char *name, uint64_t length,
	const struct digest *sha256, struct verified *out, struct err *e);

/* The same role's threshold, for a second check of an envelope that is verified already (a new root
 * has to satisfy the old root's keys and its own). */
int verified_check(
	const struct verified *v, const char *name, const struct role_keys *role, struct err *e);

/* The key ids in v's signatures whose signatures verify under the role, as a new JSON array. For
 * `show` and for ceremonies. root must be an envelope. */
int envelope_good_signers(
	const json_t *root, const struct role_keys *role, json_t **out, struct err *e);

/* A new envelope around body (a reference is taken), without signatures. NULL without memory. */
json_t *envelope_new(json_t *body);

/* Adds s's signature, replacing an older one by the same key. */
int envelope_sign(json_t *root, const struct signer *s, struct err *e);

#endif
