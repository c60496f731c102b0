/* The haul: where each byte of an install comes from, known before the first is fetched. */
#ifndef SLUICE_AGENT_HAUL_H
#define SLUICE_AGENT_HAUL_H

#include <stdint.h>

#include "agent/delta_use.h"
#include "agent/reuse.h"
#include "agent/stored.h"
#include "agent/wants.h"
#include "common/base/err.h"
#include "common/format/index.h"

/* Plain bytes, which make up the payloads, but for the last three. */
struct haul {
	uint64_t in_place, /* right already */
		zeros,	   /* that are to be made */
		inactive,  /* from elsewhere in the inactive slot */
		running,   /* from the running side */
		delta,	   /* that records of a delta tell */
		network,   /* from the bundle, wherever it is; */
		stored,	   /* for these two so many are fetched, */
		records,   /* of which so many are the delta's, */
		ranges;	   /* in so many ranges */
};

/* A payload: what is wrong of it, and what of that is found on this box, or by a delta (NULL:
 * nothing was looked for). */
struct haul_part {
	struct index_reader *index;
	struct stored *stored;
	const struct wants *wrong;
	const struct reuse *found;
	const struct delta_use *use;
};

/* Adds a payload. As what the rest is stored has been brought (reuse_stored()), and does not count
 * any more. */
int haul_add(struct haul *h, const struct haul_part *p, struct err *e);

/* "3.1 MiB to fetch in 12 ranges; 500.0 MiB in place, ..." out holds HAUL_TEXT_SIZE. Returns out.
 */
enum { HAUL_TEXT_SIZE = 320 };
const char *haul_text(const struct haul *h, char out[HAUL_TEXT_SIZE]);

#endif
