/* The cheapest way to tell new bytes by those of a delta_near.
 *
 * What bytes cost is known beforehand, near enough: those that are inserted, those that differ from
 * old ones, and each step to other old ones. So of all ways to tell the first n bytes the cheapest
 * is that of the first n - 1, or one that leaves another way further back; of these only such are
 * gone on with as are not dearer than what a step would cost. */
#ifndef SLUICE_SIGNER_DELTA_PATH_H
#define SLUICE_SIGNER_DELTA_PATH_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/limits.h"
#include "signer/delta_near.h"

/* Bytes of a chunk, in order and without gaps: those at old_at, but for some that differ, or
 * DELTA_NOWHERE: none of the old ones. */
struct delta_stretch {
	uint32_t at, size;
	uint64_t old_at;
};

#define DELTA_NOWHERE UINT64_MAX

/* What one thread needs for it: 2 MiB. */
struct delta_path;
struct delta_path *delta_path_new(struct err *e);
void delta_path_free(struct delta_path **p);
#define AUTO_DELTA_PATH CLEANUP(delta_path_free)

/* From here on it is about this chunk, of which at most CHUNK_BYTES are looked at. */
void delta_path_begin(struct delta_path *p, const struct near *near, const uint8_t *fresh);

/* Writes the stretches of the bytes between two places, at most as many as these are, and returns
 * how many. What is before them ends at `before` in the old bytes, and what is behind them begins
 * at `behind`; or DELTA_NOWHERE. Adds the bytes that a patch would take for them, more or less, to
 * *cost. */
size_t delta_path_find(struct delta_path *p, uint32_t from, uint32_t to, uint64_t before,
	uint64_t behind, struct delta_stretch *out, uint32_t *cost);

/* What a step takes, in the same measure. */
uint32_t delta_path_step_cost(void);

#endif
