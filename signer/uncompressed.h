/* What a compressed file within a payload would cost a box if it were not compressed. */
#ifndef SLUICE_SIGNER_UNCOMPRESSED_H
#define SLUICE_SIGNER_UNCOMPRESSED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

/* Decompresses a file that image_kind_of() knows as compressed, and what a kernel of x86 carries,
 * into out. False where it cannot be, for what reason ever, or is more than out->max. */
bool uncompressed_read(struct span file, struct buf *out);

/* What of new, packed at this level of zlib, a box would fetch that has old, which may be empty:
 * the stored bytes of those blocks that stand nowhere in it. */
int uncompressed_cost(struct span new, struct span old, int level, unsigned threads,
	uint64_t *bytes, struct err *e);

/* The same of a box that goes by a delta, which is made in the folder scratch: its records, and
 * what its head needs for them. */
int uncompressed_cost_by_delta(struct span new, struct span old, unsigned threads,
	const char *scratch, uint64_t *bytes, struct err *e);

#endif
