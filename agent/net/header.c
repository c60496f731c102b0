#include "agent/net/header.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/num.h"
#include "common/limits.h"

enum { NUMBER_DIGITS = 20, TAG_SETTLES_S = 2 };

/* Reads the number at *p, which `end` must follow, and steps behind both. */
static bool
take_number(const char **p, char end, uint64_t *out)
{
	size_t digits = strspn(*p, "0123456789");
	char text[NUMBER_DIGITS + 1];

	if (digits == 0 || digits > NUMBER_DIGITS || (*p)[digits] != end)
		return false;
	memcpy(text, *p, digits);
	text[digits] = 0;
	*p += digits + 1;
	return num_parse(text, 0, UINT64_MAX, out, NULL) == 0;
}

bool
header_range_fits(const char *text, uint64_t offset, uint64_t len)
{
	static const char unit[] = "bytes ";
	uint64_t first, last, end;

	if (!text || len == 0 || __builtin_add_overflow(offset, len, &end) ||
		strncmp(text, unit, sizeof(unit) - 1) != 0)
		return false;
	text += sizeof(unit) - 1;
	return take_number(&text, '-', &first) && take_number(&text, '/', &last) &&
	       first == offset && last == end - 1;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", the one form that servers may send. */
static bool
take_date(const char *text, int64_t *out_s)
{
	struct tm tm = {0};
	const char *end = text ? strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) : NULL;

	if (!end || *end)
		return false;
	*out_s = (int64_t)timegm(&tm);
	return true;
}

int64_t
header_retry_after_s(const char *text, int64_t now_s)
{
	uint64_t seconds;
	int64_t date_s, left;

	if (!text || !text[0])
		return -1;
	if (strspn(text, "0123456789") == strlen(text)) {
		if (num_parse(text, 0, NET_RETRY_AFTER_MAX_S, &seconds, NULL) == 0)
			return (int64_t)seconds;
		return NET_RETRY_AFTER_MAX_S;
	}
	if (!take_date(text, &date_s))
		return -1;
	left = date_s - now_s;
	return left < 0 ? -1 : left > NET_RETRY_AFTER_MAX_S ? NET_RETRY_AFTER_MAX_S : left;
}

bool
header_tag_fits(const char *tag, size_t max)
{
	if (!tag || strlen(tag) > max)
		return false;
	while (*tag >= 0x20 && *tag <= 0x7e)
		tag++;
	return *tag == 0;
}

bool
header_tag_is_safe(const char *date, const char *last_modified)
{
	int64_t date_s, changed_s;

	return !take_date(date, &date_s) || !take_date(last_modified, &changed_s) ||
	       date_s - changed_s >= TAG_SETTLES_S;
}
