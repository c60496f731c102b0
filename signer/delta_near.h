/* The parts of old bytes that may have most of one chunk's, side by side, so that all their places
 * with the same few bytes can be gone through. */
#ifndef SLUICE_SIGNER_DELTA_NEAR_H
#define SLUICE_SIGNER_DELTA_NEAR_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

enum {
	NEAR_SEED_BYTES = 6, /* what places that are gone through have in common */
	NEAR_PARTS = 64,
	NEAR_BYTES = 1 << 20
};

struct near {
	uint8_t *bytes;
	size_t size, count;
	struct near_part {
		uint64_t from, to; /* of the old bytes */
		size_t at;	   /* in bytes */
	} parts[NEAR_PARTS];
	int32_t *first, *next;
};

struct near *near_new(struct err *e);
void near_free(struct near **n);
#define AUTO_NEAR CLEANUP(near_free)

/* Forgets all parts, asks for some, and then takes them: what does not fit any more is left out,
 * those asked for last first. from may be negative, to behind the end. */
void near_clear(struct near *n);
void near_ask(struct near *n, struct span old, int64_t from, int64_t to);
void near_take(struct near *n, struct span old);

/* Where an old place is in n->bytes; -1: nowhere. And where a place in n->bytes, up to n->size, is
 * in the old bytes. */
int32_t near_place(const struct near *n, uint64_t old_at);
uint64_t near_old(const struct near *n, size_t at);

/* The first place with these NEAR_SEED_BYTES (8 are read) or some others; n->next[] of it is the
 * next; -1: none. */
int32_t near_first(const struct near *n, const uint8_t *bytes);

#endif
