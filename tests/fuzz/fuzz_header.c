/* Headers of a server's answer, as texts: Content-Range, Retry-After, Date and Last-Modified.
 *
 * Input: 8 bytes offset, 8 bytes length, a text, a line of "%%", another text. */
#include "agent/net/header.h"
#include "common/limits.h"
#include "tests/fuzz/harness.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	uint64_t offset = fuzz_take64(&in), len = fuzz_take64(&in);
	AUTO_FREE char *first = fuzz_text(fuzz_take_part(&in, "%%")), *second = fuzz_text(in);
	char range[96];
	int64_t after_s;

	/* One text fits one range at most, and there is only one way to say it up to the total. */
	if (header_range_fits(first, offset, len)) {
		fuzz_deep();
		MUST(len > 0 && offset <= UINT64_MAX - len);
		MUST(!header_range_fits(first, offset + 1, len));
		MUST(!header_range_fits(first, offset, len + 1));
	}
	(void)snprintf(range, sizeof(range), "bytes %llu-%llu/*", (unsigned long long)offset,
		(unsigned long long)(offset + len - 1));
	MUST(header_range_fits(range, offset, len) == (len > 0 && offset <= UINT64_MAX - len));
	after_s = header_retry_after_s(first, (int64_t)(offset >> 24));
	MUST(after_s >= -1 && after_s <= NET_RETRY_AFTER_MAX_S);
	MUST(header_tag_is_safe(first, second) == header_tag_is_safe(first, second));
	MUST(header_tag_is_safe(NULL, second) && header_tag_is_safe(first, NULL));
	return 0;
}
