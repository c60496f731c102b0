#include "common/format/hints.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/num.h"
#include "common/crypto/digest_many.h"

uint64_t
hints_size(uint64_t image_bytes)
{
	return num_div_up(image_bytes, HINT_BLOCK_BYTES) * HINT_BYTES;
}

static bool
is_zeros(struct span block)
{
	return block.len == HINT_BLOCK_BYTES && block.data[0] == 0 &&
	       memcmp(block.data, block.data + 1, block.len - 1) == 0;
}

size_t
hints_of(struct span plain, uint8_t out[HINTS_CHUNK_BYTES])
{
	struct span blocks[HINTS_CHUNK_BYTES / HINT_BYTES] = {{0}};
	struct digest digests[HINTS_CHUNK_BYTES / HINT_BYTES];
	size_t used = 0, count = 0, place[HINTS_CHUNK_BYTES / HINT_BYTES];

	for (size_t at = 0; at < plain.len && used < HINTS_CHUNK_BYTES; at += HINT_BLOCK_BYTES) {
		blocks[count] =
			span_of(plain.data + at, (size_t)num_min(HINT_BLOCK_BYTES, plain.len - at));
		place[count] = used;
		/* Much of an image is zeros, which need not be hashed again. */
		if (is_zeros(blocks[count]))
			num_put_le64(out + used, HINT_OF_ZEROS);
		else
			count++;
		used += HINT_BYTES;
	}
	digest_of_many(blocks, count, digests);
	for (size_t i = 0; i < count; i++)
		memcpy(out + place[i], digests[i].b, HINT_BYTES);
	return used;
}
