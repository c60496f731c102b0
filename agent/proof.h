/* Reading back behind the writer: what has been written is synced and read back, stretch by
 * stretch, while what comes behind it is still on its way. So there is little of both left to do
 * when the last byte has come.
 *
 * A thread of its own does that, with two batches and one more thread (crew.h). It is there to save
 * time and decides nothing: what it does not find as it should be, or does not come to, is left for
 * engine_check(). */
#ifndef SLUICE_AGENT_PROOF_H
#define SLUICE_AGENT_PROOF_H

#include <stdint.h>

#include "agent/engine.h"
#include "agent/wants.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

enum { PROOF_STRETCH = 512 }; /* entries: 32 MiB, and more where there are runs of zeros */

/* All borrowed, and kept until proof_end(). */
struct proof_plan {
	const struct place *place;  /* that many threads may use */
	struct index_reader *index; /* for the proof alone */
	struct wants *left;	    /* what was wrong: what is read back is dropped from it */
	uint64_t stretch;	    /* PROOF_STRETCH, but in tests */
	/* Makes what was written to the place last, and has it read from where it lies. */
	int (*sync)(void *arg, struct err *e);
	void *arg;
};

/* *out is NULL where there can be no thread. ERR_SYSTEM without memory. */
struct proof;
int proof_start(const struct proof_plan *p, struct proof **out, struct err *e);

/* All that was wrong before this entry has been written. Does not wait. p may be NULL. */
void proof_reach(struct proof *p, uint64_t entry);

/* Ends it at the next chunk. -1 where a sync failed: who asks the kernel again is told nothing of
 * that any more. After a -1 *p is as after a 0. */
int proof_end(struct proof **p, struct err *e);

#endif
