/* The haul: where each byte of an install comes from, known before the first is fetched. */
#ifndef SLUICE_AGENT_HAUL_H
#define SLUICE_AGENT_HAUL_H

#include <stdint.h>

#include "agent/reuse.h"
#include "agent/stored.h"
#include "agent/wants.h"
#include "common/base/err.h"
#include "common/format/index.h"

/* Plain bytes, which make up the payloads, but for the last two. */
struct haul {
	uint64_t in_place, /* right already */
		zeros,	   /* that are to be made */
		inactive,  /* from elsewhere in the inactive slot */
		running,   /* from the running side */
		network,   /* from the bundle, wherever it is, */
		stored,	   /* for which so many are fetched */
		ranges;	   /* in so many ranges */
};

/* Adds a payload: what is wrong, and what of that is found on this box (NULL: nothing was looked
 * for). As what the rest is stored has been brought (reuse_stored()), and does not count any more.
 */
int haul_add(struct haul *h, struct index_reader *index, struct stored *stored,
	const struct wants *wrong, const struct reuse *found, struct err *e);

/* "3.1 MiB to fetch in 12 ranges; 500.0 MiB in place, ..." out holds HAUL_TEXT_SIZE. Returns out.
 */
enum { HAUL_TEXT_SIZE = 256 };
const char *haul_text(const struct haul *h, char out[HAUL_TEXT_SIZE]);

#endif
