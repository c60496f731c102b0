/* One chunk, told by the old bytes that it takes and those that it has to itself, so that a patch
 * takes as few bytes as can be found. */
#ifndef SLUICE_SIGNER_DELTA_MATCH_H
#define SLUICE_SIGNER_DELTA_MATCH_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "signer/delta_blocks.h"
#include "signer/delta_path.h"
#include "signer/delta_seeds.h"

/* Old bytes, and what is known of them. Borrowed. */
struct delta_old {
	struct span bytes;
	const struct delta_blocks *blocks;
	const struct delta_seeds *seeds;
};

/* What comes of it: stretches belong to the matcher. */
struct delta_match {
	const struct delta_stretch *stretches;
	size_t count;
	uint32_t cost; /* bytes that a patch would take, more or less */
};

/* What one thread needs for it: some 10 MiB. */
struct delta_matcher;
int delta_matcher_new(struct delta_matcher **out, struct err *e);
void delta_matcher_free(struct delta_matcher **m);
#define AUTO_DELTA_MATCHER CLEANUP(delta_matcher_free)

/* Tells a chunk of 1 to CHUNK_BYTES. ahead is where its first byte would be in the old ones if what
 * came before it went on, or DELTA_NOWHERE. What comes out depends on nothing but what goes in. */
void delta_match(struct delta_matcher *m, const struct delta_old *old, struct span chunk,
	uint64_t ahead, struct delta_match *out);

#endif
