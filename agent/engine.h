/* The one loop of an install: make a place equal its index.
 *
 * Whatever the place holds is compared chunk by chunk; what is wrong is fetched as coalesced
 * ranges, checked, and written. So a first install, a resume after a power cut and an install of
 * what is there already are the same thing. Memory is bounded: two chunks, and a bit for every
 * entry of the index. */
#ifndef SLUICE_AGENT_ENGINE_H
#define SLUICE_AGENT_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/source.h"
#include "agent/wants.h"
#include "common/base/err.h"
#include "common/format/index.h"

/* What an install came to, for logs and reports. */
struct install_stats {
	uint64_t bytes_in_place, /* plain bytes that were right already */
		bytes_fetched,	 /* stored bytes taken from the source */
		bytes_written,	 /* plain bytes written; holes count as nothing */
		chunks;		 /* entries of the index looked at */
};

/* Where a payload goes: an address space of exactly its plain bytes. Each pass over it goes
 * upwards. Errors are ERR_SYSTEM with the name. */
struct place {
	void *arg;
	int (*read)(void *arg, void *data, size_t len, uint64_t offset, struct err *e);
	int (*write)(void *arg, const void *data, size_t len, uint64_t offset, struct err *e);
	/* Makes a range read as zeros; *written is what had to be written for it. */
	int (*zero)(void *arg, uint64_t offset, uint64_t len, uint64_t *written, struct err *e);
};

/* A way to zero() for a place without holes: writes zeros where it reads other bytes. */
int place_zero_by_writing(
	const struct place *p, uint64_t offset, uint64_t len, uint64_t *written, struct err *e);

/* One payload's work. index and scout are two readers of the same index; data_offset is where its
 * data member starts in the source. */
struct engine {
	const struct place *place;
	struct index_reader *index, *scout;
	const struct source *source;
	uint64_t data_offset;
	const struct keep_going *keep_going; /* asked before every chunk; or NULL */
	struct install_stats *stats;	     /* added to as it goes */
};

/* The first pass: what is wrong? Neither fetches nor writes, and needs no source. The caller frees
 * *out. */
int engine_compare(const struct engine *g, struct wants **out, struct err *e);

/* The second: mends what is. *changed: something was written or made a hole, so it has to be synced
 * and read back. A broken range (ERR_NETWORK) is opened again from where it broke as long as each
 * try brings something. Bytes that are not what the index says are asked for elsewhere (source.h),
 * and are ERR_UNTRUSTED where nobody has others: nothing of that chunk was written. */
int engine_mend(const struct engine *g, struct wants *wrong, bool *changed, struct err *e);

/* Both: makes the place equal. */
int engine_fill(const struct engine *g, bool *changed, struct err *e);

/* Reads everything back: ERR_SYSTEM naming the first byte range that is not as it should be. */
int engine_check(const struct engine *g, struct err *e);

#endif
