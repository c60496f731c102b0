#include "common/format/hints.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/num.h"
#include "common/crypto/digest.h"

uint64_t
hints_size(uint64_t image_bytes)
{
	return num_div_up(image_bytes, HINT_BLOCK_BYTES) * HINT_BYTES;
}

/* Much of an image is zeros, which need not be hashed again. */
static const uint8_t zeros_hint[HINT_BYTES] = {0xad, 0x7f, 0xac, 0xb2, 0x58, 0x6f, 0xc6, 0xe9};

static bool
is_zeros(struct span block)
{
	return block.len == HINT_BLOCK_BYTES && block.data[0] == 0 &&
	       memcmp(block.data, block.data + 1, block.len - 1) == 0;
}

static void
hint_of(struct span block, uint8_t out[HINT_BYTES])
{
	struct digest d;

	if (is_zeros(block)) {
		memcpy(out, zeros_hint, HINT_BYTES);
		return;
	}
	d = digest_of(block);
	memcpy(out, d.b, HINT_BYTES);
}

size_t
hints_of(struct span plain, uint8_t out[HINTS_CHUNK_BYTES])
{
	size_t used = 0;

	for (size_t at = 0; at < plain.len && used < HINTS_CHUNK_BYTES; at += HINT_BLOCK_BYTES) {
		size_t len = (size_t)num_min(HINT_BLOCK_BYTES, plain.len - at);

		hint_of(span_of(plain.data + at, len), out + used);
		used += HINT_BYTES;
	}
	return used;
}
