#include "agent/site.h"

#include <string.h>

/* Where the mirror of that number (from 1) stands, and how long it is; NULL past the last. */
static const char *
mirror_at(const struct conf *c, size_t number, size_t *len)
{
	const char *at = c->mirrors;

	for (; at && number > 0; number--) {
		at += strspn(at, " \t");
		*len = strcspn(at, " \t");
		if (*len == 0)
			return NULL;
		if (number > 1)
			at += *len;
	}
	return at;
}

size_t
site_count(const struct conf *c)
{
	size_t count = 1, len;

	while (mirror_at(c, count, &len))
		count++;
	return count;
}

struct span
site_span(const struct conf *c, size_t number)
{
	size_t len;
	const char *mirror = number > 0 ? mirror_at(c, number, &len) : NULL;

	return mirror ? span_of(mirror, len) : span_str(c->site_url ? c->site_url : "");
}
