/* What a delta's target says of it: the "custom" of bundles/NAME-VERSION.from-OLD.delta:
 *
 *   {"delta":{"from":"<SHA-256>", "to":"<SHA-256>"}, "head":{"length":9000, "sha256":"..."}}
 *
 * from and to are the digests of the manifests (of their signed part in canonical JSON) of the
 * bundle that it starts from and of that which it leads to; head is the delta's own. */
#ifndef SLUICE_FORMAT_DELTA_LISTING_H
#define SLUICE_FORMAT_DELTA_LISTING_H

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/limits.h"

struct delta_listing {
	uint64_t head_length;
	struct digest head_sha256, from, to;
};

/* Words that are not known are passed over, as in every custom. ERR_MALFORMED, ERR_LIMIT. */
int delta_listing_parse(const json_t *custom, struct delta_listing *out, struct err *e);

/* The caller owns *custom. */
int delta_listing_build(const struct delta_listing *l, json_t **custom, struct err *e);

/* The target's path. ERR_LIMIT where it is longer than TUF_PATH_MAX. */
int delta_path(const char *name, const char *version, const char *old_version,
	char out[TUF_PATH_MAX], struct err *e);

#endif
