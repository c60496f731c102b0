#include "common/format/bucket.h"

#include <string.h>

#include "common/base/num.h"
#include "common/crypto/digest.h"
#include "common/limits.h"

enum { SALT_BYTES = 31 };

uint32_t
bucket_of(const char *salt, const char *rollout, const char *box, uint32_t count)
{
	/* Ids longer than a plan or a configuration can hold would be cut: none comes here. */
	char text[SALT_BYTES + 1 + NAME_BYTES_MAX + 1 + NAME_BYTES_MAX];
	size_t salt_len = strnlen(salt, SALT_BYTES), rollout_len = strnlen(rollout, NAME_BYTES_MAX),
	       box_len = strnlen(box, NAME_BYTES_MAX), len = 0;
	struct digest digest;
	uint64_t v, high, low;

	memcpy(text, salt, salt_len);
	len += salt_len;
	text[len++] = 0;
	memcpy(text + len, rollout, rollout_len);
	len += rollout_len;
	text[len++] = 0;
	memcpy(text + len, box, box_len);
	len += box_len;
	digest = digest_of(span_of(text, len));
	/* v * count >> 64 in halves, as C has no 128-bit integers. */
	v = num_get_be64(digest.b);
	high = (v >> 32) * count;
	low = (v & UINT32_MAX) * count;
	return (uint32_t)((high + (low >> 32)) >> 32);
}
