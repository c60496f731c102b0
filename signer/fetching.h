/* What a box fetches of a payload when it has the old one, by the agent's own rules
 * (agent/reuse.h has them; the end-to-end test of `sluice diff` compares both).
 *
 * The side that runs holds the old payload, and the one that is written nothing of use, so that a
 * box may fetch less than this. Chunks that stand in place are taken from there; blocks of the
 * others are found by their hints, and only those that lack are fetched, where cuts say how they
 * are stored; chunks of a tree are taken from the files with the same paths. One difference: a box
 * looks at every byte of its slot for some 6 GiB of blocks at most, and here that is done for all.
 */
#ifndef SLUICE_SIGNER_FETCHING_H
#define SLUICE_SIGNER_FETCHING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "signer/bill.h"
#include "signer/bundle_file.h"
#include "signer/contents.h"
#include "signer/unpacked.h"

/* Both payloads unpacked; all is borrowed. */
struct fetching_job {
	const struct bundle_file *b; /* the new bundle, */
	size_t payload;		     /* and which of it */
	const struct unpacked *new, *old;
	const struct contents *contents;     /* of the new one */
	const struct contents *old_contents; /* of the old one, of a tree; NULL: box has none */
	unsigned threads;
	struct bill *bill; /* is charged with `stored` */
};

struct fetching {
	/* Plain bytes: these four make up the payload. */
	uint64_t in_place, /* where they stand in the old one, too */
		moved,	   /* found elsewhere in it */
		zeros, lacking;
	/* Fetched. */
	uint64_t stored,     /* of what lacks */
		gaps,	     /* between ranges, where that is cheaper than another range */
		hints, cuts; /* and pages of stored, where what lacks is looked up */
	uint64_t unaligned;  /* of moved: found at no multiple of 4 KiB */
};

int fetching_of(const struct fetching_job *j, struct fetching *out, struct err *e);

/* Whether a chunk of a tree, of which there is an old one, is what the old file with its path has
 * there, and zeros behind that. */
bool fetching_in_tree(const struct fetching_job *j, uint64_t at, uint64_t size);

/* All that is fetched of it, but for the bundle's head. */
uint64_t fetching_total(const struct fetching *f);

#endif
