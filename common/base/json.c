#include "common/base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/limits.h"

/* Where the string that starts behind its quote at i ends: at the closing quote, or at len. */
static size_t
string_end(struct span bytes, size_t i)
{
	const uint8_t *from = bytes.data + i, *quote = NULL;

	if (i < bytes.len)
		quote = memchr(from, '"', bytes.len - i);
	if (quote && !memchr(from, '\\', (size_t)(quote - from)))
		return (size_t)(quote - bytes.data);
	while (i < bytes.len && bytes.data[i] != '"')
		i += bytes.data[i] == '\\' ? 2 : 1;
	return num_min(i, bytes.len);
}

/* Where the number that starts at i ends, or where it turns out not to be a whole one. */
static size_t
number_end(struct span bytes, size_t i, bool *whole)
{
	*whole = true;
	while (i < bytes.len && strchr("+-0123456789.eE", bytes.data[i]) && bytes.data[i]) {
		if (strchr(".eE", bytes.data[i])) {
			*whole = false;
			return i;
		}
		i++;
	}
	return i;
}

/* jansson's own ceiling on nesting is 2048, recursively: deep enough to hurt a small stack. And it
 * would round what has a fraction or an exponent, which no format here has. */
static int
scan(struct span bytes, const char *name, struct err *e)
{
	size_t depth = 0;
	bool whole;

	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t c = bytes.data[i];

		if (c == '"') {
			i = string_end(bytes, i + 1);
		} else if (c == '-' || (c >= '0' && c <= '9')) {
			i = number_end(bytes, i, &whole);
			if (!whole)
				return err_set(e, ERR_MALFORMED,
					"%s: byte %zu: a number with a fraction or an exponent",
					name, i);
			i--;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return err_set(e, ERR_LIMIT, "%s: byte %zu: nested deeper than %d",
					name, i, JSON_DEPTH_MAX);
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return 0;
}

int
json_parse(struct span bytes, const char *name, json_t **out, struct err *e)
{
	json_error_t problem;
	json_t *j;

	if (scan(bytes, name, e) < 0)
		return -1;
	j = json_loadb((const char *)bytes.data, bytes.len,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
	if (!j)
		return err_set(
			e, ERR_MALFORMED, "%s: byte %d: %s", name, problem.position, problem.text);
	*out = j;
	return 0;
}

/* Where a canonical form goes: appended to out, or compared with what is expected. */
struct sink {
	struct buf *out; /* or NULL */
	struct span expected;
};

/* -1 with ERR_NONE where what is expected differs. */
static int
put(struct sink *s, const char *text, size_t len, struct err *e)
{
	if (s->out)
		return buf_append(s->out, text, len, e);
	if (s->expected.len < len || memcmp(s->expected.data, text, len) != 0)
		return -1;
	s->expected.data += len;
	s->expected.len -= len;
	return 0;
}

static int canonical_value(const json_t *j, struct sink *out, struct err *e);

static int
canonical_string(const char *s, size_t len, struct sink *out, struct err *e)
{
	bool plain = !memchr(s, '"', len) && !memchr(s, '\\', len);
	size_t start = 0;

	if (put(out, "\"", 1, e) < 0)
		return -1;
	for (size_t i = 0; !plain && i < len; i++) {
		if (s[i] != '"' && s[i] != '\\')
			continue;
		if (put(out, s + start, i - start, e) < 0 || put(out, "\\", 1, e) < 0)
			return -1;
		start = i;
	}
	if (put(out, s + start, len - start, e) < 0)
		return -1;
	return put(out, "\"", 1, e);
}

static int
canonical_integer(json_int_t v, struct sink *out, struct err *e)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, v);

	return put(out, text, (size_t)len, e);
}

struct pair {
	const char *key;
	const json_t *value;
};

static int
pair_compare(const void *a, const void *b)
{
	/* UTF-8 sorts by bytes as its code points do. */
	return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

/* Most objects are in order as they are read: they were written so. */
static void
pairs_sort(const json_t *j, struct pair *pairs)
{
	bool sorted = true;
	const char *key;
	json_t *value;
	size_t i = 0;

	/* jansson iterates a const object through a pointer that is not. */
	json_object_foreach ((json_t *)(uintptr_t)j, key, value) {
		pairs[i] = (struct pair){key, value};
		sorted = sorted && (i == 0 || strcmp(pairs[i - 1].key, key) < 0);
		i++;
	}
	if (!sorted)
		qsort(pairs, i, sizeof(*pairs), pair_compare);
}

static int
canonical_object(const json_t *j, struct sink *out, struct err *e)
{
	size_t count = json_object_size(j);
	AUTO_FREE struct pair *pairs = calloc(count ? count : 1, sizeof(*pairs));

	if (!pairs)
		return err_sys(e, ENOMEM, "canonical JSON");
	pairs_sort(j, pairs);
	if (put(out, "{", 1, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if ((i > 0 && put(out, ",", 1, e) < 0) ||
			canonical_string(pairs[i].key, strlen(pairs[i].key), out, e) < 0 ||
			put(out, ":", 1, e) < 0 || canonical_value(pairs[i].value, out, e) < 0)
			return -1;
	}
	return put(out, "}", 1, e);
}

static int
canonical_array(const json_t *j, struct sink *out, struct err *e)
{
	if (put(out, "[", 1, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(j); i++) {
		if ((i > 0 && put(out, ",", 1, e) < 0) ||
			canonical_value(json_array_get(j, i), out, e) < 0)
			return -1;
	}
	return put(out, "]", 1, e);
}

static int
canonical_value(const json_t *j, struct sink *out, struct err *e)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return canonical_object(j, out, e);
	case JSON_ARRAY:
		return canonical_array(j, out, e);
	case JSON_STRING:
		return canonical_string(json_string_value(j), json_string_length(j), out, e);
	case JSON_INTEGER:
		return canonical_integer(json_integer_value(j), out, e);
	case JSON_TRUE:
		return put(out, "true", 4, e);
	case JSON_FALSE:
		return put(out, "false", 5, e);
	case JSON_NULL:
		return put(out, "null", 4, e);
	case JSON_REAL:
		break;
	}
	return err_set(e, ERR_MALFORMED, "a number with a fraction has no canonical form");
}

int
json_canonical(const json_t *j, struct buf *out, struct err *e)
{
	struct sink sink = {.out = out};
	size_t before = out->len;

	if (canonical_value(j, &sink, e) < 0) {
		buf_truncate(out, before);
		return -1;
	}
	return 0;
}

size_t
json_canonical_starts(const json_t *j, struct span text)
{
	struct sink sink = {.expected = text};

	return canonical_value(j, &sink, NULL) < 0 ? 0 : text.len - sink.expected.len;
}

int
json_pretty(const json_t *j, struct buf *out, struct err *e)
{
	AUTO_FREE char *text = json_dumps(j, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	if (!text)
		return err_sys(e, ENOMEM, "writing JSON");
	return buf_printf(out, e, "%s\n", text);
}

int
json_compact(const json_t *j, struct buf *out, struct err *e)
{
	AUTO_FREE char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	if (!text)
		return err_sys(e, ENOMEM, "writing JSON");
	return buf_append(out, text, strlen(text), e);
}

static int
member(const json_t *object, const char *key, const char *kind, json_t **out, struct err *e)
{
	if (!json_is_object(object))
		return err_set(e, ERR_MALFORMED, "an object with '%s' in it expected", key);
	*out = json_object_get(object, key);
	if (!*out)
		return err_set(e, ERR_MALFORMED, "'%s' is missing; %s expected", key, kind);
	return 0;
}

static int
wrong_kind(const char *key, const char *kind, struct err *e)
{
	return err_set(e, ERR_MALFORMED, "'%s' is not %s", key, kind);
}

int
json_get_string(const json_t *object, const char *key, size_t max, const char **out, struct err *e)
{
	json_t *j;

	if (member(object, key, "a string", &j, e) < 0)
		return -1;
	if (!json_is_string(j))
		return wrong_kind(key, "a string", e);
	if (json_string_length(j) > max)
		return err_set(e, ERR_LIMIT, "'%s' is longer than %zu bytes", key, max);
	*out = json_string_value(j);
	return 0;
}

int
json_get_uint(const json_t *object, const char *key, uint64_t min, uint64_t max, uint64_t *out,
	struct err *e)
{
	json_int_t v;
	json_t *j;

	if (member(object, key, "a whole number", &j, e) < 0)
		return -1;
	if (!json_is_integer(j))
		return wrong_kind(key, "a whole number", e);
	v = json_integer_value(j);
	if (v < 0 || (uint64_t)v < min || (uint64_t)v > max)
		return err_set(e, ERR_LIMIT,
			"'%s' is %" JSON_INTEGER_FORMAT ", not between %" PRIu64 " and %" PRIu64,
			key, v, min, max);
	*out = (uint64_t)v;
	return 0;
}

int
json_get_bool(const json_t *object, const char *key, bool *out, struct err *e)
{
	json_t *j;

	if (member(object, key, "true or false", &j, e) < 0)
		return -1;
	if (!json_is_boolean(j))
		return wrong_kind(key, "true or false", e);
	*out = json_is_true(j);
	return 0;
}

int
json_get_object(const json_t *object, const char *key, json_t **out, struct err *e)
{
	json_t *j;

	if (member(object, key, "an object", &j, e) < 0)
		return -1;
	if (!json_is_object(j))
		return wrong_kind(key, "an object", e);
	*out = j;
	return 0;
}

int
json_get_array(const json_t *object, const char *key, size_t max, json_t **out, struct err *e)
{
	json_t *j;

	if (member(object, key, "a list", &j, e) < 0)
		return -1;
	if (!json_is_array(j))
		return wrong_kind(key, "a list", e);
	if (json_array_size(j) > max)
		return err_set(e, ERR_LIMIT, "'%s' has more than %zu entries", key, max);
	*out = j;
	return 0;
}

const char *
json_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

bool
json_has_text(const json_t *list, const char *text)
{
	const json_t *each;
	size_t i;

	json_array_foreach (list, i, each) {
		if (text && json_is_string(each) && strcmp(json_string_value(each), text) == 0)
			return true;
	}
	return false;
}

json_t *
json_texts(const json_t *list)
{
	AUTO_JSON json_t *found = json_array();
	json_t *each;
	size_t i;

	json_array_foreach (list, i, each) {
		if (json_is_string(each) && !json_has_text(found, json_string_value(each)) &&
			json_array_append(found, each) < 0)
			return NULL;
	}
	return TAKE_PTR(found);
}

int
json_only(const json_t *object, const char *const *known, struct err *e)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return err_set(e, ERR_MALFORMED, "an object expected");
	json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
		size_t i = 0;

		while (known[i] && (known[i][0] != key[0] || strcmp(known[i], key) != 0))
			i++;
		if (!known[i])
			return err_set(
				e, ERR_MALFORMED, "'%.64s' is not a word of this format", key);
	}
	return 0;
}
