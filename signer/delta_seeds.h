/* Where old bytes have 32 bytes that new ones have, too, at any place.
 *
 * Every 32nd place or so is kept, chosen by what the bytes there are, and so the same ones in new
 * bytes as in old ones, wherever they have moved. */
#ifndef SLUICE_SIGNER_DELTA_SEEDS_H
#define SLUICE_SIGNER_DELTA_SEEDS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

struct delta_seeds;
void delta_seeds_free(struct delta_seeds **s);
#define AUTO_DELTA_SEEDS CLEANUP(delta_seeds_free)

/* Looks through the old bytes with this many threads. about says how many of them are not zeros:
 * it takes some 0.4 bytes for each. ERR_SYSTEM without memory. */
int delta_seeds_new(
	struct span old, uint64_t about, unsigned threads, struct delta_seeds **out, struct err *e);

/* Calls found for each old place (but not of seeds that are everywhere) of each seed in fresh: at
 * is where it begins in fresh. May be called by any thread. */
void delta_seeds_each(const struct delta_seeds *s, struct span fresh,
	void (*found)(void *arg, size_t at, uint64_t old_at), void *arg);

#endif
