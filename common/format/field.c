#include "common/format/field.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/text.h"

int
field_format(const json_t *object, struct err *e)
{
	uint64_t format;

	if (json_get_uint(object, "format", 0, FIELD_INT_MAX, &format, e) < 0)
		return -1;
	if (format != 1)
		return err_set(e, ERR_MALFORMED,
			"format %llu is not known here; this program reads format 1",
			(unsigned long long)format);
	return 0;
}

bool
field_is_name(const json_t *value)
{
	return json_is_string(value) && json_string_length(value) <= NAME_BYTES_MAX &&
	       name_is_plain(json_string_value(value));
}

int
field_name(const json_t *object, const char *key, char out[NAME_BYTES_MAX + 1], struct err *e)
{
	const char *text;

	if (json_get_string(object, key, NAME_BYTES_MAX, &text, e) < 0)
		return -1;
	if (!name_is_plain(text))
		return err_set(e, ERR_MALFORMED,
			"'%s' is not a plain name (letters, digits, '.', '_', '+', '-')", key);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

int
field_path(const json_t *object, const char *key, const char *folder, const char *suffix,
	char out[TUF_PATH_MAX + 1], struct err *e)
{
	size_t folder_len = strlen(folder), suffix_len = strlen(suffix), len;
	const char *text;

	if (json_get_string(object, key, TUF_PATH_MAX, &text, e) < 0)
		return -1;
	len = strlen(text);
	if (len <= folder_len + 1 + suffix_len || strncmp(text, folder, folder_len) != 0 ||
		text[folder_len] != '/' || !name_is_plain(text + folder_len + 1) ||
		!text_ends_with(text, suffix))
		return err_set(
			e, ERR_MALFORMED, "'%s' is not of the form %s/NAME%s", key, folder, suffix);
	memcpy(out, text, len + 1);
	return 0;
}

int
field_sha256(const json_t *object, const char *key, struct digest *out, struct err *e)
{
	char again[DIGEST_HEX_SIZE];
	struct digest digest;
	const char *text;

	if (json_get_string(object, key, DIGEST_HEX_SIZE - 1, &text, e) < 0)
		return -1;
	if (digest_parse(text, &digest, e) < 0)
		return err_context(e, "'%s'", key);
	if (strcmp(text, digest_hex(&digest, again)) != 0)
		return err_set(e, ERR_MALFORMED, "'%s' has digits in upper case", key);
	*out = digest;
	return 0;
}

int
field_time(const json_t *object, const char *key, int64_t *out_s, struct err *e)
{
	const char *text;

	if (json_get_string(object, key, CLOCK_TEXT_SIZE, &text, e) < 0)
		return -1;
	if (clock_parse(text, out_s, e) < 0)
		return err_context(e, "'%s'", key);
	return 0;
}

/* Bytes of the character at p that may be shown, or 0. */
static size_t
character_len(const char *p, size_t left, bool lines)
{
	uint32_t point = 0;
	size_t len = text_utf8_next((const uint8_t *)p, left, &point);

	if (lines && (point == '\n' || point == '\t'))
		return len;
	/* The C1 controls, too: a terminal may take U+009B for an escape sequence. */
	return point < 0x20 || (point >= 0x7f && point < 0xa0) ? 0 : len;
}

bool
field_is_text(const char *text, size_t len, bool lines)
{
	for (size_t i = 0, step; i < len; i += step) {
		step = character_len(text + i, len - i, lines);
		if (step == 0)
			return false;
	}
	return true;
}

int
field_text(const json_t *object, const char *key, char *out, size_t size, bool lines, struct err *e)
{
	const char *text;

	if (json_get_string(object, key, size - 1, &text, e) < 0)
		return -1;
	if (!field_is_text(text, strlen(text), lines))
		return err_set(e, ERR_MALFORMED, "'%s' has a control character in it", key);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

bool
field_is_tag(const char *text, size_t len)
{
	return len > 0 && len <= NAME_BYTES_MAX && field_is_text(text, len, false);
}

int
field_tags(const json_t *object, const char *key, json_t **out, struct err *e)
{
	json_t *tags, *value;
	const char *tag;

	if (json_get_object(object, key, &tags, e) < 0)
		return -1;
	if (json_object_size(tags) > FIELD_TAGS_MAX)
		return err_set(e, ERR_LIMIT, "'%s' has more than %d tags", key, FIELD_TAGS_MAX);
	json_object_foreach (tags, tag, value) {
		if (!field_is_tag(tag, strlen(tag)) || !json_is_string(value) ||
			!field_is_tag(json_string_value(value), json_string_length(value)))
			return err_set(e, ERR_MALFORMED,
				"'%s' has a tag that is not 1 to %d bytes of text", key,
				NAME_BYTES_MAX);
	}
	*out = tags;
	return 0;
}
