/* Where old bytes have a block of 4 KiB that new ones have, too: at places that are multiples of
 * its size, where file systems keep what they move. */
#ifndef SLUICE_SIGNER_DELTA_BLOCKS_H
#define SLUICE_SIGNER_DELTA_BLOCKS_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "signer/delta_path.h"

enum { DELTA_BLOCK_BYTES = 4096 };

struct delta_blocks;
void delta_blocks_free(struct delta_blocks **b);
#define AUTO_DELTA_BLOCKS CLEANUP(delta_blocks_free)

/* Looks through the old bytes, which are borrowed, with this many threads; zeros count for nothing.
 * Takes 16 to 32 bytes for a block, and 8 more while it is made. ERR_SYSTEM without memory. */
int delta_blocks_new(struct span old, unsigned threads, struct delta_blocks **out, struct err *e);

/* How many have other bytes than zeros. */
uint64_t delta_blocks_count(const struct delta_blocks *b);

/* Where in the old bytes a whole block is: at `here`, should it be there, else at the first place
 * of all. DELTA_NOWHERE; so is a block of zeros. May be called by any thread. */
uint64_t delta_blocks_find(const struct delta_blocks *b, const uint8_t *block, uint64_t here);

#endif
