/* Brings the hints of some of a payload's chunks. */
#ifndef SLUICE_AGENT_HINT_FETCH_H
#define SLUICE_AGENT_HINT_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/source.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"

/* Hints that are asked for in growing order, as few ranges as pays: what lies between two that are
 * near each other is less than a request and its answer. */
struct hint_fetch {
	const struct source *source;
	uint64_t offset; /* of the hints member in the source */
	int fd;		 /* where they go: at the same place as in the member */
	const struct keep_going *keep_going;
	uint64_t start, end; /* the range that is being gathered; as long: none */
	uint64_t fetched;    /* bytes, all in all */
};

/* Asks for the hints of the payload's plain bytes from offset on. */
int hint_fetch_add(struct hint_fetch *f, uint64_t plain_offset, uint64_t plain_size, struct err *e);

/* Brings what is left to bring. */
int hint_fetch_end(struct hint_fetch *f, struct err *e);

#endif
