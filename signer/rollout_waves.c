#include <errno.h>
#include <string.h>

#include "common/base/num.h"
#include "signer/reading.h"

/* A box is in one wave only: naming it twice is a slip of the pen. */
static int
boxes_read(struct reading *in, const struct yaml_node *n, json_t *wave)
{
	json_t *list = NULL, *box;
	size_t i;

	if (reading_names(in, n, 1, PLAN_BYTES_MAX, &list) < 0 ||
		reading_put(in, wave, "boxes", list) < 0)
		return -1;
	json_array_foreach (list, i, box) {
		const char *name = json_string_value(box);

		if (json_object_get(in->named, name) &&
			reading_part(in,
				yaml_error(in->y, yaml_at(n, i), in->e,
					"%s is named twice; a box is in one wave, so take one of "
					"them out",
					name)) < 0)
			return -1;
		if (reading_put(in, in->named, name, json_true()) < 0)
			return -1;
	}
	return 0;
}

/* percent is cumulative: each wave takes in more than those before it. */
static int
percent_wave_read(struct reading *in, const struct yaml_node *n, json_t *wave, uint32_t *so_far)
{
	uint32_t bp = 0;

	if (reading_share(in, n, 1, &bp) < 0)
		return -1;
	if (bp <= *so_far)
		return yaml_error(in->y, n, in->e,
			"percent counts from 0 of all boxes, so it has to rise: an earlier wave "
			"has %g%% already; write more than that",
			*so_far / 100.0);
	*so_far = bp;
	return reading_put(in, wave, "percent_bp", json_integer(bp));
}

static int
wave_name_read(struct reading *in, const struct yaml_node *n, const json_t *waves, json_t *wave)
{
	const struct yaml_node *node = reading_must(in, n, "name", "name: canary");
	const char *name = NULL;
	json_t *other;
	size_t i;

	if (!node || reading_name(in, node, &name) < 0)
		return -1;
	json_array_foreach (waves, i, other) {
		const char *its = json_text(other, "name");

		if (its && strcmp(its, name) == 0)
			return yaml_error(in->y, node, in->e,
				"two waves are named %s; gates open them by name, so rename one",
				name);
	}
	return reading_put(in, wave, "name", json_string(name));
}

static int
wave_share_read(struct reading *in, const struct yaml_node *n, json_t *wave, uint32_t *so_far)
{
	const struct yaml_node *boxes = yaml_get(n, "boxes"), *percent = yaml_get(n, "percent");

	if (!boxes == !percent)
		return yaml_error(
			in->y, n, in->e, "a wave has either boxes: [gw-000001] or percent: 5");
	return boxes ? boxes_read(in, boxes, wave) : percent_wave_read(in, percent, wave, so_far);
}

static int
wave_soak_read(struct reading *in, const struct yaml_node *n, json_t *wave)
{
	const struct yaml_node *soak = yaml_get(n, "soak");
	uint64_t soak_s = 0;

	if (soak && yaml_duration(in->y, soak, PLAN_SPAN_MAX_S, &soak_s, in->e) < 0)
		return -1;
	return reading_put(in, wave, "soak_s", json_integer((json_int_t)soak_s));
}

static int
wave_read(struct reading *in, const struct yaml_node *n, json_t *waves, uint32_t *so_far)
{
	static const char *const known[] = {"name", "boxes", "percent", "soak", NULL};
	AUTO_JSON json_t *wave = json_object();

	if (reading_only(in, n, known) < 0 ||
		reading_part(in, wave_name_read(in, n, waves, wave)) < 0 ||
		reading_part(in, wave_share_read(in, n, wave, so_far)) < 0 ||
		reading_part(in, wave_soak_read(in, n, wave)) < 0)
		return -1;
	return json_array_append(waves, wave) == 0 ? 0 : err_sys(in->e, ENOMEM, "%s", in->r->name);
}

static int
advance_read(struct reading *in)
{
	static const char *const known[] = {"success", "sample", "coverage", NULL};
	const struct yaml_node *n = yaml_get(in->root, "advance");
	json_t *advance = json_object();

	if (reading_put(in, in->r->doc, "advance", advance) < 0 ||
		(n && reading_only(in, n, known) < 0) ||
		reading_part(in,
			reading_percent(in, advance, n, "success", "success_bp", 1, 9800)) < 0 ||
		reading_part(in, reading_uint(in, advance, n, "sample", 30)) < 0)
		return -1;
	return reading_percent(in, advance, n, "coverage", "coverage_bp", 0, 8000);
}

static int
stop_read(struct reading *in)
{
	static const char *const known[] = {"failures", "at_least", "overdue_after", NULL};
	const struct yaml_node *n = yaml_get(in->root, "stop");
	json_t *stop = json_object();

	if (reading_put(in, in->r->doc, "stop", stop) < 0 ||
		(n && reading_only(in, n, known) < 0) ||
		reading_part(in, reading_percent(in, stop, n, "failures", "failures_bp", 0, 500)) <
			0 ||
		reading_part(in, reading_uint(in, stop, n, "at_least", 3)) < 0)
		return -1;
	return reading_duration(in, stop, n, "overdue_after", "overdue_s", PLAN_SPAN_MAX_S, DAY_S);
}

static int
waves_read(struct reading *in)
{
	AUTO_JSON json_t *waves = json_array();
	const struct yaml_node *n =
		reading_must(in, in->root, "waves", "waves: [{name: everyone, percent: 100}]");
	uint32_t so_far = 0;

	if (!n)
		return -1;
	if (!yaml_is_list(n) || yaml_count(n) == 0 || yaml_count(n) > WAVES_MAX)
		return yaml_error(
			in->y, n, in->e, "a list of 1 to %d waves is expected here", WAVES_MAX);
	for (size_t i = 0; i < yaml_count(n); i++) {
		if (reading_part(in, wave_read(in, yaml_at(n, i), waves, &so_far)) < 0)
			return -1;
	}
	return reading_put(in, in->r->doc, "waves", TAKE_PTR(waves));
}

int
rollout_waves_read(struct reading *in)
{
	static int (*const parts[])(struct reading * in) = {waves_read, advance_read, stop_read};

	return reading_parts(in, parts, ARRAY_LEN(parts));
}
