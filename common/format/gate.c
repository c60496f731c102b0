#include "common/format/gate.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/field.h"

bool
stop_id_valid(const char *id)
{
	return strlen(id) == STOP_ID_SIZE - 1 && strspn(id, "0123456789abcdef") == STOP_ID_SIZE - 1;
}

static int
plan_ref_parse(const json_t *body, struct gate *g, struct err *e)
{
	static const char *const known[] = {"path", "rollout", "version", "sha256", NULL};
	const json_t *plan = json_object_get(body, "plan");

	g->has_plan = strcmp(g->path, GATE_ALL_PATH) != 0;
	if (!g->has_plan) {
		if (!plan || !json_is_null(plan))
			return err_set(e, ERR_MALFORMED, "'plan' has to be null in %s", g->path);
		return 0;
	}
	if (!plan || !json_is_object(plan))
		return err_set(e, ERR_MALFORMED, "'plan' is not an object");
	if (json_only(plan, known, e) < 0 ||
		field_path(plan, "path", "rollouts", ".json", g->plan_path, e) < 0 ||
		field_name(plan, "rollout", g->rollout, e) < 0 ||
		json_get_uint(plan, "version", 1, FIELD_INT_MAX, &g->plan_version, e) < 0 ||
		field_sha256(plan, "sha256", &g->plan_sha256, e) < 0)
		return err_context(e, "plan");
	/* A role that may sign one scope's gate says nothing about another scope's plan. */
	if (strcmp(strchr(g->path, '/'), strchr(g->plan_path, '/')) != 0)
		return err_set(e, ERR_MALFORMED, "%s is not the gate of %s", g->path, g->plan_path);
	return 0;
}

static int
open_parse(const json_t *body, struct gate *g, struct err *e)
{
	json_t *list, *value;
	size_t i;

	if (json_get_array(body, "open", g->has_plan ? WAVES_MAX : 0, &list, e) < 0)
		return -1;
	json_array_foreach (list, i, value) {
		const char *wave = json_string_value(value);

		if (!field_is_name(value))
			return err_set(
				e, ERR_MALFORMED, "'open' has an entry that is no plain name");
		if (gate_is_open(g, wave))
			return err_set(e, ERR_MALFORMED, "'open' names %s twice", wave);
		memcpy(g->open[g->open_count++], wave, strlen(wave) + 1);
	}
	return 0;
}

static int
stop_parse(const json_t *object, struct stop *s, struct err *e)
{
	static const char *const known[] = {"id", "reason", "at", NULL};
	const char *id;

	if (json_get_string(object, "id", STOP_ID_SIZE - 1, &id, e) < 0)
		return -1;
	if (!stop_id_valid(id))
		return err_set(e, ERR_MALFORMED, "'id' is not %d lower-case hexadecimal digits",
			STOP_ID_SIZE - 1);
	memcpy(s->id, id, STOP_ID_SIZE);
	if (json_only(object, known, e) < 0 ||
		field_text(object, "reason", s->reason, sizeof(s->reason), false, e) < 0)
		return -1;
	return field_time(object, "at", &s->at_s, e);
}

static int
stops_parse(const json_t *body, struct gate *g, struct err *e)
{
	json_t *list, *value;
	size_t i;

	if (json_get_array(body, "stops", STOPS_MAX, &list, e) < 0)
		return -1;
	json_array_foreach (list, i, value) {
		if (stop_parse(value, &g->stops[i], e) < 0)
			return err_context(e, "stop %zu", i + 1);
		for (size_t k = 0; k < i; k++) {
			if (strcmp(g->stops[k].id, g->stops[i].id) == 0)
				return err_set(
					e, ERR_MALFORMED, "'stops' has %s twice", g->stops[i].id);
		}
		g->stop_count++;
	}
	return 0;
}

static int
whole_parse(const json_t *body, struct gate *g, struct err *e)
{
	static const char *const known[] = {
		"format", "path", "plan", "open", "paused", "stops", NULL};

	if (field_format(body, e) < 0 || json_only(body, known, e) < 0 ||
		field_path(body, "path", "gates", ".json", g->path, e) < 0 ||
		plan_ref_parse(body, g, e) < 0 || open_parse(body, g, e) < 0 ||
		json_get_bool(body, "paused", &g->paused, e) < 0)
		return -1;
	return stops_parse(body, g, e);
}

int
gate_parse(const struct verified *v, struct gate *out, struct err *e)
{
	struct gate g = {0};

	if (whole_parse(v->body, &g, e) < 0)
		return err_context(e, "gate");
	*out = g;
	return 0;
}

static json_t *
plan_ref_build(const struct gate *g)
{
	char hex[DIGEST_HEX_SIZE];

	if (!g->has_plan)
		return json_null();
	return json_pack("{s:s, s:s, s:I, s:s}", "path", g->plan_path, "rollout", g->rollout,
		"version", (json_int_t)g->plan_version, "sha256", digest_hex(&g->plan_sha256, hex));
}

static json_t *
open_build(const struct gate *g)
{
	AUTO_JSON json_t *list = json_array();

	for (size_t i = 0; i < g->open_count; i++) {
		if (json_array_append_new(list, json_string(g->open[i])) < 0)
			return NULL;
	}
	return TAKE_PTR(list);
}

static json_t *
stops_build(const struct gate *g)
{
	AUTO_JSON json_t *list = json_array();

	for (size_t i = 0; i < g->stop_count; i++) {
		const struct stop *s = &g->stops[i];
		char at[CLOCK_TEXT_SIZE];

		if (json_array_append_new(
			    list, json_pack("{s:s, s:s, s:s}", "id", s->id, "reason", s->reason,
					  "at", clock_format(s->at_s, at))) < 0)
			return NULL;
	}
	return TAKE_PTR(list);
}

int
gate_build(const struct gate *g, json_t **out, struct err *e)
{
	/* json_pack takes all three, and fails where one of them is NULL. */
	json_t *j = json_pack("{s:i, s:s, s:o, s:o, s:b, s:o}", "format", 1, "path", g->path,
		"plan", plan_ref_build(g), "open", open_build(g), "paused", g->paused, "stops",
		stops_build(g));

	if (!j)
		return err_set(e, ERR_MALFORMED, "%s: a text in it is not UTF-8", g->path);
	*out = j;
	return 0;
}

bool
gate_binds(const struct gate *g, const struct plan *p, const struct digest *plan_sha256,
	const char **why)
{
	if (!g->has_plan || strcmp(g->plan_path, p->path) != 0)
		*why = "the gate is for another plan path";
	else if (strcmp(g->rollout, p->rollout) != 0)
		*why = "the gate is for another rollout";
	else if (g->plan_version != p->version)
		*why = "the gate is for another version of the plan";
	else if (!digest_equal(&g->plan_sha256, plan_sha256))
		*why = "the gate is for other bytes of the plan";
	else
		return true;
	return false;
}

bool
gate_is_open(const struct gate *g, const char *wave)
{
	for (size_t i = 0; i < g->open_count; i++) {
		if (strcmp(g->open[i], wave) == 0)
			return true;
	}
	return false;
}

static bool
is_wave_of(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->wave_count; i++) {
		if (strcmp(p->waves[i].name, name) == 0)
			return true;
	}
	return false;
}

static void
drop_others(struct gate *g, const struct plan *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < g->open_count; i++) {
		if (is_wave_of(p, g->open[i]))
			memmove(g->open[kept++], g->open[i], sizeof(g->open[0]));
	}
	g->open_count = kept;
}

int
gate_open_wave(struct gate *g, const struct plan *p, size_t wave, struct err *e)
{
	const char *name = p->waves[wave].name;

	if (gate_is_open(g, name))
		return 0;
	if (g->open_count == WAVES_MAX)
		drop_others(g, p);
	if (g->open_count == WAVES_MAX)
		return err_set(e, ERR_LIMIT, "%s has %d waves open already", g->path, WAVES_MAX);
	memcpy(g->open[g->open_count++], name, sizeof(g->open[0]));
	return 0;
}

bool
stop_is_lifted(const char *id, const json_t *resumes)
{
	return json_has_text(resumes, id);
}

const struct stop *
gate_first_stop(const struct gate *g, const json_t *resumes)
{
	for (size_t i = 0; i < g->stop_count; i++) {
		if (!stop_is_lifted(g->stops[i].id, resumes))
			return &g->stops[i];
	}
	return NULL;
}
