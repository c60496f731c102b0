/* The ranges of a payload's data that an install takes from its source: wrong chunks that stand
 * side by side are one. */
#ifndef SLUICE_AGENT_RANGES_H
#define SLUICE_AGENT_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/source.h"
#include "agent/wants.h"
#include "common/base/err.h"
#include "common/format/index.h"

/* The caller fills in what stands first, all else being zero, and keeps what it borrows as long as
 * this is in use. */
struct ranges {
	const struct source *source;
	struct index_reader *scout; /* nobody else's */
	const struct wants *wanted; /* entries whose stored bytes will be asked for */
	uint64_t data_offset;	    /* of the data member in the source */
	uint64_t *fetched;	    /* added to as bytes come */

	struct chunk ahead; /* what the scout has read, and is in no range yet */
	uint64_t ahead_entry;
	bool scouting, ahead_more;
	uint64_t at, end; /* the open range, in the data member */
};

/* Takes entry's stored bytes, c->stored_size of them, into stored. Entries are asked for upwards. A
 * range that broke (ERR_NETWORK) is opened again from where it broke as long as each try brings
 * something. What comes was verified by nobody. */
int ranges_read(
	struct ranges *r, uint64_t entry, const struct chunk *c, uint8_t *stored, struct err *e);

#endif
