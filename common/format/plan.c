#include "common/format/plan.h"

#include <string.h>

#include "common/base/file.h"
#include "common/format/field.h"

/* A list of plain names: box ids, hardware classes. */
static int
names_get(const json_t *object, const char *key, size_t min, size_t max, const json_t **out,
	struct err *e)
{
	json_t *list, *value;
	size_t i;

	if (json_get_array(object, key, max, &list, e) < 0)
		return -1;
	if (json_array_size(list) < min)
		return err_set(e, ERR_MALFORMED, "'%s' names nothing", key);
	json_array_foreach (list, i, value) {
		if (!field_is_name(value))
			return err_set(
				e, ERR_MALFORMED, "'%s' has an entry that is no plain name", key);
	}
	*out = list;
	return 0;
}

static int
percent_get(const json_t *object, const char *key, uint32_t min, uint32_t *out, struct err *e)
{
	uint64_t bp;

	if (json_get_uint(object, key, min, 10000, &bp, e) < 0)
		return -1;
	*out = (uint32_t)bp;
	return 0;
}

static int
bundle_parse(const json_t *body, struct plan *p, struct err *e)
{
	static const char *const known[] = {"path", "length", "sha256", "head", NULL};
	static const char *const known_head[] = {"length", "sha256", NULL};
	json_t *bundle, *head;

	if (json_get_object(body, "bundle", &bundle, e) < 0)
		return -1;
	if (json_only(bundle, known, e) < 0 ||
		field_path(bundle, "path", "bundles", ".ota", p->bundle_path, e) < 0 ||
		json_get_uint(bundle, "length", 1, FIELD_INT_MAX, &p->bundle_length, e) < 0 ||
		field_sha256(bundle, "sha256", &p->bundle_sha256, e) < 0 ||
		json_get_object(bundle, "head", &head, e) < 0)
		return err_context(e, "bundle");
	if (json_only(head, known_head, e) < 0 ||
		json_get_uint(head, "length", 1, p->bundle_length, &p->bundle_head_length, e) < 0 ||
		field_sha256(head, "sha256", &p->bundle_head_sha256, e) < 0)
		return err_context(e, "bundle head");
	return 0;
}

static int
from_parse(const json_t *body, struct plan *p, struct err *e)
{
	json_t *list, *value;
	size_t i;

	if (json_get_array(body, "from", FROM_MAX, &list, e) < 0)
		return -1;
	json_array_foreach (list, i, value) {
		if (!json_is_string(value) || !plan_from_valid(json_string_value(value)))
			return err_set(e, ERR_MALFORMED,
				"'from' has an entry that is not like \">=2.1.0\"");
		p->from[i] = json_string_value(value);
	}
	p->from_count = json_array_size(list);
	return 0;
}

static int
match_values_check(const char *tag, const json_t *values, struct err *e)
{
	json_t *value;
	size_t i;

	if (!json_is_array(values) || json_array_size(values) == 0 ||
		json_array_size(values) > MATCH_VALUES_MAX)
		return err_set(e, ERR_MALFORMED, "'match' %.64s is no list of 1 to %d values", tag,
			MATCH_VALUES_MAX);
	json_array_foreach (values, i, value) {
		if (!json_is_string(value) ||
			!field_is_tag(json_string_value(value), json_string_length(value)))
			return err_set(e, ERR_MALFORMED,
				"'match' %.64s has a value that is not 1 to %d bytes of text", tag,
				NAME_BYTES_MAX);
	}
	return 0;
}

static int
match_parse(const json_t *body, struct plan *p, struct err *e)
{
	json_t *match, *values;
	const char *tag;

	if (json_get_object(body, "match", &match, e) < 0)
		return -1;
	if (json_object_size(match) > MATCH_KEYS_MAX)
		return err_set(e, ERR_LIMIT, "'match' has more than %d tags", MATCH_KEYS_MAX);
	json_object_foreach (match, tag, values) {
		if (!field_is_tag(tag, strlen(tag)))
			return err_set(e, ERR_MALFORMED,
				"'match' has a tag that is not 1 to %d bytes of text",
				NAME_BYTES_MAX);
		if (match_values_check(tag, values, e) < 0)
			return -1;
	}
	p->match = match;
	return 0;
}

static int
wave_parse(const json_t *object, struct wave *w, struct err *e)
{
	static const char *const known[] = {"name", "boxes", "percent_bp", "soak_s", NULL};

	if (field_name(object, "name", w->name, e) < 0)
		return -1;
	if (json_only(object, known, e) < 0)
		return err_context(e, "%s", w->name);
	w->has_percent = json_object_get(object, "percent_bp") != NULL;
	if (w->has_percent == (json_object_get(object, "boxes") != NULL))
		return err_set(
			e, ERR_MALFORMED, "%s: either 'boxes' or 'percent_bp' expected", w->name);
	if (w->has_percent ? percent_get(object, "percent_bp", 1, &w->percent_bp, e) < 0
			   : names_get(object, "boxes", 1, PLAN_BOXES_MAX, &w->boxes, e) < 0)
		return err_context(e, "%s", w->name);
	if (json_object_get(object, "soak_s") &&
		json_get_uint(object, "soak_s", 0, PLAN_SPAN_MAX_S, &w->soak_s, e) < 0)
		return err_context(e, "%s", w->name);
	return 0;
}

/* A gate opens waves by name, so names differ; percent is cumulative, so it rises. */
static int
wave_fits(const struct plan *p, const struct wave *w, struct err *e)
{
	for (size_t i = 0; i < p->wave_count; i++) {
		const struct wave *earlier = &p->waves[i];

		if (strcmp(earlier->name, w->name) == 0)
			return err_set(e, ERR_MALFORMED, "two waves are named %s", w->name);
		if (w->has_percent && earlier->has_percent && w->percent_bp <= earlier->percent_bp)
			return err_set(e, ERR_MALFORMED, "%s adds no box: %s has its share already",
				w->name, earlier->name);
	}
	return 0;
}

static int
waves_parse(const json_t *body, struct plan *p, struct err *e)
{
	json_t *list, *value;
	size_t i;

	if (json_get_array(body, "waves", WAVES_MAX, &list, e) < 0)
		return -1;
	if (json_array_size(list) == 0)
		return err_set(e, ERR_MALFORMED, "'waves' is empty");
	json_array_foreach (list, i, value) {
		if (wave_parse(value, &p->waves[i], e) < 0 || wave_fits(p, &p->waves[i], e) < 0)
			return err_context(e, "wave %zu", i + 1);
		p->wave_count++;
	}
	return 0;
}

static int
advance_parse(const json_t *body, struct plan *p, struct err *e)
{
	static const char *const known[] = {"success_bp", "sample", "coverage_bp", NULL};
	json_t *advance;

	if (json_get_object(body, "advance", &advance, e) < 0)
		return -1;
	if (json_only(advance, known, e) < 0 ||
		percent_get(advance, "success_bp", 1, &p->advance.success_bp, e) < 0 ||
		json_get_uint(advance, "sample", 1, FIELD_INT_MAX, &p->advance.sample, e) < 0 ||
		percent_get(advance, "coverage_bp", 0, &p->advance.coverage_bp, e) < 0)
		return err_context(e, "advance");
	return 0;
}

static int
stop_parse(const json_t *body, struct plan *p, struct err *e)
{
	static const char *const known[] = {"failures_bp", "at_least", "overdue_s", NULL};
	json_t *stop;

	if (json_get_object(body, "stop", &stop, e) < 0)
		return -1;
	if (json_only(stop, known, e) < 0 ||
		percent_get(stop, "failures_bp", 0, &p->stop.failures_bp, e) < 0 ||
		json_get_uint(stop, "at_least", 1, FIELD_INT_MAX, &p->stop.at_least, e) < 0 ||
		json_get_uint(stop, "overdue_s", 1, PLAN_SPAN_MAX_S, &p->stop.overdue_s, e) < 0)
		return err_context(e, "stop");
	return 0;
}

static int
identity_parse(const json_t *body, struct plan *p, struct err *e)
{
	static const char *const known[] = {"format", "rollout", "version", "path", "bundle",
		"compatible", "attempt", "from", "match", "exclude", "stop_poll_s", "deadline_s",
		"waves", "advance", "stop", "window", "start", "budget_bytes", "recall", "notes",
		NULL};

	if (field_format(body, e) < 0 || json_only(body, known, e) < 0 ||
		field_name(body, "rollout", p->rollout, e) < 0 ||
		field_path(body, "path", "rollouts", ".json", p->path, e) < 0 ||
		json_get_uint(body, "version", 1, FIELD_INT_MAX, &p->version, e) < 0)
		return -1;
	if (strcmp(p->path, PLAN_ALL_PATH) == 0)
		return err_set(e, ERR_MALFORMED,
			"%s is no plan: it is where stops of all are lifted", PLAN_ALL_PATH);
	return 0;
}

static int
recall_parse(const json_t *body, struct plan *p, struct err *e)
{
	static const char *const known[] = {"path", "manifest_sha256", NULL};
	json_t *recall;

	if (!json_object_get(body, "recall"))
		return 0;
	if (json_get_object(body, "recall", &recall, e) < 0)
		return -1;
	if (json_only(recall, known, e) < 0 ||
		field_path(recall, "path", "bundles", ".ota", p->recall_path, e) < 0 ||
		field_sha256(recall, "manifest_sha256", &p->recall_manifest, e) < 0)
		return err_context(e, "recall");
	if (strcmp(p->recall_path, p->bundle_path) == 0)
		return err_set(e, ERR_MALFORMED, "'recall' names the plan's own bundle");
	p->has_recall = true;
	return 0;
}

static int
window_member_parse(const json_t *body, struct plan *p, struct err *e)
{
	json_t *window;

	if (!json_object_get(body, "window"))
		return 0;
	if (json_get_object(body, "window", &window, e) < 0)
		return -1;
	if (window_parse(window, &p->window, e) < 0)
		return err_context(e, "window");
	p->has_window = true;
	return 0;
}

/* Lines, as canonical JSON has no way to write a newline. */
static int
notes_parse(const json_t *body, struct plan *p, struct err *e)
{
	json_t *list, *line;
	size_t i;

	if (!json_object_get(body, "notes"))
		return 0;
	if (json_get_array(body, "notes", PLAN_NOTES_MAX, &list, e) < 0)
		return -1;
	json_array_foreach (list, i, line) {
		if (!json_is_string(line) || json_string_length(line) > PLAN_NOTE_BYTES_MAX ||
			!field_is_text(json_string_value(line), json_string_length(line), false))
			return err_set(e, ERR_MALFORMED,
				"'notes' has a line that is not up to %d bytes of text",
				PLAN_NOTE_BYTES_MAX);
	}
	p->notes = list;
	return 0;
}

/* What a plan need not say. */
static int
options_parse(const json_t *body, struct plan *p, struct err *e)
{
	if (json_object_get(body, "start") && field_time(body, "start", &p->start_s, e) < 0)
		return -1;
	if (json_object_get(body, "budget_bytes") &&
		json_get_uint(body, "budget_bytes", 1, PLAN_BUDGET_MAX, &p->budget_bytes, e) < 0)
		return -1;
	if (window_member_parse(body, p, e) < 0 || recall_parse(body, p, e) < 0)
		return -1;
	return notes_parse(body, p, e);
}

static void
names_take(struct names *to, const json_t *list, uint32_t number)
{
	const json_t *value;
	size_t i;

	json_array_foreach (list, i, value)
		names_add(to, json_string_value(value), number);
}

static int
boxes_index(struct plan *p, struct err *e)
{
	size_t count = json_array_size(p->exclude);

	for (size_t i = 0; i < p->wave_count; i++)
		count += json_array_size(p->waves[i].boxes);
	if (names_make(count, &p->boxes, e) < 0)
		return -1;
	names_take(&p->boxes, p->exclude, PLAN_EXCLUDED);
	for (size_t i = 0; i < p->wave_count; i++)
		names_take(&p->boxes, p->waves[i].boxes, PLAN_NAMED + (uint32_t)i);
	names_sort(&p->boxes);
	return 0;
}

static int
values_index(struct plan *p, struct err *e)
{
	json_t *match = (json_t *)(uintptr_t)p->match, *values;
	uint32_t number = 0;
	size_t count = 0;
	const char *tag;

	json_object_foreach (match, tag, values)
		count += json_array_size(values);
	if (names_make(count, &p->values, e) < 0)
		return -1;
	json_object_foreach (match, tag, values)
		names_take(&p->values, values, number++);
	names_sort(&p->values);
	return 0;
}

static int
whole_parse(const json_t *body, struct plan *p, struct err *e)
{
	if (identity_parse(body, p, e) < 0 || bundle_parse(body, p, e) < 0 ||
		names_get(body, "compatible", 1, COMPATIBLE_MAX, &p->compatible, e) < 0 ||
		json_get_uint(body, "attempt", 1, FIELD_INT_MAX, &p->attempt, e) < 0 ||
		from_parse(body, p, e) < 0 || match_parse(body, p, e) < 0 ||
		names_get(body, "exclude", 0, PLAN_BOXES_MAX, &p->exclude, e) < 0 ||
		json_get_uint(body, "stop_poll_s", 1, PLAN_STOP_POLL_MAX_S, &p->stop_poll_s, e) <
			0 ||
		json_get_uint(body, "deadline_s", 1, PLAN_SPAN_MAX_S, &p->deadline_s, e) < 0 ||
		waves_parse(body, p, e) < 0 || advance_parse(body, p, e) < 0 ||
		stop_parse(body, p, e) < 0 || options_parse(body, p, e) < 0)
		return -1;
	return boxes_index(p, e) < 0 ? -1 : values_index(p, e);
}

bool
plan_is_withdrawn(const json_t *custom)
{
	const json_t *word = json_object_get(custom, "withdrawn");

	/* Whatever else it says was not meant to bring boxes anything. */
	return word && !json_is_false(word);
}

int
plan_parse(const struct verified *v, struct plan *out, struct err *e)
{
	AUTO_PLAN struct plan p = {0};

	if (whole_parse(v->body, &p, e) < 0)
		return err_context(e, "plan");
	/* The parts above point into the body, which lives as long as its root. */
	p.doc = json_incref(v->root);
	*out = p;
	p = (struct plan){0};
	return 0;
}

void
plan_free(struct plan *p)
{
	if (!p)
		return;
	json_decref(p->doc);
	names_free(&p->boxes);
	names_free(&p->values);
	*p = (struct plan){0};
}
