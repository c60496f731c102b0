#include "signer/delta_blocks.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "signer/in_order.h"

enum { SLICE_BLOCKS = 256, LANES = 4, LANE_BYTES = 8 };

/* Number + 1 of a block, and bits of its hash; 0: nothing. */
struct place {
	uint32_t block, bits;
};

struct delta_blocks {
	struct span old;
	uint64_t blocks, count;
	struct place *places; /* mask + 1, at least twice as many as blocks */
	uint64_t mask;
	uint64_t *hashes; /* while it is made; 0: zeros */
};

void
delta_blocks_free(struct delta_blocks **slot)
{
	struct delta_blocks *b = *slot;

	if (!b)
		return;
	free(b->places);
	free(b->hashes);
	free(b);
}

uint64_t
delta_blocks_count(const struct delta_blocks *b)
{
	return b->count;
}

/* Any good mixture; what it says is equal is compared. Never 0. */
static uint64_t
block_hash(const uint8_t *block)
{
	static const uint64_t odd = 0x9e3779b97f4a7c15;
	uint64_t lane[LANES] = {1, 2, 3, 4}, hash = 0;

	for (size_t at = 0; at < DELTA_BLOCK_BYTES; at += sizeof(lane)) {
		uint64_t words[LANES];

		memcpy(words, block + at, sizeof(words));
		for (int i = 0; i < LANES; i++) {
			lane[i] = (lane[i] ^ words[i]) * odd;
			lane[i] ^= lane[i] >> 29;
		}
	}
	for (int i = 0; i < LANES; i++)
		hash = (hash ^ lane[i]) * odd ^ hash >> 31;
	return hash | 1;
}

static bool
is_zero(const uint8_t *block)
{
	return block[0] == 0 && memcmp(block, block + 1, DELTA_BLOCK_BYTES - 1) == 0;
}

static int
hash_slice(void *arg, void *own, uint64_t number, struct err *e)
{
	struct delta_blocks *b = arg;
	uint64_t end = num_min(b->blocks, (number + 1) * SLICE_BLOCKS);

	(void)own;
	(void)e;
	for (uint64_t i = number * SLICE_BLOCKS; i < end; i++) {
		const uint8_t *block = b->old.data + i * DELTA_BLOCK_BYTES;

		b->hashes[i] = is_zero(block) ? 0 : block_hash(block);
	}
	return 0;
}

static struct place *
place_of(const struct delta_blocks *b, uint64_t hash)
{
	return &b->places[hash >> 32 & b->mask];
}

static struct place *
place_next(const struct delta_blocks *b, struct place *p)
{
	return p == &b->places[b->mask] ? b->places : p + 1;
}

/* The first of equal ones only. */
static void
put_block(struct delta_blocks *b, uint64_t number)
{
	uint64_t hash = b->hashes[number];
	struct place *p = place_of(b, hash);

	for (; p->block > 0; p = place_next(b, p)) {
		if (b->hashes[p->block - 1] == hash)
			return;
	}
	*p = (struct place){(uint32_t)number + 1, (uint32_t)hash};
}

static int
blocks_make(struct delta_blocks *b, unsigned threads, struct err *e)
{
	struct in_order slices = {.threads = threads,
		.count = num_div_up(b->blocks, SLICE_BLOCKS),
		.ahead = in_order_ahead(threads),
		.work = hash_slice,
		.arg = b};

	for (b->mask = 1; b->mask < 2 * b->blocks; b->mask *= 2)
		;
	b->places = calloc(b->mask, sizeof(*b->places));
	b->mask--;
	b->hashes = calloc(b->blocks + 1, sizeof(*b->hashes));
	if (!b->places || !b->hashes)
		return err_sys(
			e, ENOMEM, "looking through %llu blocks", (unsigned long long)b->blocks);
	if (in_order_run(&slices, e) < 0)
		return -1;
	for (uint64_t i = 0; i < b->blocks; i++) {
		b->count += b->hashes[i] > 0;
		if (b->hashes[i] > 0)
			put_block(b, i);
	}
	free(TAKE_PTR(b->hashes));
	return 0;
}

int
delta_blocks_new(struct span old, unsigned threads, struct delta_blocks **out, struct err *e)
{
	AUTO_DELTA_BLOCKS struct delta_blocks *b = calloc(1, sizeof(*b));

	if (!b)
		return err_sys(e, ENOMEM, "looking through old blocks");
	b->old = old;
	b->blocks = old.len / DELTA_BLOCK_BYTES;
	if (b->blocks >= UINT32_MAX)
		return err_set(
			e, ERR_LIMIT, "%llu blocks are too many", (unsigned long long)b->blocks);
	if (blocks_make(b, threads, e) < 0)
		return -1;
	*out = TAKE_PTR(b);
	return 0;
}

static bool
lies_at(const struct delta_blocks *b, const uint8_t *block, uint64_t at)
{
	return at <= b->old.len && b->old.len - at >= DELTA_BLOCK_BYTES &&
	       memcmp(b->old.data + at, block, DELTA_BLOCK_BYTES) == 0;
}

uint64_t
delta_blocks_find(const struct delta_blocks *b, const uint8_t *block, uint64_t here)
{
	uint64_t hash;

	if (is_zero(block))
		return DELTA_NOWHERE;
	if (lies_at(b, block, here))
		return here;
	hash = block_hash(block);
	for (struct place *p = place_of(b, hash); p->block > 0; p = place_next(b, p)) {
		uint64_t at = (uint64_t)(p->block - 1) * DELTA_BLOCK_BYTES;

		if (p->bits == (uint32_t)hash && lies_at(b, block, at))
			return at;
	}
	return DELTA_NOWHERE;
}
