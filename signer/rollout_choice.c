#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"
#include "common/format/field.h"
#include "signer/reading.h"

static int
id_read(struct reading *in)
{
	const struct yaml_node *n = reading_must(in, in->root, "rollout", "rollout: gateway-2.4.0");
	const char *id = NULL;

	if (!n || reading_name(in, n, &id) < 0 ||
		reading_put(in, in->r->doc, "format", json_integer(1)) < 0 ||
		reading_put(in, in->r->doc, "rollout", json_string(id)) < 0)
		return -1;
	return reading_put(in, in->r->doc, "path", json_string(in->r->path));
}

static int
bundle_read(struct reading *in)
{
	const struct yaml_node *n =
		reading_must(in, in->root, "bundle", "bundle: gateway-2.4.0.ota");

	if (!n || reading_bundle(in, n, in->r->bundle_path) < 0)
		return -1;
	return reading_put(
		in, in->r->doc, "bundle", json_pack("{s:s}", "path", in->r->bundle_path));
}

static int
compatible_read(struct reading *in)
{
	const struct yaml_node *n =
		reading_must(in, in->root, "compatible", "compatible: [acme-gw3]");
	json_t *list = NULL;

	if (!n || reading_names(in, n, 1, COMPATIBLE_MAX, &list) < 0)
		return -1;
	return reading_put(in, in->r->doc, "compatible", list);
}

static int
from_read(struct reading *in)
{
	AUTO_JSON json_t *list = json_array();
	const struct yaml_node *n = yaml_get(in->root, "from");
	const char *text = NULL;

	if (n && (!yaml_is_list(n) || yaml_count(n) > FROM_MAX))
		return yaml_error(in->y, n, in->e,
			"a list of up to %d versions is expected here, like [\">=2.1.0\"]",
			FROM_MAX);
	for (size_t i = 0; i < yaml_count(n); i++) {
		const struct yaml_node *each = yaml_at(n, i);

		if (yaml_text(in->y, each, VERSION_BYTES_MAX + 2, &text, in->e) < 0)
			return -1;
		if (!plan_from_valid(text))
			return yaml_error(in->y, each, in->e,
				"'%s' is not of the form \">=2.1.0\": one of >= > = < <= and a "
				"dotted number, in quotes",
				text);
		if (json_array_append_new(list, json_string(text)) < 0)
			return err_sys(in->e, ENOMEM, "%s", in->r->name);
	}
	return reading_put(in, in->r->doc, "from", TAKE_PTR(list));
}

static int
tag_read(struct reading *in, const struct yaml_node *n, json_t *to)
{
	const char *text = NULL;

	if (yaml_text(in->y, n, NAME_BYTES_MAX, &text, in->e) < 0)
		return -1;
	if (!field_is_tag(text, strlen(text)))
		return yaml_error(
			in->y, n, in->e, "a tag's value is 1 to %d bytes of text", NAME_BYTES_MAX);
	return json_array_append_new(to, json_string(text)) == 0
		       ? 0
		       : err_sys(in->e, ENOMEM, "%s", in->r->name);
}

/* One value or a list of them. */
static int
tag_values_read(struct reading *in, const struct yaml_node *n, json_t **out)
{
	AUTO_JSON json_t *list = json_array();

	if (yaml_is_scalar(n) && tag_read(in, n, list) < 0)
		return -1;
	if (!yaml_is_scalar(n) &&
		(!yaml_is_list(n) || yaml_count(n) == 0 || yaml_count(n) > MATCH_VALUES_MAX))
		return yaml_error(in->y, n, in->e,
			"a tag's value or a list of up to %d is expected here, like [lyon, paris]",
			MATCH_VALUES_MAX);
	for (size_t i = 0; yaml_is_list(n) && i < yaml_count(n); i++) {
		if (tag_read(in, yaml_at(n, i), list) < 0)
			return -1;
	}
	*out = TAKE_PTR(list);
	return 0;
}

static int
match_read(struct reading *in)
{
	AUTO_JSON json_t *match = json_object();
	const struct yaml_node *n = yaml_get(in->root, "match");

	if (n && !yaml_is_map(n))
		return yaml_error(
			in->y, n, in->e, "tags are expected here, like {site: [lyon, paris]}");
	for (size_t i = 0; i < yaml_count(n); i++) {
		const char *tag = yaml_key_at(n, i);
		json_t *values = NULL;

		if (!field_is_tag(tag, strlen(tag)))
			return yaml_error(in->y, yaml_at(n, i), in->e,
				"a tag's name is 1 to %d bytes of text", NAME_BYTES_MAX);
		if (tag_values_read(in, yaml_at(n, i), &values) < 0 ||
			reading_put(in, match, tag, values) < 0)
			return -1;
	}
	return reading_put(in, in->r->doc, "match", TAKE_PTR(match));
}

static int
exclude_read(struct reading *in)
{
	const struct yaml_node *n = yaml_get(in->root, "exclude");
	json_t *list = NULL;

	if (n && reading_names(in, n, 0, PLAN_BYTES_MAX, &list) < 0)
		return -1;
	return reading_put(in, in->r->doc, "exclude", n ? list : json_array());
}

/* Which release of that bundle is known when the plan is published. */
static int
recall_read(struct reading *in)
{
	const struct yaml_node *n = yaml_get(in->root, "recall");

	if (!n)
		return 0;
	if (reading_bundle(in, n, in->r->recall_path) < 0)
		return -1;
	if (strcmp(in->r->recall_path, in->r->bundle_path) == 0)
		return yaml_error(in->y, n, in->e,
			"the plan's own bundle cannot be the one that boxes are called back from; "
			"name the one that they run");
	return reading_put(
		in, in->r->doc, "recall", json_pack("{s:s}", "path", in->r->recall_path));
}

int
rollout_choice_read(struct reading *in)
{
	static int (*const parts[])(struct reading * in) = {id_read, bundle_read, compatible_read,
		from_read, match_read, exclude_read, recall_read};

	return reading_parts(in, parts, ARRAY_LEN(parts));
}
