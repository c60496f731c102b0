#include "signer/overview.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "signer/course.h"
#include "signer/doctor.h"
#include "signer/fleet.h"
#include "signer/following.h"
#include "signer/headcount.h"
#include "signer/ledger.h"
#include "signer/reload.h"

#define EXPIRES_SOON_S ((uint64_t)30 * 86400)

struct sight {
	const struct workspace *w;
	struct fleet *fleet; /* NULL: there is none yet */
	struct courses courses;
	struct headcount heads;
	json_t *doc;
};

static void
sight_end(struct sight *s)
{
	fleet_close(&s->fleet);
	courses_free(&s->courses);
	headcount_free(&s->heads);
	json_decref(s->doc);
}

static int
put(json_t *object, const char *key, json_t *value, struct err *e)
{
	return json_object_set_new(object, key, value) < 0 ? err_sys(e, ENOMEM, "status") : 0;
}

/* plan NULL: of every box. */
static int
stop_build(const struct sight *s, const struct stop *stop, const char *plan, json_t *list,
	struct err *e)
{
	uint64_t taken = 0;
	char at[CLOCK_TEXT_SIZE];
	json_t *row;

	if (s->fleet && ledger_stop_taken(s->fleet, stop->id, plan, &taken, e) < 0)
		return err_context(e, "who has taken stop %s", stop->id);
	row = json_pack("{s:s, s:s, s:s, s:I, s:I}", "id", stop->id, "reason", stop->reason, "at",
		clock_format(stop->at_s, at), "taken", (json_int_t)taken, "boxes",
		(json_int_t)headcount_followers(&s->heads, plan));
	return json_array_append_new(list, row) < 0 ? err_sys(e, ENOMEM, "status") : 0;
}

/* Those that stand, into a member of j. */
static int
stops_build(const struct sight *s, const struct gate *g, const json_t *resumes, const char *plan,
	json_t *j, struct err *e)
{
	json_t *list = json_array();

	if (put(j, "stops", list, e) < 0)
		return -1;
	for (size_t i = 0; i < g->stop_count; i++) {
		if (!stop_is_lifted(g->stops[i].id, resumes) &&
			stop_build(s, &g->stops[i], plan, list, e) < 0)
			return -1;
	}
	return 0;
}

static int
wave_count(json_t *wave, const struct following_wave *f, struct err *e)
{
	const struct tally *t = &f->tally;
	char at[CLOCK_TEXT_SIZE];
	json_t *counts = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "opened",
		f->opened_s ? clock_format(f->opened_s, at) : "", "boxes", (json_int_t)t->boxes,
		"seen", (json_int_t)t->seen, "started", (json_int_t)t->started, "ok",
		(json_int_t)t->ok, "failed", (json_int_t)t->failed, "reverted",
		(json_int_t)t->reverted, "overdue", (json_int_t)t->overdue, "inconclusive",
		(json_int_t)t->inconclusive);
	int rc = json_object_update(wave, counts);

	json_decref(counts);
	return rc < 0 ? err_sys(e, ENOMEM, "status") : 0;
}

/* x NULL: nobody follows it yet. */
static int
waves_build(const struct course *c, const struct following *x, json_t *list, struct err *e)
{
	for (size_t i = 0; i < c->plan.plan.wave_count; i++) {
		const char *name = c->plan.plan.waves[i].name;
		json_t *wave = json_pack("{s:s, s:b}", "name", name, "open",
			c->binds && gate_is_open(&c->gate, name));

		if (json_array_append_new(list, wave) < 0)
			return err_sys(e, ENOMEM, "status");
		if (x && i < x->wave_count && wave_count(wave, &x->waves[i], e) < 0)
			return -1;
	}
	return 0;
}

/* What is followed of a course: itself or, as long as nobody follows that, the plan before it. */
struct match {
	const struct course *course;
	bool found, exact;
	struct following out;
};

static int
following_match(void *arg, const struct following *x, struct err *e)
{
	struct match *m = arg;

	(void)e;
	if (strcmp(x->path, m->course->plan.plan.path) != 0)
		return 0;
	m->found = true;
	m->exact = digest_equal(&x->plan_sha256, &m->course->plan.sha256);
	m->out = *x;
	return 1;
}

/* The waves that boxes may still be on their way through, by the plan that was there before. */
static int
before_build(const struct following *x, json_t *rollout, struct err *e)
{
	json_t *waves = json_array(), *before = json_pack("{s:s, s:I, s:o}", "rollout", x->rollout,
					      "version", (json_int_t)x->version, "waves", waves);

	if (put(rollout, "before", before, e) < 0)
		return -1;
	for (size_t i = 0; i < x->wave_count; i++) {
		json_t *wave = json_pack("{s:s, s:b}", "name", x->waves[i].name, "open", 0);

		if (json_array_append_new(waves, wave) < 0)
			return err_sys(e, ENOMEM, "status");
		if (wave_count(wave, &x->waves[i], e) < 0)
			return -1;
	}
	return 0;
}

static int
rollout_build(struct sight *s, const struct course *c, json_t *list, struct err *e)
{
	AUTO_FREE struct match *m = calloc(1, sizeof(*m));
	const struct plan *p = &c->plan.plan;
	struct err odd = ERR_INIT;
	json_t *j = json_pack("{s:s, s:s, s:I, s:I, s:b, s:s, s:b, s:s, s:[]}", "name", c->name,
		"rollout", p->rollout, "version", (json_int_t)p->version, "attempt",
		(json_int_t)p->attempt, "binds", c->binds, "loose", c->loose, "paused",
		c->gate.paused, "problem", c->why.text, "waves");

	if (json_array_append_new(list, j) < 0 || !m)
		return err_sys(e, ENOMEM, "status");
	if (stops_build(s, &c->gate, scope_resumes(c->plan.entry), p->path, j, e) < 0)
		return -1;
	m->course = c;
	/* A row that is damaged hides the counts of its own plan at most. */
	if (s->fleet && following_each(s->fleet, false, following_match, m, &odd) < 0 &&
		odd.class == ERR_SYSTEM)
		return err_set(e, odd.class, "%s", odd.text);
	if (odd.class != ERR_NONE && !*c->why.text &&
		put(j, "problem", json_string(odd.text), e) < 0)
		return -1;
	if (m->found && !m->exact && before_build(&m->out, j, e) < 0)
		return -1;
	return waves_build(c, m->exact ? &m->out : NULL, json_object_get(j, "waves"), e);
}

/* Gates that no course is of. */
struct planless {
	const struct sight *s;
	struct workspace seen; /* borrows */
	json_t *list;
};

static bool
has_course(const struct courses *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(c->list[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Where nobody can say what lifts its stops, they all stand. */
static int
planless_build(struct planless *x, const char *name, const struct gate *g, struct err *e)
{
	AUTO_SCOPE_PLAN struct scope_plan p = {0};
	AUTO_JSON json_t *j = json_pack("{s:s}", "name", name);

	if (scope_plan_load(&x->seen, name, NULL, &p, NULL) < 0)
		p.entry = NULL;
	if (stops_build(x->s, g, scope_resumes(p.entry), g->plan_path, j, e) < 0)
		return -1;
	if (json_array_size(json_object_get(j, "stops")) == 0)
		return 0;
	return json_array_append(x->list, j) < 0 ? err_sys(e, ENOMEM, "status") : 0;
}

static int
gate_look(void *arg, const struct metadata *m, const char *path, struct err *e)
{
	struct planless *x = arg;
	struct gate g = {0};
	char name[NAME_BYTES_MAX + 1];

	if (scope_gate_read(&x->seen, m, path, &g, e) < 0)
		return -1;
	(void)snprintf(name, sizeof(name), "%.*s", (int)(strlen(path) - strlen("gates/.json")),
		path + strlen("gates/"));
	if (strcmp(path, GATE_ALL_PATH) == 0 || has_course(&x->s->courses, name))
		return 0;
	return planless_build(x, name, &g, e);
}

/* One that is damaged hides none behind it. */
static int
gates_build(struct sight *s, struct err *e)
{
	struct planless x = {.s = s, .seen = *s->w, .list = json_array()};
	struct err *odd = &s->courses.damage, why = ERR_INIT;

	if (put(s->doc, "planless", x.list, e) < 0)
		return -1;
	x.seen.published_only = true;
	if (s->courses.published && scope_every(&x.seen, "gates", gate_look, &x, &why) < 0 &&
		odd->class == ERR_NONE)
		*odd = why;
	return 0;
}

static int
rollouts_build(struct sight *s, struct err *e)
{
	json_t *list = json_array(), *all, *withdrawn = s->courses.withdrawn;

	if (put(s->doc, "rollouts", list, e) < 0 ||
		put(s->doc, "withdrawn", withdrawn ? json_incref(withdrawn) : json_array(), e) <
			0 ||
		put(s->doc, "problem", json_string(s->courses.damage.text), e) < 0)
		return -1;
	for (size_t i = 0; i < s->courses.count; i++) {
		if (rollout_build(s, &s->courses.list[i], list, e) < 0)
			return -1;
	}
	all = json_pack("{s:b}", "paused", s->courses.all.paused);
	if (put(s->doc, "all", all, e) < 0)
		return -1;
	return stops_build(s, &s->courses.all, s->courses.all_resumes, NULL, all, e);
}

static int
kind_build(struct sight *s, const char *key, enum headcount_kind kind, struct err *e)
{
	return put(s->doc, key, headcount_rows(&s->heads, kind), e);
}

/* Those that stops concern are counted with the others, and come first. */
static int
heads_take(struct sight *s, int64_t now_s, struct err *e)
{
	const int64_t after_s = (int64_t)s->w->watch.offline_after_s;
	int64_t since_s = 0;

	if (!s->fleet)
		return 0;
	/* As the watch has it: time in which nobody could be heard is no silence. */
	if (following_heard_since(s->fleet, now_s, after_s, &since_s, e) < 0)
		return -1;
	return headcount_take(s->fleet, since_s, &s->heads, e);
}

static int
crl_build(struct sight *s, struct err *e)
{
	uint64_t number = 0;

	if (s->fleet && reload_owed(s->w, s->fleet, &number, e) < 0)
		return -1;
	return put(s->doc, "crl_unread", json_integer((json_int_t)number), e);
}

static int
boxes_build(struct sight *s, struct err *e)
{
	const uint64_t after_s = s->w->watch.offline_after_s;
	const struct ledger_census c = s->heads.census;
	struct ledger_totals t = {0};

	if (s->fleet && ledger_totals(s->fleet, &t, e) < 0)
		return -1;
	if (put(s->doc, "boxes",
		    json_pack("{s:I, s:I, s:I, s:I}", "count", (json_int_t)c.boxes, "never",
			    (json_int_t)c.never, "offline", (json_int_t)c.silent, "offline_after_s",
			    (json_int_t)after_s),
		    e) < 0 ||
		put(s->doc, "spool",
			json_pack("{s:I, s:I, s:I, s:I}", "reports", (json_int_t)t.reports,
				"duplicates", (json_int_t)t.duplicates, "clashes",
				(json_int_t)t.clashes, "aside", (json_int_t)t.aside),
			e) < 0 ||
		kind_build(s, "states", HEADCOUNT_BY_STATE, e) < 0 ||
		kind_build(s, "versions", HEADCOUNT_BY_VERSION, e) < 0)
		return -1;
	if (kind_build(s, "audits", HEADCOUNT_BY_AUDIT, e) < 0)
		return -1;
	return kind_build(s, "failures", HEADCOUNT_BY_FAILURE, e);
}

static int
expiries_build(struct sight *s, struct err *e)
{
	AUTO_DOCTOR struct doctor d = {0};
	json_t *rows;

	if (!s->courses.published)
		return put(s->doc, "expiries", json_array(), e);
	if (doctor_open(s->w, EXPIRES_SOON_S, &d, e) < 0 || doctor_look_at_keys(&d, e) < 0 ||
		doctor_look_at_roles(&d, e) < 0 || doctor_look_at_expiry(&d, e) < 0)
		return -1;
	rows = json_object_get(d.report, "expiries");
	return put(s->doc, "expiries", rows ? json_incref(rows) : json_array(), e);
}

static int
fleet_find_file(struct sight *s, struct err *e)
{
	struct err why = ERR_INIT;

	if (fleet_open_read(s->w, &s->fleet, &why) == 0 || why.errnum == ENOENT)
		return 0;
	return err_set(e, why.class, "%s", why.text);
}

int
overview_read(const struct workspace *w, json_t **out, struct err *e)
{
	CLEANUP(sight_end) struct sight s = {.w = w};
	int64_t now_s = clock_wall_s();
	char at[CLOCK_TEXT_SIZE];

	s.doc = json_pack("{s:s}", "at", clock_format(now_s, at));
	if (!s.doc)
		return err_sys(e, ENOMEM, "status");
	if (fleet_find_file(&s, e) < 0 || courses_read(w, &s.courses, e) < 0 ||
		heads_take(&s, now_s, e) < 0 || gates_build(&s, e) < 0 ||
		rollouts_build(&s, e) < 0 || boxes_build(&s, e) < 0 || crl_build(&s, e) < 0 ||
		expiries_build(&s, e) < 0)
		return -1;
	*out = TAKE_PTR(s.doc);
	return 0;
}
