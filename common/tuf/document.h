/* One role's metadata: verified, its fields checked, and what is remembered of its bytes. */
#ifndef SLUICE_TUF_DOCUMENT_H
#define SLUICE_TUF_DOCUMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/crypto/envelope.h"
#include "common/limits.h"

enum document_type { DOCUMENT_ROOT, DOCUMENT_TIMESTAMP, DOCUMENT_SNAPSHOT, DOCUMENT_TARGETS };

/* What Sluice writes into metadata of its own making. */
#define TUF_SPEC_VERSION "1.0.34"

/* The digests that a HASHES object lists, of those known here; at least one. */
struct hashes {
	bool has_sha256, has_sha512;
	struct digest sha256;
	uint8_t sha512[DIGEST512_BYTES];
};

/* What timestamp or snapshot say of another file (METAFILES, TUF 1.0.34 section 4.4). */
struct metafile {
	uint64_t version, length; /* length: 0 where not listed */
	bool has_hashes;
	struct hashes hashes;
};

struct document {
	char role[ROLE_NAME_MAX + 1];
	enum document_type type;
	struct verified verified;
	uint64_t version;
	int64_t expires_s;
	uint64_t length; /* of the bytes it came in, as are the digests */
	struct hashes hashes;
	json_t *keys;		    /* root, targets: KEYID → KEY; only keys with a right id */
	struct digest checked_with; /* role_keys_digest of the keys that it was last checked with */
};

void document_free(struct document **d);
#define AUTO_DOCUMENT CLEANUP(document_free)

/* Checks the threshold of role's keys and then every field that the type must have. ERR_UNTRUSTED,
 * ERR_MALFORMED or ERR_LIMIT. */
int document_read(struct span bytes, const char *role, enum document_type type,
	const struct role_keys *keys, struct document **out, struct err *e);

/* A root that is trusted for where it was found; still it must satisfy its own threshold. */
int document_read_anchor(struct span bytes, struct document **out, struct err *e);

/* The same threshold check for a document that may have been checked with other keys. Free when
 * keys are those of the last check. */
int document_check(struct document *d, const struct role_keys *keys, struct err *e);

/* ERR_EXPIRED unless d expires after now_s. */
int document_check_expiry(const struct document *d, int64_t now_s, struct err *e);

/* Keys and threshold of a top-level role, borrowed from a root. */
int document_root_role(
	const struct document *root, const char *role, struct role_keys *out, struct err *e);

/* The delegations of a targets document, in order: an array, or NULL. */
const json_t *document_delegations(const struct document *d);

/* The first entry of such an array with this name, borrowed, or NULL: which is the one that a
 * client comes to. What is no entry is passed over. */
json_t *delegation_find(const json_t *delegations, const char *name);

/* The keys of one of them, borrowed. */
int document_delegation_keys(
	const struct document *d, const json_t *delegation, struct role_keys *out, struct err *e);

/* Whether a timestamp or snapshot lists role. */
bool document_lists(const struct document *d, const char *role);

/* What a timestamp or snapshot says of role. ERR_UNTRUSTED when it does not list it. */
int document_metafile(
	const struct document *d, const char *role, struct metafile *out, struct err *e);

/* Whether bytes (d) are those that m lists, as far as it lists length and hashes. The first names
 * what is wrong (ERR_UNTRUSTED); the second wants the version equal too. */
int metafile_check(const struct metafile *m, const char *name, struct span bytes, struct err *e);
bool metafile_is_of(const struct metafile *m, const struct document *d);

/* Reads a HASHES object. ERR_MALFORMED for a digest that is none; ERR_UNTRUSTED when no algorithm
 * in it is known here: that is never a reason to skip the check. */
int hashes_read(const json_t *j, struct hashes *out, struct err *e);
struct hashes hashes_of(struct span bytes);
bool hashes_agree(const struct hashes *listed, const struct hashes *all);

/* A SHA-256 over a role's key ids, their keys, and the threshold. */
int role_keys_digest(const struct role_keys *keys, struct digest *out, struct err *e);

#endif
