#include "common/format/hints.h"

#include "common/base/num.h"

/* So many are summed side by side, for each step waits for the one before. */
enum { LANES = 4 };

uint64_t
hints_size(uint64_t image_bytes)
{
	return num_div_up(image_bytes, HINT_BLOCK_BYTES) * HINT_BYTES;
}

static void
lanes_put(const uint8_t *blocks, uint8_t *out)
{
	uint64_t hint[LANES] = {0};

	for (size_t i = 0; i < HINT_BLOCK_BYTES; i++) {
		for (size_t lane = 0; lane < LANES; lane++)
			hint[lane] = hint[lane] * HINT_FACTOR + blocks[lane * HINT_BLOCK_BYTES + i];
	}
	for (size_t lane = 0; lane < LANES; lane++)
		num_put_le64(out + lane * HINT_BYTES, hint[lane]);
}

static void
block_put(struct span block, uint8_t *out)
{
	uint64_t hint = 0;

	for (size_t i = 0; i < block.len; i++)
		hint = hint * HINT_FACTOR + block.data[i];
	num_put_le64(out, hint);
}

size_t
hints_of(struct span plain, uint8_t out[HINTS_CHUNK_BYTES])
{
	size_t at = 0, used = 0, end = (size_t)num_min(plain.len, CHUNK_BYTES);

	for (; end - at >= LANES * HINT_BLOCK_BYTES; at += LANES * HINT_BLOCK_BYTES) {
		lanes_put(plain.data + at, out + used);
		used += LANES * HINT_BYTES;
	}
	for (; at < end; at += HINT_BLOCK_BYTES) {
		block_put(span_of(plain.data + at, (size_t)num_min(HINT_BLOCK_BYTES, end - at)),
			out + used);
		used += HINT_BYTES;
	}
	return used;
}
