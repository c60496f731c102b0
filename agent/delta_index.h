/* The index of a payload out of a delta's head, and out of what the box has of the old release.
 *
 * A delta has the digests of chunks that are new. Those of old chunks come from the old index where
 * they stand there whole, and else from the old bytes themselves. Every page of the index is
 * compared with its seal (pages.h), which came along: so an old image that is damaged here and
 * there costs the pages concerned, and no more. */
#ifndef SLUICE_AGENT_DELTA_INDEX_H
#define SLUICE_AGENT_DELTA_INDEX_H

#include <stdint.h>

#include "agent/delta_old.h"
#include "agent/wants.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"
#include "common/format/delta.h"

/* Pages that are not as they were sealed: so many, or one in so many, and there is no use in it. */
enum { DELTA_PAGES_WRONG = 4, DELTA_PAGES_PER_WRONG = 8 };

/* All borrowed. */
struct delta_index_job {
	int delta_fd; /* the delta's head */
	const char *delta_name;
	const struct delta_head *delta;
	size_t part;
	const struct payload *payload;	 /* new */
	struct delta_old *old;		 /* NULL: the old index is lost */
	const struct patch_old *running; /* the old bytes; NULL: none */
	int fd;				 /* the new head, which has the seals */
	const char *name;
	uint64_t index_at, seals_at; /* there */
	const struct keep_going *keep_going;
};

/* Writes PAYLOAD.index. The caller frees *wrong: pages of it that are not as they were sealed.
 * ERR_UNTRUSTED where these are too many; ERR_MALFORMED; ERR_STOPPED; ERR_SYSTEM. */
int delta_index_make(const struct delta_index_job *j, struct wants **wrong, struct err *e);

#endif
