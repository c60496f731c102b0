/* Chunks that a delta puts together out of old bytes, some at once: reads that follow each other
 * are one, and digests are made side by side (digest_many.h). */
#ifndef SLUICE_AGENT_DELTA_PILE_H
#define SLUICE_AGENT_DELTA_PILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/crypto/digest_many.h"
#include "common/format/delta.h"

enum { DELTA_PILE_CHUNKS = DIGEST_LANES };

struct delta_item {
	uint64_t entry, offset; /* of the new index, and where in the new payload */
	size_t size;
	uint8_t *bytes; /* in the pile */
	bool told;	/* its bytes are the caller's to fill in; else they are read, by runs */
	bool lost;	/* they could not be had */
	size_t runs;
	struct delta_run run[DELTA_RUNS_MAX];
	struct digest wanted; /* the caller's */
	struct digest digest; /* of its bytes, unless it is lost */
};

struct delta_pile {
	const struct patch_old *old;
	uint8_t *bytes; /* aligned as direct reads and writes ask for */
	size_t used, count;
	struct delta_item item[DELTA_PILE_CHUNKS];
};

/* old is borrowed; NULL: nothing can be read. 1 MiB. */
int delta_pile_new(const struct patch_old *old, struct delta_pile **out, struct err *e);
void delta_pile_free(struct delta_pile **p);
#define AUTO_DELTA_PILE CLEANUP(delta_pile_free)

/* The next item, for an entry that is no run; NULL where the pile is full. */
struct delta_item *delta_pile_add(
	struct delta_pile *p, uint64_t entry, const struct delta_entry *from);

/* Reads what is to be read, and makes the digests. What cannot be read is lost. */
void delta_pile_settle(struct delta_pile *p);

void delta_pile_clear(struct delta_pile *p);

#endif
