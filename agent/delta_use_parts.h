/* What the files of delta_use.h have in common. For them only. */
#ifndef SLUICE_AGENT_DELTA_USE_PARTS_H
#define SLUICE_AGENT_DELTA_USE_PARTS_H

#include "agent/delta_use.h"

struct delta_use {
	struct delta_use_job j;
	struct patch_old old;
	struct wants *copied, *told; /* entries that come out of the running slot, out of records */
	struct wants *records;	     /* those that are fetched, by number */
	uint64_t bytes, ranges;	     /* of them */
};

int delta_use_walk(const struct delta_use *u, struct delta_walk **out, struct err *e);

#endif
