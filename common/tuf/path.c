#include "common/tuf/path.h"

#include <string.h>

/* Whether c is in the set that starts behind '[' at p; *end is where the pattern goes on. A set
 * that is not closed matches nothing. */
static bool
set_has(const char *p, char c, const char **end)
{
	bool negated = *p == '!', hit = false;

	if (negated)
		p++;
	/* A ']' that comes first is a member. */
	for (const char *first = p; *p && (*p != ']' || p == first); p++) {
		char low = *p, high = low;

		if (p[1] == '-' && p[2] && p[2] != ']') {
			high = p[2];
			p += 2;
		}
		hit = hit || ((unsigned char)low <= (unsigned char)c &&
				     (unsigned char)c <= (unsigned char)high);
	}
	if (*p != ']')
		return false;
	*end = p + 1;
	return hit != negated;
}

/* Whether one element of the pattern matches c; *end is behind the element. */
static bool
element_matches(const char *p, char c, const char **end)
{
	*end = p + 1;
	if (c == '/' || *p == '/')
		return c == *p;
	if (*p == '?')
		return true;
	if (*p == '[')
		return set_has(p + 1, c, end);
	return *p == c;
}

bool
path_matches(const char *pattern, const char *path)
{
	/* Only the last '*' is ever widened: a slash fixes everything before it, and within a
	 * component an earlier '*' could give nothing that the last one cannot. */
	const char *star = NULL, *retry = NULL, *next;

	while (*path) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = path;
		} else if (*pattern && element_matches(pattern, *path, &next)) {
			pattern = next;
			path++;
		} else if (star && *retry != '/') {
			pattern = star;
			path = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

bool
path_is_delegated(const json_t *delegation, const char *path, const char *hex)
{
	const json_t *item;
	size_t i;

	json_array_foreach (json_object_get(delegation, "paths"), i, item) {
		if (path_matches(json_string_value(item), path))
			return true;
	}
	json_array_foreach (json_object_get(delegation, "path_hash_prefixes"), i, item) {
		if (strncmp(json_string_value(item), hex, json_string_length(item)) == 0)
			return true;
	}
	return false;
}

int
path_quote(const char *text, bool keep_slash, struct buf *out, struct err *e)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";

	for (const char *p = text; *p; p++) {
		bool kept = strchr(plain, *p) || (keep_slash && *p == '/');
		int done = kept ? buf_append(out, p, 1, e)
				: buf_printf(out, e, "%%%02X", (unsigned char)*p);

		if (done < 0)
			return -1;
	}
	return 0;
}
