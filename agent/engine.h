/* The one loop of an install: make a place equal its index.
 *
 * Whatever the place holds is compared chunk by chunk; what is wrong is fetched as coalesced
 * ranges, checked, and written. So a first install, a resume after a power cut and an install of
 * what is there already are the same thing.
 *
 * One thread reads the index and the source, and asks whether to go on; a crew of others (crew.h)
 * reads the place, hashes, inflates and writes, batch by batch. Memory is bounded: a batch for each
 * of them and one more, of 2 MiB at most, and two bits for every entry of the index. As what the
 * chunks are stored is read a page at a time (stored.h). */
#ifndef SLUICE_AGENT_ENGINE_H
#define SLUICE_AGENT_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/place.h"
#include "agent/source.h"
#include "agent/stored.h"
#include "agent/wants.h"
#include "common/base/err.h"
#include "common/format/index.h"

/* What an install came to, for logs and reports. */
struct install_stats {
	uint64_t bytes_in_place, /* plain bytes that were right already */
		bytes_running,	 /* plain bytes taken from the running side, */
		bytes_inactive,	 /* and from elsewhere in the inactive one, */
		bytes_delta,	 /* and those that records of a delta told */
		bytes_fetched, /* bytes taken from sources: stored chunks, hints, pages, records */
		bytes_written, /* plain bytes written; holes count as nothing */
		chunks;	       /* entries of the index looked at */
};

struct proof;

/* One payload's work. index and scout are two readers of the same index; data_offset is where its
 * data member starts in the source. */
struct engine {
	const struct place *place;
	struct index_reader *index, *scout;
	const struct source *source;
	uint64_t data_offset;
	struct stored *stored;		     /* of the same payload; only mending asks for it */
	const struct keep_going *keep_going; /* asked before every chunk; or NULL */
	struct install_stats *stats;	     /* added to as it goes */
	struct proof *proof;		     /* is told how far mending has come; or NULL */
};

/* The first pass: what is wrong? Neither fetches nor writes, and needs no source. What the place
 * cannot read is wrong, and logged (place_is_worn()); any other failure ends it. The caller frees
 * *out. */
int engine_compare(const struct engine *g, struct wants **out, struct err *e);

/* The second: mends what is, and drops it from wrong. First brings what is not known yet of how
 * that is stored. A broken range (ERR_NETWORK) is opened again from where it broke as long as each
 * try brings something. Bytes that are not what the index says are asked for elsewhere (source.h),
 * and are ERR_UNTRUSTED where nobody has others: nothing of that chunk was written. Whatever ends
 * it, what was fetched and is right has been written by then, and nothing is written any more. */
int engine_mend(const struct engine *g, struct wants *wrong, struct err *e);

/* Both: makes the place equal. *changed, which the caller frees, is what was wrong: if that is
 * anything, it has to be synced and read back. */
int engine_fill(const struct engine *g, struct wants **changed, struct err *e);

/* Reads back what was written; NULL: everything. What the comparison found right was read from
 * where it will be read after a power cut, and has not changed since. ERR_SYSTEM naming a byte
 * range that is not as it should be, or cannot be read. Runs of zeros that are other bytes are
 * added to lost instead, where that is not NULL: there are devices that make nothing of zero(). */
int engine_check(
	const struct engine *g, const struct wants *written, struct wants *lost, struct err *e);

#endif
