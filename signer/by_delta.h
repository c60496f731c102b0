/* What a box fetches of a payload when it is given a delta as well, by the agent's own rules
 * (agent/delta_use.h has them; the end-to-end test of `sluice diff` compares both).
 *
 * As in fetching.h the side that runs holds the old payload, and the one that is written nothing of
 * use. Of a tree, chunks that stand under the same path are taken from there.
 *
 * A record tells many chunks at once. What it takes is charged by what went into them: each of its
 * streams is shared by the plain bytes that a block of 4 KiB took out of it. So a file that was
 * copied costs next to nothing even where its neighbour in the record is all new; that deflate
 * finds in one what stood in the other is nobody's merit. Chunks that come from the bundle are
 * charged by their plain bytes. */
#ifndef SLUICE_SIGNER_BY_DELTA_H
#define SLUICE_SIGNER_BY_DELTA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/format/delta.h"
#include "signer/bill.h"
#include "signer/fetching.h"

/* All is borrowed. */
struct by_delta_job {
	const struct fetching_job *f;	/* but for its bill, */
	const struct fetching *without; /* and what came of it */
	int fd;				/* has the delta */
	const struct delta_head *head;
	struct bill *bill; /* is charged with `records` and `stored` */
};

struct by_delta {
	bool used; /* false: the box does without, and all else is 0 */
	/* Plain bytes: these make up the payload. */
	uint64_t in_place, /* of a tree: as they stand under the same path */
		copied,	   /* as they stand anywhere in the old payload */
		told,	   /* by records */
		zeros, lacking;
	/* Fetched. */
	uint64_t records, /* of the delta, */
		stored,	  /* of the bundle, for what lacks, */
		pages,	  /* where that is looked up, */
		gaps;	  /* and between ranges of any of these */
};

/* Where the delta is not used, what the bill was charged with counts for nothing. */
int by_delta_of(const struct by_delta_job *j, struct by_delta *out, struct err *e);

/* All that is fetched, but for the delta's head. */
uint64_t by_delta_total(const struct by_delta *d);

#endif
