#include "agent/decide.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/budget.h"
#include "common/base/clock.h"
#include "common/base/num.h"

static const char *const verdict_names[] = {
	[VERDICT_IDLE] = "idle",
	[VERDICT_HELD] = "held",
	[VERDICT_FAILED] = "failed",
	[VERDICT_UPDATE] = "update",
};
_Static_assert(ARRAY_LEN(verdict_names) == VERDICTS, "a verdict has no name");

const char *
verdict_name(enum verdict v)
{
	return (size_t)v < VERDICTS ? verdict_names[v] : "unknown";
}

static bool
stop_is_known(const struct state *s, const char *id, const char *gate)
{
	for (size_t i = 0; i < s->stop_count; i++) {
		if (strcmp(s->stops[i].id, id) == 0 && strcmp(s->stops[i].gate, gate) == 0)
			return true;
	}
	return false;
}

/* Makes room for one more stop, if need be in place of one that is not obeyed here. Without room
 * the box is stopped by all the others. */
static bool
stops_make_room(struct state *s, const char *gate_path)
{
	if (s->stop_count < STOPS_MAX)
		return true;
	if (decide_stop(s, gate_path))
		return false;
	s->stop_count--;
	return true;
}

static bool
stops_add(const struct gate *g, const char *path, const struct world *w, const json_t *resumes,
	struct state *s)
{
	bool changed = false;

	for (size_t i = 0; i < g->stop_count; i++) {
		const struct stop *from = &g->stops[i];
		struct sticky_stop *to;

		if (stop_is_lifted(from->id, resumes) || stop_is_known(s, from->id, path) ||
			!stops_make_room(s, w->gate_path))
			continue;
		to = &s->stops[s->stop_count];
		*to = (struct sticky_stop){0};
		(void)snprintf(to->id, sizeof(to->id), "%s", from->id);
		(void)snprintf(to->gate, sizeof(to->gate), "%s", path);
		(void)snprintf(to->reason, sizeof(to->reason), "%s", from->reason);
		s->stop_count++;
		changed = true;
	}
	return changed;
}

static bool
stops_lift(const char *path, const json_t *resumes, struct state *s)
{
	size_t kept = 0;
	bool changed;

	for (size_t i = 0; i < s->stop_count; i++) {
		if (strcmp(s->stops[i].gate, path) == 0 && stop_is_lifted(s->stops[i].id, resumes))
			continue;
		if (kept != i)
			s->stops[kept] = s->stops[i];
		kept++;
	}
	changed = kept != s->stop_count;
	s->stop_count = kept;
	return changed;
}

bool
decide_stops(const struct world *w, struct state *s)
{
	bool changed = stops_lift(GATE_ALL_PATH, w->all_resumes, s);

	if (w->gate_path[0])
		changed |= stops_lift(w->gate_path, w->plan_resumes, s);
	if (w->has_all)
		changed |= stops_add(&w->all, GATE_ALL_PATH, w, w->all_resumes, s);
	if (w->has_gate)
		changed |= stops_add(&w->gate, w->gate_path, w, w->plan_resumes, s);
	return changed;
}

bool
decide_attempts(const struct world *w, struct state *s)
{
	const struct failed *past =
		w->has_bundle ? state_failed(s, &w->listing.manifest_sha256) : NULL;
	struct failed f;

	if (!past || past->attempt != 0 || w->plan.attempt == 0)
		return false;
	f = *past;
	f.attempt = w->plan.attempt;
	state_remember_failed(s, &f);
	return true;
}

const struct sticky_stop *
decide_stop(const struct state *s, const char *gate_path)
{
	for (size_t i = 0; i < s->stop_count; i++) {
		const struct sticky_stop *stop = &s->stops[i];

		if (strcmp(stop->gate, GATE_ALL_PATH) == 0 || strcmp(stop->gate, gate_path) == 0)
			return stop;
	}
	return NULL;
}

int
decide_no_stop(const struct state *s, const char *gate_path, struct err *e)
{
	const struct sticky_stop *stop = decide_stop(s, gate_path);

	return stop ? err_set(e, ERR_STOPPED, "stopped by %s (stop %s): %s", stop->gate, stop->id,
			      stop->reason)
		    : 0;
}

/* One rule: true when it has decided. */
typedef bool rule(
	const struct world *w, const struct state *s, const struct facts *f, struct decision *d);

static bool __attribute__((format(printf, 3, 4)))
say(struct decision *d, enum verdict verdict, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(d->reason, sizeof(d->reason), format, args);
	va_end(args);
	d->verdict = verdict;
	return true;
}

/* Whether the release that the plan names runs already. */
static bool
runs_already(const struct world *w, const struct facts *f)
{
	for (size_t i = 0; w->has_plan && w->has_bundle && i < ARRAY_LEN(f->running); i++) {
		const struct release *r = f->running[i];

		if (r && r->known && digest_equal(&r->manifest, &w->listing.manifest_sha256))
			return true;
	}
	return false;
}

/* A box that was confirmed stays where it is, and says that the stop is about what it runs. */
static bool
rule_stops(const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	const struct sticky_stop *stop = decide_stop(s, w->gate_path);

	if (!stop)
		return false;
	d->stopped = true;
	d->running = runs_already(w, f);
	if (d->running)
		return say(d, VERDICT_IDLE,
			"affected: %s %s runs already, and was stopped by %s (stop %s): %s",
			w->listing.name, w->listing.version, stop->gate, stop->id, stop->reason);
	return say(
		d, VERDICT_HELD, "stopped by %s (stop %s): %s", stop->gate, stop->id, stop->reason);
}

static bool
rule_all_gate(
	const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	(void)s;
	(void)f;
	return !w->has_all &&
	       say(d, VERDICT_HELD, GATE_ALL_PATH " is missing, and missing is shut");
}

static bool
rule_plan(const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	(void)s;
	(void)f;
	return !w->has_plan && say(d, VERDICT_IDLE, "there is no plan for this box");
}

static bool
rule_bundle(const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	(void)s;
	(void)f;
	return !w->has_bundle &&
	       say(d, VERDICT_HELD,
		       "%s is not released with the length and digest that the plan names",
		       w->plan.bundle_path);
}

static bool
rule_running(
	const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	(void)s;
	d->running = runs_already(w, f);
	return d->running &&
	       say(d, VERDICT_IDLE, "%s %s runs already", w->listing.name, w->listing.version);
}

static bool
rule_gate(const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	const char *why;

	(void)s;
	(void)f;
	if (!w->has_gate)
		return say(d, VERDICT_HELD, "%s is missing, and missing is shut", w->gate_path);
	return !gate_binds(&w->gate, &w->plan, &w->plan_sha256, &why) &&
	       say(d, VERDICT_HELD, "%s is shut: %s", w->gate_path, why);
}

static bool
rule_membership(
	const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	size_t wave = 0;
	enum membership m = plan_membership(&w->plan, &f->box, &wave);

	(void)s;
	if (m != MEMBER_OF_WAVE)
		return say(d, VERDICT_IDLE, "%s is not for this box: %s", w->plan.rollout,
			membership_name(m));
	d->wave = w->plan.waves[wave].name;
	return false;
}

static bool
rule_wave(const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	(void)s;
	(void)f;
	if (!gate_is_open(&w->gate, d->wave))
		return say(
			d, VERDICT_HELD, "wave %s of %s is not open yet", d->wave, w->plan.rollout);
	return w->gate.paused && say(d, VERDICT_HELD, "%s is paused", w->plan.rollout);
}

static bool
rule_failed(const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	const struct failed *past = state_failed(s, &w->listing.manifest_sha256);
	char when[CLOCK_TEXT_SIZE];

	if (!past || w->plan.attempt > past->attempt)
		return false;
	d->known = true;
	if (!past->inconclusive)
		return say(d, VERDICT_FAILED,
			"%s %s failed here before (%.500s); attempt %llu of the plan would try it "
			"again",
			w->listing.name, w->listing.version, past->reason,
			(unsigned long long)past->attempt + 1);
	if (past->tries >= f->inconclusive_max)
		return say(d, VERDICT_HELD,
			"%s %s ended inconclusive %llu times (%.500s); a higher attempt of the "
			"plan "
			"would try it again",
			w->listing.name, w->listing.version, (unsigned long long)past->tries,
			past->reason);
	/* What lies further off was reckoned by a clock that was wrong then, or is now. */
	return f->now_s < past->not_before_s && past->not_before_s - f->now_s <= f->put_off_max_s &&
	       say(d, VERDICT_HELD, "%s %s ended inconclusive (%.500s) and is tried again after %s",
		       w->listing.name, w->listing.version, past->reason,
		       clock_format(past->not_before_s, when));
}

static bool
rule_floor(const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	(void)f;
	return w->listing.rollback_index < s->rollback_floor &&
	       say(d, VERDICT_FAILED,
		       "%s %s has rollback index %llu, and this box takes none below %llu",
		       w->listing.name, w->listing.version,
		       (unsigned long long)w->listing.rollback_index,
		       (unsigned long long)s->rollback_floor);
}

static bool
rule_fresh(const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	(void)w;
	(void)s;
	return !f->fresh &&
	       say(d, VERDICT_HELD,
		       "the clock is not trusted, and no newer timestamp was seen since the start");
}

static bool
rule_start(const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	char when[CLOCK_TEXT_SIZE];

	(void)s;
	return f->now_s < w->plan.start_s &&
	       say(d, VERDICT_HELD, "%s starts at %s", w->plan.rollout,
		       clock_format(w->plan.start_s, when));
}

/* An update that was cut off, or that waits to be switched to, has had its turn. */
static bool
rule_window(const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	const struct window *window = &w->plan.window;
	char text[WINDOW_TEXT_SIZE], when[CLOCK_TEXT_SIZE];
	int64_t turn;

	(void)s;
	if (!w->plan.has_window)
		return false;
	turn = window_turn(window, window_offset(window, w->plan.rollout, f->box.id), f->now_s);
	if (turn <= f->now_s)
		return false;
	if (turn == INT64_MAX)
		return say(d, VERDICT_HELD, "the window of %s (%s) does not open on this box",
			w->plan.rollout, window_text(window, text));
	return say(d, VERDICT_HELD, "%s waits for its window (%s); this box's turn is at %s",
		w->plan.rollout, window_text(window, text), clock_format(turn, when));
}

/* What it takes was found out by trying, as was what the servers have of it. */
static bool
rule_budget(const struct world *w, const struct state *s, const struct facts *f, struct decision *d)
{
	char wants[NUM_HUMAN_SIZE], budget[NUM_HUMAN_SIZE];

	(void)f;
	if (!budget_is_spent(
		    &s->spent, &w->listing.manifest_sha256, w->plan.attempt, w->plan.budget_bytes))
		return false;
	if (s->spent.wasted_bytes >= w->plan.budget_bytes)
		return say(d, VERDICT_HELD,
			"%s went into heads of %s %s that did not come as they were signed, and "
			"the plan allows a box %s",
			num_human_size(s->spent.wasted_bytes, wants), w->listing.name,
			w->listing.version, num_human_size(w->plan.budget_bytes, budget));
	return say(d, VERDICT_HELD, "%s %s takes %s or more, and the plan allows a box %s",
		w->listing.name, w->listing.version, num_human_size(s->spent.wants_bytes, wants),
		num_human_size(w->plan.budget_bytes, budget));
}

void
decide(const struct world *w, const struct state *s, const struct facts *f, struct decision *out)
{
	static rule *const rules[] = {rule_stops, rule_all_gate, rule_plan, rule_bundle,
		rule_running, rule_gate, rule_membership, rule_wave, rule_failed, rule_floor,
		rule_fresh, rule_start, rule_window, rule_budget};
	struct decision d = {0};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		if (rules[i](w, s, f, &d)) {
			*out = d;
			return;
		}
	}
	(void)say(&d, VERDICT_UPDATE, "%s %s by %s, wave %s", w->listing.name, w->listing.version,
		w->plan.rollout, d.wave);
	*out = d;
}

int
decide_go_on(const struct world *w, const struct state *s, const struct pending *p, struct err *e)
{
	const char *why;

	if (decide_no_stop(s, w->gate_path, e) < 0)
		return -1;
	if (!w->has_all)
		return err_set(e, ERR_STOPPED, GATE_ALL_PATH " is missing, and missing is shut");
	if (!w->has_plan)
		return err_set(e, ERR_STOPPED, "%s was withdrawn", p->rollout);
	if (strcmp(w->plan.rollout, p->rollout) != 0 || w->plan.version != p->plan_version)
		return err_set(e, ERR_STOPPED,
			"version %llu of %s was replaced by version %llu of %s",
			(unsigned long long)p->plan_version, p->rollout,
			(unsigned long long)w->plan.version, w->plan.rollout);
	if (!w->has_bundle || !digest_equal(&w->listing.manifest_sha256, &p->release.manifest))
		return err_set(e, ERR_STOPPED,
			"%s is no longer the release that is being installed", w->plan.bundle_path);
	if (!w->has_gate)
		return err_set(e, ERR_STOPPED, "%s was withdrawn", w->gate_path);
	if (!gate_binds(&w->gate, &w->plan, &w->plan_sha256, &why))
		return err_set(e, ERR_STOPPED, "%s is shut: %s", w->gate_path, why);
	if (!gate_is_open(&w->gate, p->wave))
		return err_set(e, ERR_STOPPED, "wave %s of %s was shut", p->wave, p->rollout);
	return 0;
}

int
decide_switch(const struct world *w, int64_t now_s, struct err *e)
{
	const struct window *window = &w->plan.window;
	struct opening o;
	char text[WINDOW_TEXT_SIZE];

	if (!w->has_plan || !w->plan.has_window ||
		(window_opening(window, now_s, &o) && o.opens_s <= now_s))
		return 0;
	return err_set(e, ERR_REFUSED, "%s waits for its window (%s) to open again",
		w->plan.rollout, window_text(window, text));
}
