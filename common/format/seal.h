/* Seals: the first bytes of a SHA-256, by which parts of a bundle are believed that come without
 * the rest. Enough where nobody gains by two inputs that share one: who chooses the bytes signs
 * them, and of what comes out of them the whole digest is compared. */
#ifndef SLUICE_FORMAT_SEAL_H
#define SLUICE_FORMAT_SEAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/crypto/digest.h"

enum { SEAL_BYTES = 16 };

struct seal {
	uint8_t b[SEAL_BYTES];
};

static inline struct seal
seal_of_digest(const struct digest *d)
{
	struct seal s;

	memcpy(s.b, d->b, sizeof(s.b));
	return s;
}

static inline struct seal
seal_of(struct span bytes)
{
	struct digest d = digest_of(bytes);

	return seal_of_digest(&d);
}

static inline bool
seal_equal(const struct seal *a, const struct seal *b)
{
	return memcmp(a->b, b->b, SEAL_BYTES) == 0;
}

/* What stands where there is nothing to seal. */
static inline bool
seal_is_zero(const struct seal *s)
{
	static const struct seal zero;

	return seal_equal(s, &zero);
}

#endif
