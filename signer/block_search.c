#include "signer/block_search.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/format/hints.h"
#include "common/limits.h"
#include "signer/ui.h"

/* A thread takes so many bytes at once. Most places begin no block that is wanted, which a table
 * tells that stays in the processor's cache: a bit for each value of a hint's highest bits. */
enum { SHARE_BYTES = 4 << 20, FILTER_BITS = 23, FILTER_BYTES = 1 << (FILTER_BITS - 3) };

/* What is known of a block that is wanted. */
enum { WANTED = 1, AT_MULTIPLE = 2, ANYWHERE = 4 };

/* Open addressing; half of it stays empty. */
struct block_search {
	struct span image;
	size_t slots, wanted; /* slots: a power of two */
	uint64_t *hints;
	uint32_t *blocks; /* the first with this hint */
	uint8_t *state;	  /* read and set by all threads at once */
	uint8_t *filter;
	struct span old; /* what follows is of a run */
	const uint8_t *passed;
	_Atomic uint64_t taken; /* bytes of old */
};

void
block_search_free(struct block_search **slot)
{
	struct block_search *s = *slot;

	if (!s)
		return;
	free(s->hints);
	free(s->blocks);
	free(s->state);
	free(s->filter);
	free(s);
	*slot = NULL;
}

int
block_search_new(struct span image, size_t blocks, struct block_search **out, struct err *e)
{
	AUTO_BLOCK_SEARCH struct block_search *s = calloc(1, sizeof(*s));

	if (!s)
		return err_sys(e, ENOMEM, "looking for blocks");
	s->image = image;
	for (s->slots = 1; s->slots < 2 * blocks + 1;)
		s->slots *= 2;
	s->hints = calloc(s->slots, sizeof(*s->hints));
	s->blocks = calloc(s->slots, sizeof(*s->blocks));
	s->state = calloc(s->slots, sizeof(*s->state));
	s->filter = calloc(1, FILTER_BYTES);
	if (!s->hints || !s->blocks || !s->state || !s->filter)
		return err_sys(e, ENOMEM, "looking for %zu blocks", blocks);
	*out = TAKE_PTR(s);
	return 0;
}

static size_t
filter_at(uint64_t hint)
{
	return (size_t)(hint >> (64 - FILTER_BITS));
}

static uint8_t
state_of(const struct block_search *s, size_t slot)
{
	return __atomic_load_n(&s->state[slot], __ATOMIC_RELAXED);
}

/* Where a hint stands, or would. */
static size_t
slot_of(const struct block_search *s, uint64_t hint)
{
	size_t slot = (size_t)(hint * HINT_FACTOR >> 20) & (s->slots - 1);

	while (state_of(s, slot) != 0 && s->hints[slot] != hint)
		slot = (slot + 1) & (s->slots - 1);
	return slot;
}

static uint64_t
hint_of(const uint8_t *block)
{
	uint8_t bytes[HINTS_CHUNK_BYTES];

	(void)hints_of(span_of(block, HINT_BLOCK_BYTES), bytes);
	return num_get_le64(bytes);
}

void
block_search_add(struct block_search *s, uint64_t block)
{
	uint64_t hint = hint_of(s->image.data + block * HINT_BLOCK_BYTES);
	size_t slot = slot_of(s, hint);

	if (hint == HINT_OF_ZEROS || s->state[slot] != 0)
		return;
	s->hints[slot] = hint;
	s->blocks[slot] = (uint32_t)block;
	s->state[slot] = WANTED;
	s->filter[filter_at(hint) / 8] |= (uint8_t)(1U << filter_at(hint) % 8);
	s->wanted++;
}

static bool
is_passed(const struct block_search *s, uint64_t at)
{
	uint64_t chunk = at / CHUNK_BYTES;

	return s->passed[chunk / 8] >> chunk % 8 & 1;
}

static void
place_look(struct block_search *s, uint64_t hint, uint64_t at)
{
	uint8_t state, found = ANYWHERE;
	size_t slot;

	if (!(s->filter[filter_at(hint) / 8] >> filter_at(hint) % 8 & 1))
		return;
	if (at % HINT_BLOCK_BYTES == 0 && !is_passed(s, at))
		found |= AT_MULTIPLE;
	slot = slot_of(s, hint);
	state = state_of(s, slot);
	if (!(state & WANTED) || (state & found) == found)
		return;
	if (memcmp(s->old.data + at, s->image.data + (uint64_t)s->blocks[slot] * HINT_BLOCK_BYTES,
		    HINT_BLOCK_BYTES) == 0)
		(void)__atomic_fetch_or(&s->state[slot], found, __ATOMIC_RELAXED);
}

/* Blocks that begin from one byte on and before another. */
static void
share_look(struct block_search *s, uint64_t from, uint64_t to)
{
	const uint8_t *data = s->old.data;
	uint64_t hint = hint_of(data + from);

	for (uint64_t at = from;; at++) {
		place_look(s, hint, at);
		if (at + 1 == to)
			return;
		hint = hint_roll(hint, data[at], data[at + HINT_BLOCK_BYTES]);
	}
}

static void
shares_look(struct block_search *s, struct progress *progress)
{
	uint64_t end = s->old.len - HINT_BLOCK_BYTES + 1;

	for (;;) {
		uint64_t from = atomic_fetch_add(&s->taken, SHARE_BYTES);

		if (from >= end)
			return;
		if (progress)
			progress_set(progress, from);
		share_look(s, from, num_min(from + SHARE_BYTES, end));
	}
}

static void *
thread_main(void *arg)
{
	shares_look(arg, NULL);
	return NULL;
}

int
block_search_run(struct block_search *s, struct span old, const uint8_t *passed, unsigned threads,
	const char *name, struct err *e)
{
	pthread_t others[PIPELINE_THREADS_MAX];
	struct progress progress;
	size_t started = 0;

	if (threads < 1 || threads > PIPELINE_THREADS_MAX)
		return err_set(e, ERR_USAGE, "%u threads are not between 1 and %d", threads,
			PIPELINE_THREADS_MAX);
	if (s->wanted == 0 || old.len < HINT_BLOCK_BYTES)
		return 0;
	s->old = old;
	s->passed = passed;
	s->taken = 0;
	progress_start(&progress, name, old.len);
	/* The machine may not have threads to give; those that it gave do the work then. */
	while (started + 1 < threads && pthread_create(&others[started], NULL, thread_main, s) == 0)
		started++;
	shares_look(s, &progress);
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(others[i], NULL);
	progress_end(&progress);
	return 0;
}

enum block_found
block_search_of(const struct block_search *s, uint64_t block)
{
	uint64_t hint = hint_of(s->image.data + block * HINT_BLOCK_BYTES);
	uint8_t state = s->state[slot_of(s, hint)];

	if (hint == HINT_OF_ZEROS)
		return BLOCK_OF_ZEROS;
	if (state & AT_MULTIPLE)
		return BLOCK_ALIGNED;
	return state & ANYWHERE ? BLOCK_UNALIGNED : BLOCK_NOWHERE;
}

size_t
block_search_wanted(const struct block_search *s)
{
	return s->wanted;
}

size_t
block_search_unaligned(const struct block_search *s)
{
	size_t count = 0;

	for (size_t i = 0; i < s->slots; i++)
		count += (s->state[i] & (WANTED | AT_MULTIPLE)) == WANTED;
	return count;
}
