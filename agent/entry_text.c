#include "agent/entry_text.h"

#include <string.h>

static const char BLANKS[] = " \t";

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Of one line, len bytes at text + at. */
static bool
line_match(const char *text, size_t at, size_t len, const char *key, struct entry_value *out)
{
	size_t key_len = strlen(key), end = at + len;

	while (at < end && is_blank(text[at]))
		at++;
	while (end > at && is_blank(text[end - 1]))
		end--;
	if (end - at <= key_len || memcmp(text + at, key, key_len) != 0 ||
		!is_blank(text[at + key_len]))
		return false;
	at += key_len + strspn(text + at + key_len, BLANKS);
	if (end - at >= 2 && text[at] == '"' && text[end - 1] == '"') {
		at++;
		end--;
	}
	if (at == end)
		return false;
	*out = (struct entry_value){at, end - at};
	return true;
}

bool
entry_text_find(const char *text, const char *key, struct entry_value *out)
{
	bool found = false;

	for (size_t at = 0; text[at];) {
		size_t len = strcspn(text + at, "\r\n");

		found = line_match(text, at, len, key, out) || found;
		at += len + (text[at + len] != 0);
	}
	return found;
}

int
entry_text_value(const char *text, const char *key, char *out, size_t size, struct err *e)
{
	struct entry_value value = {0, 0};

	if (entry_text_find(text, key, &value) && value.len >= size)
		return err_set(e, ERR_SYSTEM, "%s is longer than %zu bytes", key, size - 1);
	memcpy(out, text + value.at, value.len);
	out[value.len] = 0;
	return 0;
}
