/* Where the old bytes of one chunk may be: places that many of its seeds agree on. */
#ifndef SLUICE_SIGNER_DELTA_VOTES_H
#define SLUICE_SIGNER_DELTA_VOTES_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/limits.h"
#include "signer/delta_seeds.h"

enum {
	DELTA_PLACES = 8,
	DELTA_VOTE_BYTES = 32 * 1024, /* places closer to each other may be one */
	DELTA_VOTES = CHUNK_BYTES / 4
};

struct delta_votes {
	size_t count;
	int64_t votes[DELTA_VOTES];
};

void delta_votes_clear(struct delta_votes *v);

/* Bytes of the chunk, which stand at `at` in it. */
void delta_votes_add(
	struct delta_votes *v, const struct delta_seeds *s, struct span fresh, uint32_t at);

/* The places where most say that the chunk's first byte would be, or up to DELTA_VOTE_BYTES behind
 * it: up to max (DELTA_PLACES), most votes first. May be negative. */
size_t delta_votes_count(struct delta_votes *v, int64_t places[DELTA_PLACES], size_t max);

#endif
