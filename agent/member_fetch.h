/* Brings some bytes of a member that is made of small records, one for each block or chunk. */
#ifndef SLUICE_AGENT_MEMBER_FETCH_H
#define SLUICE_AGENT_MEMBER_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/source.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"

/* What is asked for in growing order, in as few ranges as pays: what lies between two that are near
 * each other is less than a request and its answer. */
struct member_fetch {
	const struct source *source;
	uint64_t offset; /* of the member in the source */
	int fd;		 /* where they go: at the same place as in the member */
	const struct keep_going *keep_going;
	uint64_t start, end; /* the range that is being gathered; as long: none */
	uint64_t fetched;    /* bytes, all in all */
};

/* Asks for bytes of the member. */
int member_fetch_add(struct member_fetch *f, uint64_t start, uint64_t size, struct err *e);

/* Brings what is left to bring. */
int member_fetch_end(struct member_fetch *f, struct err *e);

#endif
