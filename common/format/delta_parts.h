/* What the files of delta.h have in common. For them only. */
#ifndef SLUICE_FORMAT_DELTA_PARTS_H
#define SLUICE_FORMAT_DELTA_PARTS_H

#include "common/format/delta.h"
#include "common/format/inflow.h"

enum { DELTA_VERSION = 1 };

/* Items of a walk. */
enum { ITEM_KIND_BITS = 2, ITEM_SHORT = 1 << ITEM_KIND_BITS, ITEM_BITS = ITEM_KIND_BITS + 1 };

/* A part of a file that is read from its beginning to its end: an inflow's feed. */
struct section {
	int fd;
	const char *name;
	uint64_t at, left;
	uint8_t bytes[4096];
};
int section_more(void *section, struct span *out, struct err *e);

#endif
