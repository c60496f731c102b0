/* HMAC-SHA256 (RFC 2104, RFC 4231; libsodium). */
#ifndef SLUICE_CRYPTO_HMAC_H
#define SLUICE_CRYPTO_HMAC_H

#include "common/base/buf.h"
#include "common/crypto/digest.h"

/* Of the parts, one behind the other, under a key of any length. */
struct digest hmac_sha256(struct span key, const struct span *parts, size_t count);

#endif
