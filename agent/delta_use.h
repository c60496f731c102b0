/* The use of a delta for one image: which of its wrong chunks come out of the running slot as it
 * says, and which out of its records.
 *
 * Looking comes before the first record is fetched. A record all of whose chunks are wrong is used,
 * for who made it saw to it that it takes less than they do; where some are right, if it takes no
 * more than the others would on an average. What is not used, and what does not come out right,
 * stays wrong: the bundle has it.
 *
 * Memory while it writes: 1 MiB of chunks (delta_pile.h), a record of up to 256 KiB, and 0.5 MiB
 * for patches (patch.h) and walks. Besides, three bits for each entry of the index. */
#ifndef SLUICE_AGENT_DELTA_USE_H
#define SLUICE_AGENT_DELTA_USE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/delta.h"
#include "agent/engine.h"
#include "agent/source.h"
#include "agent/wants.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

/* All borrowed, and kept as long as the struct delta_use is. */
struct delta_use_job {
	const struct engine *g;	   /* whose place is only read before delta_use_write() */
	const struct wants *wrong; /* from engine_compare() */
	const struct payload *payload;
	const struct delta *delta;
	size_t part;
	const struct place *running; /* at least as large as the old payload */
	const struct source *source; /* of the delta */
};

struct delta_use;
void delta_use_free(struct delta_use **u);
#define AUTO_DELTA_USE CLEANUP(delta_use_free)

/* *out is NULL where nothing of it is of use. Fetches and writes nothing. ERR_MALFORMED for a delta
 * that contradicts itself or the index. */
int delta_use_look(const struct delta_use_job *j, struct delta_use **out, struct err *e);

/* From where an entry is to come; of a chunk that is right, or that the bundle has to give,
 * DELTA_USE_NOT. */
enum delta_use_from { DELTA_USE_NOT, DELTA_USE_RUNNING, DELTA_USE_RECORD };
enum delta_use_from delta_use_of(const struct delta_use *u, uint64_t entry);

/* What is wrong and has to come from the bundle. The caller frees *out. */
int delta_use_lacking(const struct delta_use *u, struct wants **out, struct err *e);

/* What it takes: bytes of records, and in how many ranges. */
uint64_t delta_use_bytes(const struct delta_use *u);
uint64_t delta_use_ranges(const struct delta_use *u);

/* Writes what comes out right, upwards, and the zeros between; and drops it from wrong. A record
 * that is not what was sealed is asked for elsewhere (source.h). *hopeless: it was ended early,
 * since most of what was tried came out wrong, or since the records cannot be had. Errors of the
 * place; ERR_STOPPED; ERR_REFUSED by a budget. */
int delta_use_write(struct delta_use *u, struct wants *wrong, bool *hopeless, struct err *e);

#endif
