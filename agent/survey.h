/* A survey: what of a payload an old place on this box may hold, the running slot above all.
 *
 * The place is only read, in pieces of a chunk's size. A chunk that is wanted and stands there
 * where it belongs is seen by its digest. Of all other pieces the hints of their blocks are noted,
 * to be looked through for blocks that have moved. What cannot be read is passed over: it is
 * fetched. A crew (crew.h) reads and hashes, as in an engine's passes. */
#ifndef SLUICE_AGENT_SURVEY_H
#define SLUICE_AGENT_SURVEY_H

#include <stdint.h>

#include "agent/hint_table.h"
#include "agent/place.h"
#include "agent/wants.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"
#include "common/format/index.h"

struct survey {
	const struct place *place;
	uint64_t bytes; /* how far it is looked at */
	struct index_reader *index;
	const struct wants *wanted; /* chunks to be seen where they belong; NULL: none are */
	struct wants *seen;	    /* of these, what was */
	struct hint_table *sample;  /* hints that count as hits; NULL: no hints are looked at */
	int fd;			    /* where hints are noted, 8 bytes a block; -1: nowhere */
	uint64_t every;		    /* looks at one piece of so many */
	const struct keep_going *keep_going; /* asked before each */
	uint64_t hits; /* out: hints of the sample found, each once, and 16 for each chunk seen */
};

/* ERR_STOPPED by keep_going; ERR_SYSTEM where hints cannot be noted; an index that changed. */
int survey_run(struct survey *s, struct err *e);

#endif
