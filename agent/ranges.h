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
	struct index_reader *scout; /* nobody else's */
	const struct wants *wanted; /* entries whose stored bytes will be asked for */
	uint64_t data_offset;	    /* of the data member in the source */
	uint64_t *fetched;	    /* added to as bytes come, those of gaps, too */

	struct range open;		    /* what is left of it */
	struct range planned[RANGES_AHEAD]; /* those behind it, in order */
	unsigned planned_count, named;	    /* named: so many of them, to the source */
	struct chunk ahead;		    /* what the scout has read, and is in no range yet */
	uint64_t ahead_entry;
	bool scouting, ahead_more;
};

/* Takes entry's stored bytes, c->stored_size of them, into stored. Entries are asked for upwards;
 * one that is not wanted is fetched by itself. A range that broke (ERR_NETWORK) is opened again
 * from where it broke as long as each try brings something. What comes was verified by nobody. */
int ranges_read(
	struct ranges *r, uint64_t entry, const struct chunk *c, uint8_t *stored, struct err *e);

#endif
