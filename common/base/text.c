#include "common/base/text.h"

#include <stddef.h>
#include <stdint.h>

/* What a lead byte promises: how many bytes follow, and the least code point that needs so many. */
static size_t
lead_follows(uint8_t lead, uint32_t *point, uint32_t *least)
{
	if (lead >= 0xc2 && lead <= 0xdf) {
		*point = lead & 0x1fU;
		*least = 0xa0; /* 0x80 to 0x9f are the C1 controls */
		return 1;
	}
	if (lead >= 0xe0 && lead <= 0xef) {
		*point = lead & 0x0fU;
		*least = 0x800;
		return 2;
	}
	if (lead >= 0xf0 && lead <= 0xf4) {
		*point = lead & 0x07U;
		*least = 0x10000;
		return 3;
	}
	return 0;
}

/* Bytes of the good character at s, or 0. */
static size_t
character_length(const char *s)
{
	uint8_t lead = (uint8_t)s[0];
	uint32_t point, least;
	size_t follows;

	if (lead < 0x80)
		return (lead >= 0x20 && lead != 0x7f) || lead == '\n' || lead == '\t';
	follows = lead_follows(lead, &point, &least);
	for (size_t i = 1; i <= follows; i++) {
		uint8_t c = (uint8_t)s[i];

		if ((c & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (c & 0x3fU);
	}
	if (follows == 0 || point < least || point > 0x10ffff ||
		(point >= 0xd800 && point <= 0xdfff))
		return 0;
	return follows + 1;
}

void
text_clean(char *s)
{
	while (*s) {
		size_t len = character_length(s);

		if (len == 0)
			*s = '?';
		s += len ? len : 1;
	}
}
