/* A bundle's listing: what the signed metadata says of it beside length and digest (`custom` of its
 * TUF target):
 *
 *   {"head":{"length":N,"sha256":"..."}, "manifest":{"length":N,"sha256":"..."},
 *    "name":"gateway", "version":"2.4.0", "rollback_index":4}
 *
 * head is everything before the first stored member. manifest is the canonical JSON of the
 * manifest's "signed" part: the identity of a release, which another signature does not change. */
#ifndef SLUICE_FORMAT_LISTING_H
#define SLUICE_FORMAT_LISTING_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/crypto/envelope.h"
#include "common/limits.h"

struct listing {
	uint64_t head_length;
	struct digest head_sha256;
	uint64_t manifest_length;
	struct digest manifest_sha256;
	char name[NAME_BYTES_MAX + 1], version[VERSION_BYTES_MAX + 1];
	uint64_t rollback_index;
};

/* Reads and checks all of it; words not known here are passed over, for they belong to others who
 * use `custom`. custom NULL is ERR_MALFORMED: the target is no bundle of ours. */
int listing_parse(const json_t *custom, struct listing *out, struct err *e);

/* The custom object. The caller owns it. */
int listing_build(const struct listing *l, json_t **out, struct err *e);

/* Length and digest of a manifest's canonical "signed" part. */
int listing_identity(
	const json_t *manifest_signed, uint64_t *length, struct digest *sha256, struct err *e);

#endif
