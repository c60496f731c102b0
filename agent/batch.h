/* Some chunks that are worked on at once: compared with what a place holds, or checked, inflated,
 * checked again and written there.
 *
 * Digests of many messages at once are several times as fast as one by one (digest_many.h), and few
 * large reads and writes cost less than many small ones. */
#ifndef SLUICE_AGENT_BATCH_H
#define SLUICE_AGENT_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/place.h"
#include "common/base/err.h"
#include "common/format/codec.h"
#include "common/format/index.h"

enum {
	BATCH_CHUNKS = CODEC_CHUNKS,
	BATCH_BYTES = 1 << 20,	   /* of memory: so many plain, and as many stored */
	BATCH_ZERO_BYTES = 4 << 20 /* zeros, which need none, and may have to be written */
};

/* A chunk, or a piece of a run of zeros: then c's offset and size are the piece's. */
struct batch_item {
	uint64_t entry; /* of the index */
	struct chunk c;
	uint8_t *stored, *plain; /* in the batch */
	uint64_t entry_bytes;	 /* of the whole run */
	bool last;		 /* nothing of it comes behind this */
	bool good;   /* compared: it is right. Mended: it is written, where err is ERR_NONE */
	bool unread; /* compared: it could not be, and place_is_worn() */
};

struct batch {
	struct batch *next; /* for whoever has it */
	const struct place *place;
	struct batch_item item[BATCH_CHUNKS];
	size_t count;
	size_t plain_used, stored_used;
	uint64_t bytes; /* of all items */
	uint8_t *plain, *stored;
	struct inflater *inflater;
	/* What came of it. err: what has to end the install; its class is ERR_NONE where nothing
	 * has. spoilt: so many stored bytes are not what the index says, first at spoilt_entry, and
	 * why tells how; or it tells of what was unread. */
	uint64_t written, spoilt, spoilt_entry;
	struct err err, why;
};

/* place is borrowed. Memory is used as it is filled. */
int batch_new(const struct place *place, struct batch **out, struct err *e);
void batch_free(struct batch **b);
void batch_clear(struct batch *b);

/* The next item; NULL where there is no room for it. An empty batch has room for any chunk, and for
 * a piece of zeros of BATCH_BYTES, or where it needs no memory (that is, to be mended) of
 * BATCH_ZERO_BYTES. What a chunk is mended from goes to its stored. */
struct batch_item *batch_add(
	struct batch *b, uint64_t entry, const struct chunk *c, bool needs_memory);

/* Takes it out again: the last one, which was not filled. */
void batch_drop(struct batch *b);

/* Reads all items to their plain. What is worn is unread; -1 with err where the place failed. */
int batch_read(struct batch *b);

/* Reads all items, and sets good where the place holds them. What is worn is not good, and ends
 * nothing: it is to be written. */
void batch_compare(struct batch *b);

/* Writes all items whose stored bytes are what the index says, and makes zeros. Nothing of a chunk
 * that is not comes near the place. */
void batch_mend(struct batch *b);

#endif
