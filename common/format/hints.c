#include "common/format/hints.h"

#include <string.h>

#include "common/base/num.h"
#include "common/crypto/digest.h"

uint64_t
hints_size(uint64_t image_bytes)
{
	return num_div_up(image_bytes, HINT_BLOCK_BYTES) * HINT_BYTES;
}

size_t
hints_of(struct span plain, uint8_t out[HINTS_CHUNK_BYTES])
{
	size_t used = 0;

	for (size_t at = 0; at < plain.len && used < HINTS_CHUNK_BYTES; at += HINT_BLOCK_BYTES) {
		size_t len = (size_t)num_min(HINT_BLOCK_BYTES, plain.len - at);
		struct digest d = digest_of(span_of(plain.data + at, len));

		memcpy(out + used, d.b, HINT_BYTES);
		used += HINT_BYTES;
	}
	return used;
}
