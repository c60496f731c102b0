#include "signer/recipe.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/limits.h"
#include "signer/yaml.h"

static const struct yaml_node *
member(const struct yaml *y, const struct yaml_node *map, const char *key, struct err *e)
{
	const struct yaml_node *n = yaml_get(map, key);

	if (!n)
		(void)yaml_error(y, map, e, "'%s' is missing", key);
	return n;
}

/* A plain name into out, which holds max + 1. */
static int
name_at(const struct yaml *y, const struct yaml_node *n, size_t max, char *out, struct err *e)
{
	const char *text;

	if (yaml_text(y, n, max, &text, e) < 0)
		return -1;
	if (!name_is_plain(text))
		return yaml_error(y, n, e,
			"'%s' is no plain name: letters, digits and . _ + - only, beginning with "
			"neither dot nor dash",
			text);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int
name_of(const struct yaml *y, const struct yaml_node *map, const char *key, size_t max, char *out,
	struct err *e)
{
	const struct yaml_node *n = member(y, map, key, e);

	return n ? name_at(y, n, max, out, e) : -1;
}

static int
parse_kind(const struct yaml *y, const struct yaml_node *map, enum payload_kind *out, struct err *e)
{
	const struct yaml_node *n = member(y, map, "kind", e);
	const char *text;

	if (!n || yaml_text(y, n, NAME_BYTES_MAX, &text, e) < 0)
		return -1;
	if (strcmp(text, payload_kind_name(PAYLOAD_IMAGE)) == 0)
		*out = PAYLOAD_IMAGE;
	else if (strcmp(text, payload_kind_name(PAYLOAD_TREE)) == 0)
		*out = PAYLOAD_TREE;
	else
		return yaml_error(y, n, e, "'%s' is neither image nor tree", text);
	return 0;
}

/* Puts the recipe's folder before a relative path. */
static int
parse_source(const struct yaml *y, const struct yaml_node *map, const char *path, char *out,
	struct err *e)
{
	const struct yaml_node *n = member(y, map, "source", e);
	const char *slash = strrchr(path, '/'), *text;
	size_t folder = slash ? (size_t)(slash - path) + 1 : 0;

	if (!n || yaml_text(y, n, PATH_MAX - 1, &text, e) < 0)
		return -1;
	if (text[0] == '\0')
		return yaml_error(y, n, e, "a source without a name");
	if (text[0] == '/')
		folder = 0;
	if (folder + strlen(text) >= PATH_MAX)
		return yaml_error(
			y, n, e, "longer than %d bytes with the recipe's folder", PATH_MAX - 1);
	memcpy(out, path, folder);
	memcpy(out + folder, text, strlen(text) + 1);
	return 0;
}

static int
check_different(const struct yaml *y, const struct yaml_node *n, const struct recipe *r,
	const struct recipe_payload *p, struct err *e)
{
	for (const struct recipe_payload *old = r->payloads; old < p; old++) {
		if (strcmp(old->name, p->name) == 0)
			return yaml_error(y, n, e, "two payloads are called %s", p->name);
		if (strcmp(old->slot_class, p->slot_class) == 0)
			return yaml_error(y, n, e, "payload %s is for slot %s already", old->name,
				p->slot_class);
	}
	return 0;
}

static int
parse_payload(const struct yaml *y, const struct yaml_node *n, const char *path,
	struct recipe_payload *p, struct err *e)
{
	static const char *const words[] = {"name", "slot", "kind", "source", NULL};

	if (yaml_only(y, n, words, e) < 0 ||
		name_of(y, n, "name", NAME_BYTES_MAX, p->name, e) < 0 ||
		name_of(y, n, "slot", NAME_BYTES_MAX, p->slot_class, e) < 0 ||
		parse_kind(y, n, &p->kind, e) < 0)
		return -1;
	return parse_source(y, n, path, p->source, e);
}

/* A list of 1 to max members. */
static const struct yaml_node *
list_of(const struct yaml *y, const struct yaml_node *map, const char *key, size_t max,
	struct err *e)
{
	const struct yaml_node *n = member(y, map, key, e);

	if (n && !yaml_is_list(n)) {
		(void)yaml_error(y, n, e, "'%s' is a list: write [one, another]", key);
		return NULL;
	}
	if (n && (yaml_count(n) < 1 || yaml_count(n) > max)) {
		(void)yaml_error(y, n, e, "'%s' has %zu members; 1 to %zu are possible", key,
			yaml_count(n), max);
		return NULL;
	}
	return n;
}

static int
parse_payloads(const struct yaml *y, const struct yaml_node *root, const char *path,
	struct recipe *r, struct err *e)
{
	const struct yaml_node *list = list_of(y, root, "payloads", PAYLOADS_MAX, e);

	if (!list)
		return -1;
	for (; r->payload_count < yaml_count(list); r->payload_count++) {
		const struct yaml_node *n = yaml_at(list, r->payload_count);
		struct recipe_payload *p = &r->payloads[r->payload_count];

		if (parse_payload(y, n, path, p, e) < 0 || check_different(y, n, r, p, e) < 0)
			return -1;
	}
	return 0;
}

static int
parse_compatible(
	const struct yaml *y, const struct yaml_node *root, struct recipe *r, struct err *e)
{
	const struct yaml_node *list = list_of(y, root, "compatible", COMPATIBLE_MAX, e);

	if (!list)
		return -1;
	for (; r->compatible_count < yaml_count(list); r->compatible_count++) {
		const struct yaml_node *n = yaml_at(list, r->compatible_count);
		char *text = r->compatible[r->compatible_count];

		if (name_at(y, n, NAME_BYTES_MAX, text, e) < 0)
			return -1;
		for (size_t i = 0; i < r->compatible_count; i++) {
			if (strcmp(r->compatible[i], text) == 0)
				return yaml_error(y, n, e, "'%s' stands here twice", text);
		}
	}
	return 0;
}

static int
parse_numbers(const struct yaml *y, const struct yaml_node *root, struct recipe *r, struct err *e)
{
	const struct yaml_node *index = member(y, root, "rollback_index", e);
	const struct yaml_node *level = yaml_get(root, "level");
	uint64_t n = RECIPE_LEVEL_DEFAULT;

	if (!index || yaml_uint(y, index, 0, FIELD_INT_MAX, &r->rollback_index, e) < 0 ||
		(level && yaml_uint(y, level, 1, 9, &n, e) < 0))
		return -1;
	r->level = (int)n;
	return 0;
}

static int
parse_document(const struct yaml *y, const char *path, struct recipe *r, struct err *e)
{
	static const char *const words[] = {
		"name", "version", "rollback_index", "compatible", "level", "payloads", NULL};
	const struct yaml_node *root = yaml_root(y);

	if (yaml_only(y, root, words, e) < 0 ||
		name_of(y, root, "name", NAME_BYTES_MAX, r->name, e) < 0 ||
		name_of(y, root, "version", VERSION_BYTES_MAX, r->version, e) < 0 ||
		parse_numbers(y, root, r, e) < 0 || parse_compatible(y, root, r, e) < 0)
		return -1;
	return parse_payloads(y, root, path, r, e);
}

int
recipe_parse(struct span bytes, const char *path, struct recipe *out, struct err *e)
{
	AUTO_FREE struct recipe *r = calloc(1, sizeof(*r));
	AUTO_YAML struct yaml *y = NULL;

	if (!r)
		return err_sys(e, ENOMEM, "reading %s", path);
	if (yaml_parse(bytes, path, &y, e) < 0 || parse_document(y, path, r, e) < 0)
		return -1;
	*out = *r;
	return 0;
}

int
recipe_load(const char *path, struct recipe *out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(RECIPE_BYTES_MAX);

	if (file_read(path, &text, e) < 0)
		return -1;
	return recipe_parse(buf_span(&text), path, out, e);
}
