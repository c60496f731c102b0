#include "signer/rollout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/text.h"
#include "common/format/field.h"
#include "signer/yaml.h"

/* A plan in YAML with comments may be longer than what it becomes. */
#define ROLLOUT_BYTES_MAX (2 * PLAN_BYTES_MAX)
#define SPAN_MAX_S ((uint64_t)366 * 86400)
#define DAY_S ((uint64_t)86400)

/* Reading one file: what every step needs. */
struct reading {
	const struct yaml *y;
	const struct yaml_node *root;
	struct rollout *r;
	json_t *named; /* boxes that a wave names already */
	struct err *e;
};

void
rollout_free(struct rollout *r)
{
	if (!r)
		return;
	json_decref(r->doc);
	r->doc = NULL;
}

/* Puts a value that json_*() has just made into object. */
static int
put(struct reading *in, json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0
		       ? 0
		       : err_sys(in->e, ENOMEM, "%s", in->r->name);
}

static const struct yaml_node *
must(struct reading *in, const struct yaml_node *map, const char *key, const char *like)
{
	const struct yaml_node *n = yaml_get(map, key);

	if (!n)
		(void)yaml_error(in->y, map, in->e, "'%s' is missing; add it, like %s", key, like);
	return n;
}

static int
name_read(struct reading *in, const struct yaml_node *n, const char **out)
{
	if (yaml_text(in->y, n, NAME_BYTES_MAX, out, in->e) < 0)
		return -1;
	if (!name_is_plain(*out))
		return yaml_error(in->y, n, in->e,
			"'%s' is not a plain name: use letters, digits, '.', '_', '+' and '-'",
			*out);
	return 0;
}

/* "98%", or a wave's bare 5. */
static int
percent_read(struct reading *in, const struct yaml_node *n, uint32_t min, uint32_t *out)
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
		return yaml_error(in->y, n, in->e, "0%% makes no sense here");
	return 0;
}

static int
uint_member(struct reading *in, json_t *to, const struct yaml_node *map, const char *key,
	uint64_t preset)
{
	const struct yaml_node *n = yaml_get(map, key);
	uint64_t v = preset;

	if (n && yaml_uint(in->y, n, 1, FIELD_INT_MAX, &v, in->e) < 0)
		return -1;
	return put(in, to, key, json_integer((json_int_t)v));
}

static int
percent_member(struct reading *in, json_t *to, const struct yaml_node *map, const char *key,
	const char *compiled, uint32_t min, uint32_t preset)
{
	const struct yaml_node *n = yaml_get(map, key);
	uint32_t bp = preset;

	if (n && percent_read(in, n, min, &bp) < 0)
		return -1;
	return put(in, to, compiled, json_integer(bp));
}

static int
duration_member(struct reading *in, json_t *to, const struct yaml_node *map, const char *key,
	const char *compiled, uint64_t max_s, uint64_t preset)
{
	const struct yaml_node *n = yaml_get(map, key);
	uint64_t s = preset;

	if (n && yaml_duration(in->y, n, max_s, &s, in->e) < 0)
		return -1;
	if (n && s == 0)
		return yaml_error(in->y, n, in->e, "a second is the least");
	return put(in, to, compiled, json_integer((json_int_t)s));
}

/* A list of plain names into a new array, in out. */
static int
names_read(struct reading *in, const struct yaml_node *n, size_t min, size_t max, json_t **out)
{
	AUTO_JSON json_t *list = json_array();
	const char *name = NULL;

	if (!yaml_is_list(n))
		return yaml_error(in->y, n, in->e, "a list is expected here, like [one, two]");
	if (yaml_count(n) < min || yaml_count(n) > max)
		return yaml_error(in->y, n, in->e, "%zu to %zu names are expected here, not %zu",
			min, max, yaml_count(n));
	for (size_t i = 0; i < yaml_count(n); i++) {
		if (name_read(in, yaml_at(n, i), &name) < 0)
			return -1;
		if (json_array_append_new(list, json_string(name)) < 0)
			return err_sys(in->e, ENOMEM, "%s", in->r->name);
	}
	*out = TAKE_PTR(list);
	return 0;
}

static int
identity_read(struct reading *in)
{
	const struct yaml_node *rollout = must(in, in->root, "rollout", "rollout: gateway-2.4.0"),
			       *bundle = rollout ? must(in, in->root, "bundle",
							   "bundle: gateway-2.4.0.ota")
						 : NULL;
	const char *id = NULL, *file = NULL;

	if (!rollout || !bundle || name_read(in, rollout, &id) < 0)
		return -1;
	if (yaml_text(in->y, bundle, NAME_BYTES_MAX + VERSION_BYTES_MAX + 5, &file, in->e) < 0)
		return -1;
	if (!name_is_plain(file) || !text_ends_with(file, ".ota"))
		return yaml_error(in->y, bundle, in->e,
			"'%s' is not a released bundle's name, like gateway-2.4.0.ota", file);
	(void)snprintf(in->r->bundle_path, sizeof(in->r->bundle_path), "bundles/%s", file);
	if (put(in, in->r->doc, "format", json_integer(1)) < 0 ||
		put(in, in->r->doc, "rollout", json_string(id)) < 0 ||
		put(in, in->r->doc, "path", json_string(in->r->path)) < 0)
		return -1;
	return put(in, in->r->doc, "bundle", json_pack("{s:s}", "path", in->r->bundle_path));
}

static int
from_read(struct reading *in, json_t **out)
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
	*out = TAKE_PTR(list);
	return 0;
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
match_read(struct reading *in, json_t **out)
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
			put(in, match, tag, values) < 0)
			return -1;
	}
	*out = TAKE_PTR(match);
	return 0;
}

static int
choice_read(struct reading *in)
{
	const struct yaml_node *compatible =
				       must(in, in->root, "compatible", "compatible: [acme-gw3]"),
			       *exclude = yaml_get(in->root, "exclude");
	json_t *list = NULL, *from = NULL, *match = NULL, *out = NULL;

	if (!compatible || names_read(in, compatible, 1, COMPATIBLE_MAX, &list) < 0 ||
		put(in, in->r->doc, "compatible", list) < 0 || from_read(in, &from) < 0 ||
		put(in, in->r->doc, "from", from) < 0 || match_read(in, &match) < 0 ||
		put(in, in->r->doc, "match", match) < 0)
		return -1;
	if (exclude ? names_read(in, exclude, 0, PLAN_BYTES_MAX, &out) < 0
		    : (out = json_array()) == NULL)
		return -1;
	return put(in, in->r->doc, "exclude", out);
}

/* A box is in one wave only: naming it twice is a slip of the pen. */
static int
boxes_read(struct reading *in, const struct yaml_node *n, json_t *wave)
{
	json_t *list = NULL, *box;
	size_t i;

	if (names_read(in, n, 1, PLAN_BYTES_MAX, &list) < 0 || put(in, wave, "boxes", list) < 0)
		return -1;
	json_array_foreach (list, i, box) {
		const char *name = json_string_value(box);

		if (json_object_get(in->named, name))
			return yaml_error(in->y, yaml_at(n, i), in->e,
				"%s is named twice; a box is in the first wave that has it", name);
		if (put(in, in->named, name, json_true()) < 0)
			return -1;
	}
	return 0;
}

/* percent is cumulative: each wave takes in more than those before it. */
static int
percent_wave_read(struct reading *in, const struct yaml_node *n, json_t *wave, uint32_t *so_far)
{
	uint32_t bp = 0;

	if (percent_read(in, n, 1, &bp) < 0)
		return -1;
	if (bp <= *so_far)
		return yaml_error(in->y, n, in->e,
			"percent counts from 0 of all boxes, so it has to rise: an earlier wave "
			"has %g%% already",
			*so_far / 100.0);
	*so_far = bp;
	return put(in, wave, "percent_bp", json_integer(bp));
}

static int
wave_name_read(struct reading *in, const struct yaml_node *n, const json_t *waves, json_t *wave)
{
	const struct yaml_node *node = must(in, n, "name", "name: canary");
	const char *name = NULL;
	json_t *other;
	size_t i;

	if (!node || name_read(in, node, &name) < 0)
		return -1;
	json_array_foreach (waves, i, other) {
		if (strcmp(json_string_value(json_object_get(other, "name")), name) == 0)
			return yaml_error(in->y, node, in->e,
				"two waves are named %s; gates open them by name", name);
	}
	return put(in, wave, "name", json_string(name));
}

static int
wave_read(struct reading *in, const struct yaml_node *n, json_t *waves, uint32_t *so_far)
{
	static const char *const known[] = {"name", "boxes", "percent", "soak", NULL};
	AUTO_JSON json_t *wave = json_object();
	const struct yaml_node *boxes = yaml_get(n, "boxes"), *percent = yaml_get(n, "percent"),
			       *soak = yaml_get(n, "soak");
	uint64_t soak_s = 0;

	if (yaml_only(in->y, n, known, in->e) < 0 || wave_name_read(in, n, waves, wave) < 0)
		return -1;
	if (!boxes == !percent)
		return yaml_error(
			in->y, n, in->e, "a wave has either boxes: [gw-000001] or percent: 5");
	if (boxes ? boxes_read(in, boxes, wave) < 0
		  : percent_wave_read(in, percent, wave, so_far) < 0)
		return -1;
	if (soak && yaml_duration(in->y, soak, SPAN_MAX_S, &soak_s, in->e) < 0)
		return -1;
	if (put(in, wave, "soak_s", json_integer((json_int_t)soak_s)) < 0)
		return -1;
	return json_array_append(waves, wave) == 0 ? 0 : err_sys(in->e, ENOMEM, "%s", in->r->name);
}

static int
waves_read(struct reading *in)
{
	AUTO_JSON json_t *waves = json_array();
	const struct yaml_node *n =
		must(in, in->root, "waves", "waves: [{name: everyone, percent: 100}]");
	uint32_t so_far = 0;

	if (!n)
		return -1;
	if (!yaml_is_list(n) || yaml_count(n) == 0 || yaml_count(n) > WAVES_MAX)
		return yaml_error(
			in->y, n, in->e, "a list of 1 to %d waves is expected here", WAVES_MAX);
	for (size_t i = 0; i < yaml_count(n); i++) {
		if (wave_read(in, yaml_at(n, i), waves, &so_far) < 0)
			return -1;
	}
	return put(in, in->r->doc, "waves", TAKE_PTR(waves));
}

static int
advance_read(struct reading *in)
{
	static const char *const known[] = {"success", "sample", "coverage", NULL};
	const struct yaml_node *n = yaml_get(in->root, "advance");
	json_t *advance = json_object();

	if (put(in, in->r->doc, "advance", advance) < 0 ||
		(n && yaml_only(in->y, n, known, in->e) < 0) ||
		percent_member(in, advance, n, "success", "success_bp", 1, 9800) < 0 ||
		uint_member(in, advance, n, "sample", 30) < 0)
		return -1;
	return percent_member(in, advance, n, "coverage", "coverage_bp", 0, 8000);
}

static int
stop_read(struct reading *in)
{
	static const char *const known[] = {"failures", "at_least", "overdue_after", NULL};
	const struct yaml_node *n = yaml_get(in->root, "stop");
	json_t *stop = json_object();

	if (put(in, in->r->doc, "stop", stop) < 0 || (n && yaml_only(in->y, n, known, in->e) < 0) ||
		percent_member(in, stop, n, "failures", "failures_bp", 0, 500) < 0 ||
		uint_member(in, stop, n, "at_least", 3) < 0)
		return -1;
	return duration_member(in, stop, n, "overdue_after", "overdue_s", SPAN_MAX_S, DAY_S);
}

static int
limits_read(struct reading *in)
{
	if (uint_member(in, in->r->doc, in->root, "attempt", 1) < 0 || advance_read(in) < 0 ||
		stop_read(in) < 0 ||
		duration_member(in, in->r->doc, in->root, "stop_poll", "stop_poll_s", DAY_S, 60) <
			0)
		return -1;
	return duration_member(
		in, in->r->doc, in->root, "deadline", "deadline_s", SPAN_MAX_S, 3600);
}

/* The plan is named after its file: boxes follow it by that name. */
static int
plan_name_take(const char *path, struct rollout *r, struct err *e)
{
	const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
	const char *dot = strrchr(file, '.');
	size_t len = dot ? (size_t)(dot - file) : 0;

	if (!dot || (strcmp(dot, ".yaml") != 0 && strcmp(dot, ".yml") != 0))
		return err_set(e, ERR_USAGE, "%s: a plan's file is called NAME.yaml", path);
	if (len <= NAME_BYTES_MAX)
		(void)snprintf(r->name, sizeof(r->name), "%.*s", (int)len, file);
	if (len > NAME_BYTES_MAX || !name_is_plain(r->name))
		return err_set(e, ERR_USAGE, "%s: '%.*s' is not a plain name for a plan", path,
			(int)len, file);
	(void)snprintf(r->path, sizeof(r->path), "rollouts/%s.json", r->name);
	if (strcmp(r->path, PLAN_ALL_PATH) == 0)
		return err_set(e, ERR_USAGE,
			"%s: no plan can be called all: that is the word for every plan", path);
	return 0;
}

static int
compile(const struct yaml *y, struct rollout *r, struct err *e)
{
	static const char *const known[] = {"rollout", "bundle", "compatible", "from", "match",
		"exclude", "attempt", "waves", "advance", "stop", "stop_poll", "deadline", NULL};
	AUTO_JSON json_t *named = json_object();
	struct reading in = {.y = y, .root = yaml_root(y), .r = r, .named = named, .e = e};

	if (yaml_only(y, in.root, known, e) < 0 || identity_read(&in) < 0 || choice_read(&in) < 0 ||
		waves_read(&in) < 0)
		return -1;
	return limits_read(&in);
}

/* Fills in r for the caller, who frees it in any case. */
static int
rollout_read(const struct yaml *y, const char *path, struct rollout *r, struct err *e)
{
	r->doc = json_object();
	if (!r->doc)
		return err_sys(e, ENOMEM, "%s", path);
	return plan_name_take(path, r, e) < 0 ? -1 : compile(y, r, e);
}

int
rollout_parse(struct span bytes, const char *path, struct rollout *out, struct err *e)
{
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_YAML struct yaml *y = NULL;

	if (yaml_parse(bytes, path, &y, e) < 0 || rollout_read(y, path, &r, e) < 0)
		return -1;
	*out = r;
	out->doc = TAKE_PTR(r.doc);
	return 0;
}

int
rollout_load(const char *path, struct rollout *out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(ROLLOUT_BYTES_MAX);

	if (file_read(path, &bytes, e) < 0)
		return -1;
	return rollout_parse(buf_span(&bytes), path, out, e);
}

/* What a box will do with these bytes. */
static int
read_back(const struct rollout *r, struct span bytes, struct plan *out, struct err *e)
{
	AUTO_VERIFIED struct verified v = {0};
	struct digest sha256 = digest_of(bytes);

	if (verified_by_digest(bytes, r->path, bytes.len, &sha256, &v, e) < 0)
		return -1;
	return plan_parse(&v, out, e);
}

/* The plan's "bundle", for this bundle. NULL without memory. */
static json_t *
bundle_json(const struct rollout *r, const struct rollout_bundle *b)
{
	char hex[DIGEST_HEX_SIZE], head_hex[DIGEST_HEX_SIZE];

	return json_pack("{s:s, s:I, s:s, s:{s:I, s:s}}", "path", r->bundle_path, "length",
		(json_int_t)b->length, "sha256", digest_hex(&b->sha256, hex), "head", "length",
		(json_int_t)b->head_length, "sha256", digest_hex(&b->head_sha256, head_hex));
}

int
rollout_bind(const struct rollout *r, uint64_t version, const struct rollout_bundle *bundle,
	struct buf *out, struct err *e)
{
	AUTO_JSON json_t *doc = json_deep_copy(r->doc);
	AUTO_BUF struct buf bytes = BUF_INIT(PLAN_BYTES_MAX);
	AUTO_PLAN struct plan plan = {0};

	if (!doc || json_object_set_new(doc, "version", json_integer((json_int_t)version)) < 0 ||
		json_object_set_new(doc, "bundle", bundle_json(r, bundle)) < 0)
		return err_sys(e, ENOMEM, "%s", r->path);
	if (json_canonical(doc, &bytes, e) < 0 || read_back(r, buf_span(&bytes), &plan, e) < 0)
		return err_context(e, "%s", r->path);
	return buf_append(out, bytes.data, bytes.len, e);
}

int
rollout_plan(const struct rollout *r, struct plan *out, struct err *e)
{
	static const struct rollout_bundle nothing = {.length = 1, .head_length = 1};
	AUTO_BUF struct buf bytes = BUF_INIT(PLAN_BYTES_MAX);

	if (rollout_bind(r, 1, &nothing, &bytes, e) < 0)
		return -1;
	return read_back(r, buf_span(&bytes), out, e);
}
