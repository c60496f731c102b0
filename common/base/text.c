#include "common/base/text.h"

#include <string.h>

bool
text_ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

size_t
text_utf8_next(const uint8_t *p, size_t len, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t c = size < 2 ? p[0] : p[0] & (0x7fU >> size);

	if (size == 0 || size > len || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[size] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return size;
}

static bool
is_control(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0);
}

void
text_clean(char *s)
{
	uint8_t *p = (uint8_t *)s;

	for (size_t left = strlen(s), size; left > 0; left -= size, p += size) {
		uint32_t point = 0;

		size = text_utf8_next(p, left, &point);
		if (size == 0 || (is_control(point) && point != '\n' && point != '\t')) {
			size = size ? size : 1;
			memset(p, '?', size);
		}
	}
}
