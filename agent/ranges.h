/* The ranges of a payload's data that an install takes from its source.
 *
 * As few as make sense: wrong chunks that stand side by side are one, and so are those with a gap
 * between them that costs less than another request. And each is named to the source (source.h)
 * before it is due, so that a line with long round trips is never idle. */
#ifndef SLUICE_AGENT_RANGES_H
#define SLUICE_AGENT_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/source.h"
#include "agent/stored.h"
#include "agent/wants.h"
#include "common/base/err.h"
#include "common/format/index.h"

/* The most bytes that nobody lacks between two chunks of one range. With nginx a further
 * request was measured to take 218 bytes up and up to 355 down, TLS records included; four TCP/IP
 * headers of 52 make that some 780, and a little time is worth the rest. */
enum { RANGES_GAP_BYTES = 900, RANGES_AHEAD = 4 };

struct range {
	uint64_t at, end; /* in the data member */
};

/* The caller fills in what stands first, all else being zero, and keeps what it borrows as long as
 * this is in use. One thread at a time. */
struct ranges {
	const struct source *source;
	/* Gives what will be asked for, from the lowest to the highest; *more false behind it. */
	int (*next)(void *arg, struct range *out, bool *more, struct err *e);
	void *arg;
	uint64_t data_offset; /* of the data member in the source */
	uint64_t *fetched;    /* added to as bytes come, those of gaps, too */

	struct range open;		    /* what is left of it */
	struct range planned[RANGES_AHEAD]; /* those behind it, in order */
	unsigned planned_count, named;	    /* named: so many of them, to the source */
	struct range ahead;		    /* what next() gave, and is in no range yet */
	bool scouting, ahead_more;
};

/* Takes the bytes of a span into stored. Spans are asked for upwards; one that next() did not give,
 * or gave long ago, is fetched by itself. A range that broke (ERR_NETWORK) is opened again from
 * where it broke as long as each try brings something. What comes was verified by nobody. */
int ranges_read(struct ranges *r, struct range span, uint8_t *stored, struct err *e);

/* A next() for whole chunks: those entries whose stored bytes will be asked for. Their pages were
 * brought. */
struct range_feed {
	struct index_reader *scout; /* nobody else's */
	struct stored *stored;
	const struct wants *wanted;
	uint64_t entry;
	bool begun;
};
int range_feed_next(void *feed, struct range *out, bool *more, struct err *e);

/* Where a chunk is stored; an empty range, which ranges_read() refuses, where that is unknown. */
struct range range_of(const struct chunk *c);

#endif
