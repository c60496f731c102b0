#include "signer/yaml_node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "signer/yaml.h"

/* A word this many letters off is what was meant, perhaps. */
enum { NEAR_LETTERS = 2 };

void
yaml_node_free(struct yaml_node *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->count; i++) {
		yaml_node_free(n->members[i]);
		if (n->keys)
			yaml_node_free(n->keys[i]);
	}
	free(n->members);
	free(n->keys);
	free(n->text);
	free(n);
}

void
yaml_free(struct yaml **y)
{
	if (!*y)
		return;
	yaml_node_free((*y)->root);
	free((*y)->name);
	free(*y);
	*y = NULL;
}

int
yaml_place_error(const char *name, unsigned line, unsigned column, struct err *e,
	const char *format, va_list args)
{
	char text[ERR_TEXT_SIZE / 2];

	(void)vsnprintf(text, sizeof(text), format, args);
	return err_set(
		e, ERR_MALFORMED, "%s:%u:%u: %s", name, line ? line : 1, column ? column : 1, text);
}

int
yaml_error(const struct yaml *y, const struct yaml_node *n, struct err *e, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)yaml_place_error(y->name, n->line, n->column, e, format, args);
	va_end(args);
	return -1;
}

const struct yaml_node *
yaml_root(const struct yaml *y)
{
	return y->root;
}

bool
yaml_is_map(const struct yaml_node *n)
{
	return n && n->kind == NODE_MAP;
}

bool
yaml_is_list(const struct yaml_node *n)
{
	return n && n->kind == NODE_LIST;
}

bool
yaml_is_scalar(const struct yaml_node *n)
{
	return n && n->kind == NODE_SCALAR;
}

size_t
yaml_count(const struct yaml_node *n)
{
	return n ? n->count : 0;
}

const struct yaml_node *
yaml_at(const struct yaml_node *n, size_t i)
{
	return i < yaml_count(n) ? n->members[i] : NULL;
}

const char *
yaml_key_at(const struct yaml_node *map, size_t i)
{
	return yaml_is_map(map) && i < map->count ? map->keys[i]->text : NULL;
}

const struct yaml_node *
yaml_get(const struct yaml_node *map, const char *key)
{
	for (size_t i = 0; yaml_is_map(map) && i < map->count; i++) {
		if (strcmp(map->keys[i]->text, key) == 0)
			return map->members[i];
	}
	return NULL;
}

/* Levenshtein's distance between two words, in one row of his table. */
static size_t
word_distance(const char *a, const char *b)
{
	size_t row[YAML_KEY_SHOWN + 1], width = strlen(b);

	if (width > YAML_KEY_SHOWN || strlen(a) > YAML_KEY_SHOWN)
		return SIZE_MAX;
	for (size_t j = 0; j <= width; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < width; j++) {
			size_t changed = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			row[j + 1] = num_min(changed, 1 + num_min(row[j], diagonal));
		}
	}
	return row[width];
}

static const char *
word_near(const char *word, const char *const *known)
{
	const char *best = NULL;
	size_t least = NEAR_LETTERS + 1;

	for (; *known; known++) {
		size_t distance = word_distance(word, *known);

		if (distance < least) {
			least = distance;
			best = *known;
		}
	}
	return best;
}

static bool
word_in(const char *word, const char *const *known)
{
	for (; *known; known++) {
		if (strcmp(word, *known) == 0)
			return true;
	}
	return false;
}

static int
key_unknown(
	const struct yaml *y, const struct yaml_node *key, const char *const *known, struct err *e)
{
	const char *near = word_near(key->text, known);
	AUTO_BUF struct buf list = BUF_INIT(ERR_TEXT_SIZE / 4);

	if (near)
		return yaml_error(y, key, e, "'%.*s' is not known here; did you mean '%s'?",
			YAML_KEY_SHOWN, key->text, near);
	for (size_t i = 0; known[i]; i++) {
		if (buf_printf(&list, NULL, "%s%s", i ? ", " : "", known[i]) < 0)
			break;
	}
	return yaml_error(y, key, e, "'%.*s' is not known here; known are: %s", YAML_KEY_SHOWN,
		key->text, buf_str(&list));
}

int
yaml_only(
	const struct yaml *y, const struct yaml_node *map, const char *const *known, struct err *e)
{
	size_t at = 0;

	if (!yaml_is_map(map))
		return yaml_error(y, map, e, "expected `key: value` lines here");
	return yaml_only_from(y, map, known, &at, e);
}

int
yaml_only_from(const struct yaml *y, const struct yaml_node *map, const char *const *known,
	size_t *at, struct err *e)
{
	while (*at < map->count) {
		const struct yaml_node *key = map->keys[(*at)++];

		if (!word_in(key->text, known))
			return key_unknown(y, key, known, e);
	}
	return 0;
}

/* The nearest key that n, somewhere below `in`, is a value of; key is that of `in`. NULL: none. */
static const char *
key_above(const struct yaml_node *in, const char *key, const struct yaml_node *n)
{
	const char *found = in == n ? key : NULL;

	for (size_t i = 0; !found && i < in->count; i++)
		found = key_above(in->members[i], in->keys ? in->keys[i]->text : key, n);
	return found;
}

static int
value_expected(const struct yaml *y, const struct yaml_node *n, struct err *e)
{
	const char *key = key_above(y->root, NULL, n);

	if (!key)
		return yaml_error(y, n, e, "expected one value here, not a list or mapping");
	return yaml_error(y, n, e, "expected one value for '%.*s' here, not a list or mapping",
		YAML_KEY_SHOWN, key);
}

int
yaml_text(const struct yaml *y, const struct yaml_node *n, size_t max, const char **out,
	struct err *e)
{
	if (!yaml_is_scalar(n))
		return value_expected(y, n, e);
	if (n->plain && n->text[0] == '\0')
		return yaml_error(y, n, e, "a value is missing here");
	if (strlen(n->text) > max)
		return yaml_error(y, n, e, "longer than %zu bytes", max);
	*out = n->text;
	return 0;
}

/* What num.h says about a text, put where the text stands. */
static int
value_error(const struct yaml *y, const struct yaml_node *n, const struct err *why, struct err *e)
{
	return yaml_error(y, n, e, "%s", why->text);
}

int
yaml_uint(const struct yaml *y, const struct yaml_node *n, uint64_t min, uint64_t max,
	uint64_t *out, struct err *e)
{
	struct err why = ERR_INIT;
	const char *text = "";

	if (yaml_text(y, n, YAML_KEY_SHOWN, &text, e) < 0)
		return -1;
	if (num_parse(text, min, max, out, &why) < 0)
		return value_error(y, n, &why, e);
	return 0;
}

int
yaml_bool(const struct yaml *y, const struct yaml_node *n, bool *out, struct err *e)
{
	const char *text = "";
	bool yes;

	if (yaml_text(y, n, YAML_KEY_SHOWN, &text, e) < 0)
		return -1;
	yes = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
	if (!yes && strcmp(text, "no") != 0 && strcmp(text, "false") != 0)
		return yaml_error(y, n, e, "'%s' is neither yes nor no", text);
	*out = yes;
	return 0;
}

int
yaml_duration(const struct yaml *y, const struct yaml_node *n, uint64_t max_s, uint64_t *out,
	struct err *e)
{
	struct err why = ERR_INIT;
	const char *text = "";

	if (yaml_text(y, n, YAML_KEY_SHOWN, &text, e) < 0)
		return -1;
	if (num_parse_duration(text, max_s, out, &why) < 0)
		return value_error(y, n, &why, e);
	return 0;
}

int
yaml_percent(const struct yaml *y, const struct yaml_node *n, uint32_t *out_bp, struct err *e)
{
	struct err why = ERR_INIT;
	const char *text = "";

	if (yaml_text(y, n, YAML_KEY_SHOWN, &text, e) < 0)
		return -1;
	if (num_parse_percent(text, out_bp, &why) < 0)
		return value_error(y, n, &why, e);
	return 0;
}

int
yaml_size(
	const struct yaml *y, const struct yaml_node *n, uint64_t max, uint64_t *out, struct err *e)
{
	struct err why = ERR_INIT;
	const char *text = "";

	if (yaml_text(y, n, YAML_KEY_SHOWN, &text, e) < 0)
		return -1;
	if (num_parse_size(text, max, out, &why) < 0)
		return value_error(y, n, &why, e);
	return 0;
}
