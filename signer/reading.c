#include "signer/reading.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/text.h"
#include "common/format/field.h"

int
reading_part(struct reading *in, int rc)
{
	struct rollout_complaints *c = in->complaints;

	if (rc == 0)
		return 0;
	if (in->e->class != ERR_MALFORMED && in->e->class != ERR_LIMIT)
		return -1;
	c->list[c->count++] = *in->e;
	*in->e = ERR_INIT;
	return c->count < in->complaints_max ? 0 : -1;
}

int
reading_parts(struct reading *in, int (*const *parts)(struct reading *in), size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (reading_part(in, parts[i](in)) < 0)
			return -1;
	}
	return 0;
}

int
reading_only(struct reading *in, const struct yaml_node *map, const char *const *known)
{
	size_t at = 0;

	if (!yaml_is_map(map))
		return yaml_only(in->y, map, known, in->e);
	while (yaml_only_from(in->y, map, known, &at, in->e) < 0) {
		if (reading_part(in, -1) < 0)
			return -1;
	}
	return 0;
}

int
reading_put(struct reading *in, json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0
		       ? 0
		       : err_sys(in->e, ENOMEM, "%s", in->r->name);
}

const struct yaml_node *
reading_must(struct reading *in, const struct yaml_node *map, const char *key, const char *like)
{
	const struct yaml_node *n = yaml_get(map, key);

	if (!n)
		(void)yaml_error(in->y, map, in->e, "'%s' is missing; add it, like %s", key, like);
	return n;
}

int
reading_name(struct reading *in, const struct yaml_node *n, const char **out)
{
	if (yaml_text(in->y, n, NAME_BYTES_MAX, out, in->e) < 0)
		return -1;
	if (!name_is_plain(*out))
		return yaml_error(in->y, n, in->e,
			"'%s' is not a plain name: use letters, digits, '.', '_', '+' and '-'",
			*out);
	return 0;
}

int
reading_bundle(struct reading *in, const struct yaml_node *n, char out[TUF_PATH_MAX + 1])
{
	const char *file = NULL;

	if (yaml_text(in->y, n, NAME_BYTES_MAX + VERSION_BYTES_MAX + 5, &file, in->e) < 0)
		return -1;
	if (!name_is_plain(file) || !text_ends_with(file, ".ota"))
		return yaml_error(in->y, n, in->e,
			"'%s' is not a released bundle's name, like gateway-2.4.0.ota", file);
	(void)snprintf(out, TUF_PATH_MAX + 1, "bundles/%s", file);
	return 0;
}

int
reading_share(struct reading *in, const struct yaml_node *n, uint32_t min, uint32_t *out)
{
	struct err why = ERR_INIT;
	const char *text = NULL;
	char with_sign[24];

	if (yaml_text(in->y, n, 16, &text, in->e) < 0)
		return -1;
	(void)snprintf(with_sign, sizeof(with_sign), "%s%s", text, strchr(text, '%') ? "" : "%");
	if (num_parse_percent(with_sign, out, &why) < 0)
		return yaml_error(in->y, n, in->e, "%s", why.text);
	if (*out < min)
		return yaml_error(in->y, n, in->e, "0%% makes no sense here; write 1%% or more");
	return 0;
}

int
reading_uint(struct reading *in, json_t *to, const struct yaml_node *map, const char *key,
	uint64_t preset)
{
	const struct yaml_node *n = yaml_get(map, key);
	uint64_t v = preset;

	if (n && yaml_uint(in->y, n, 1, FIELD_INT_MAX, &v, in->e) < 0)
		return -1;
	return reading_put(in, to, key, json_integer((json_int_t)v));
}

int
reading_percent(struct reading *in, json_t *to, const struct yaml_node *map, const char *key,
	const char *compiled, uint32_t min, uint32_t preset)
{
	const struct yaml_node *n = yaml_get(map, key);
	uint32_t bp = preset;

	if (n && reading_share(in, n, min, &bp) < 0)
		return -1;
	return reading_put(in, to, compiled, json_integer(bp));
}

int
reading_duration(struct reading *in, json_t *to, const struct yaml_node *map, const char *key,
	const char *compiled, uint64_t max_s, uint64_t preset)
{
	const struct yaml_node *n = yaml_get(map, key);
	uint64_t s = preset;

	if (n && yaml_duration(in->y, n, max_s, &s, in->e) < 0)
		return -1;
	if (n && s == 0)
		return yaml_error(in->y, n, in->e, "a second is the least; write 1s or more");
	return reading_put(in, to, compiled, json_integer((json_int_t)s));
}

int
reading_names(struct reading *in, const struct yaml_node *n, size_t min, size_t max, json_t **out)
{
	AUTO_JSON json_t *list = json_array();
	const char *name = NULL;

	if (!yaml_is_list(n))
		return yaml_error(in->y, n, in->e, "a list is expected here, like [one, two]");
	if (yaml_count(n) < min || yaml_count(n) > max)
		return yaml_error(in->y, n, in->e, "%zu to %zu names are expected here, not %zu",
			min, max, yaml_count(n));
	for (size_t i = 0; i < yaml_count(n); i++) {
		if (reading_name(in, yaml_at(n, i), &name) < 0)
			return -1;
		if (json_array_append_new(list, json_string(name)) < 0)
			return err_sys(in->e, ENOMEM, "%s", in->r->name);
	}
	*out = TAKE_PTR(list);
	return 0;
}
