#include "agent/decide.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/budget.h"
#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/format/offer.h"

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

/* What was asked, with its answer. */
struct question {
	const struct world *w;
	const struct state *s;
	const struct facts *f;
	const struct failed *past; /* of the plan's release, or NULL */
	struct offer offer;
};

/* The answer in words, for people. */
typedef void teller(const struct question *q, struct decision *d);

static void __attribute__((format(printf, 2, 3))) say(struct decision *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(d->reason, sizeof(d->reason), format, args);
	va_end(args);
}

static void
tell_update(const struct question *q, struct decision *d)
{
	say(d, "%s %s by %s, wave %s", q->w->listing.name, q->w->listing.version,
		q->w->plan.rollout, d->wave);
}

static void
tell_affected(const struct question *q, struct decision *d)
{
	const struct sticky_stop *stop = decide_stop(q->s, q->w->gate_path);

	say(d, "affected: %s %s runs already, and was stopped by %s (stop %s): %s",
		q->w->listing.name, q->w->listing.version, stop->gate, stop->id, stop->reason);
}

static void
tell_stopped(const struct question *q, struct decision *d)
{
	const struct sticky_stop *stop = decide_stop(q->s, q->w->gate_path);

	say(d, "stopped by %s (stop %s): %s", stop->gate, stop->id, stop->reason);
}

static void
tell_no_all_gate(const struct question *q, struct decision *d)
{
	(void)q;
	say(d, GATE_ALL_PATH " is missing, and missing is shut");
}

static void
tell_no_plan(const struct question *q, struct decision *d)
{
	(void)q;
	say(d, "there is no plan for this box");
}

static void
tell_not_released(const struct question *q, struct decision *d)
{
	say(d, "%s is not released with the length and digest that the plan names",
		q->w->plan.bundle_path);
}

static void
tell_running(const struct question *q, struct decision *d)
{
	say(d, "%s %s runs already", q->w->listing.name, q->w->listing.version);
}

static void
tell_no_gate(const struct question *q, struct decision *d)
{
	say(d, "%s is missing, and missing is shut", q->w->gate_path);
}

static void
tell_unbound(const struct question *q, struct decision *d)
{
	say(d, "%s is shut: %s", q->w->gate_path, q->offer.differs);
}

static void
tell_no_member(const struct question *q, struct decision *d)
{
	say(d, "%s is not for this box: %s", q->w->plan.rollout,
		membership_name(q->offer.membership));
}

static void
tell_wave_shut(const struct question *q, struct decision *d)
{
	say(d, "wave %s of %s is not open yet", d->wave, q->w->plan.rollout);
}

static void
tell_paused(const struct question *q, struct decision *d)
{
	say(d, "%s is paused", q->w->plan.rollout);
}

static void
tell_all_paused(const struct question *q, struct decision *d)
{
	(void)q;
	say(d, "every box is paused");
}

static void
tell_failed(const struct question *q, struct decision *d)
{
	say(d, "%s %s failed here before (%.500s); attempt %llu of the plan would try it again",
		q->w->listing.name, q->w->listing.version, q->past->reason,
		(unsigned long long)q->past->attempt + 1);
}

static void
tell_tried_out(const struct question *q, struct decision *d)
{
	say(d,
		"%s %s ended inconclusive %llu times (%.500s); a higher attempt of the plan would "
		"try it again",
		q->w->listing.name, q->w->listing.version, (unsigned long long)q->past->tries,
		q->past->reason);
}

static void
tell_put_off(const struct question *q, struct decision *d)
{
	char when[CLOCK_TEXT_SIZE];

	say(d, "%s %s ended inconclusive (%.500s) and is tried again after %s", q->w->listing.name,
		q->w->listing.version, q->past->reason, clock_format(q->past->not_before_s, when));
}

static void
tell_below_floor(const struct question *q, struct decision *d)
{
	say(d, "%s %s has rollback index %llu, and this box takes none below %llu",
		q->w->listing.name, q->w->listing.version,
		(unsigned long long)q->w->listing.rollback_index,
		(unsigned long long)q->s->rollback_floor);
}

static void
tell_not_fresh(const struct question *q, struct decision *d)
{
	(void)q;
	say(d, "the clock is not trusted, and no newer timestamp was seen since the start");
}

static void
tell_not_started(const struct question *q, struct decision *d)
{
	char when[CLOCK_TEXT_SIZE];

	say(d, "%s starts at %s", q->w->plan.rollout, clock_format(q->w->plan.start_s, when));
}

static void
tell_no_opening(const struct question *q, struct decision *d)
{
	char text[WINDOW_TEXT_SIZE];

	say(d, "the window of %s (%s) does not open on this box", q->w->plan.rollout,
		window_text(&q->w->plan.window, text));
}

static void
tell_not_its_turn(const struct question *q, struct decision *d)
{
	char text[WINDOW_TEXT_SIZE], when[CLOCK_TEXT_SIZE];

	say(d, "%s waits for its window (%s); this box's turn is at %s", q->w->plan.rollout,
		window_text(&q->w->plan.window, text), clock_format(q->offer.turn_s, when));
}

static void
tell_over_budget(const struct question *q, struct decision *d)
{
	const struct world *w = q->w;
	char wants[NUM_HUMAN_SIZE], budget[NUM_HUMAN_SIZE];

	(void)num_human_size(w->plan.budget_bytes, budget);
	if (q->s->spent.wasted_bytes >= w->plan.budget_bytes)
		say(d,
			"%s of %s %s did not come as they were signed, and the plan allows a "
			"box %s",
			num_human_size(q->s->spent.wasted_bytes, wants), w->listing.name,
			w->listing.version, budget);
	else
		say(d, "%s %s takes %s or more, and the plan allows a box %s", w->listing.name,
			w->listing.version, num_human_size(q->s->spent.wants_bytes, wants), budget);
}

static const struct {
	enum verdict verdict;
	teller *tell;
} answers[] = {
	[OFFER_UPDATE] = {VERDICT_UPDATE, tell_update},
	[OFFER_AFFECTED] = {VERDICT_IDLE, tell_affected},
	[OFFER_STOPPED] = {VERDICT_HELD, tell_stopped},
	[OFFER_NO_ALL_GATE] = {VERDICT_HELD, tell_no_all_gate},
	[OFFER_NO_PLAN] = {VERDICT_IDLE, tell_no_plan},
	[OFFER_NOT_RELEASED] = {VERDICT_HELD, tell_not_released},
	[OFFER_RUNNING] = {VERDICT_IDLE, tell_running},
	[OFFER_NO_GATE] = {VERDICT_HELD, tell_no_gate},
	[OFFER_UNBOUND] = {VERDICT_HELD, tell_unbound},
	[OFFER_NO_MEMBER] = {VERDICT_IDLE, tell_no_member},
	[OFFER_WAVE_SHUT] = {VERDICT_HELD, tell_wave_shut},
	[OFFER_PAUSED] = {VERDICT_HELD, tell_paused},
	[OFFER_ALL_PAUSED] = {VERDICT_HELD, tell_all_paused},
	[OFFER_FAILED] = {VERDICT_FAILED, tell_failed},
	[OFFER_TRIED_OUT] = {VERDICT_HELD, tell_tried_out},
	[OFFER_PUT_OFF] = {VERDICT_HELD, tell_put_off},
	[OFFER_BELOW_FLOOR] = {VERDICT_FAILED, tell_below_floor},
	[OFFER_NOT_FRESH] = {VERDICT_HELD, tell_not_fresh},
	[OFFER_NOT_STARTED] = {VERDICT_HELD, tell_not_started},
	[OFFER_NO_OPENING] = {VERDICT_HELD, tell_no_opening},
	[OFFER_NOT_ITS_TURN] = {VERDICT_HELD, tell_not_its_turn},
	[OFFER_OVER_BUDGET] = {VERDICT_HELD, tell_over_budget},
};
_Static_assert(ARRAY_LEN(answers) == OFFER_ANSWERS, "an answer has no words");

static void
offer_ask(struct question *q)
{
	const struct world *w = q->w;
	const struct state *s = q->s;
	const struct failed *past = q->past;
	const struct offer_past known =
		past ? (struct offer_past){past->attempt, past->inconclusive, past->tries,
			       past->not_before_s}
		     : (struct offer_past){0};
	const struct offer_facts facts = {
		.stopped = decide_stop(s, w->gate_path) != NULL,
		.plan = w->has_plan ? &w->plan : NULL,
		.plan_sha256 = &w->plan_sha256,
		.listing = w->has_bundle ? &w->listing : NULL,
		.gate = w->has_gate ? &w->gate : NULL,
		.all = w->has_all ? &w->all : NULL,
		.box = q->f->box,
		.past = past ? &known : NULL,
		.inconclusive_max = q->f->inconclusive_max,
		.put_off_max_s = q->f->put_off_max_s,
		.rollback_floor = s->rollback_floor,
		.over_budget = budget_is_spent(&s->spent, &w->listing.manifest_sha256,
			w->plan.attempt, w->plan.budget_bytes),
		.now_s = q->f->now_s,
		.fresh = q->f->fresh,
	};

	offer_decide(&facts, &q->offer);
}

void
decide(const struct world *w, const struct state *s, const struct facts *f, struct decision *out)
{
	struct question q = {.w = w, .s = s, .f = f};
	struct decision d = {0};
	struct err closed;

	if (w->has_bundle)
		q.past = state_failed(s, &w->listing.manifest_sha256);
	offer_ask(&q);
	d.verdict = answers[q.offer.answer].verdict;
	d.stopped = q.offer.answer == OFFER_STOPPED || q.offer.answer == OFFER_AFFECTED;
	d.running = q.offer.running;
	d.known = q.offer.tried;
	d.wave = q.offer.wave ? q.offer.wave->name : NULL;
	answers[q.offer.answer].tell(&q, &d);
	/* Going back is never put off. */
	if (d.verdict == VERDICT_UPDATE && !w->plan.has_recall &&
		budget_check_hours(f->downloads, f->now_s, &closed) < 0) {
		d.verdict = VERDICT_HELD;
		say(&d, "%s", closed.text);
	}
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

struct pending
decide_about(const struct world *w, const struct decision *d)
{
	struct pending about = {0};

	if (!w->has_plan || (!d->running && d->verdict == VERDICT_IDLE))
		return about;
	(void)snprintf(about.rollout, sizeof(about.rollout), "%s", w->plan.rollout);
	(void)snprintf(about.wave, sizeof(about.wave), "%s", d->wave ? d->wave : "");
	about.plan_version = w->plan.version;
	about.attempt = w->plan.attempt;
	return about;
}
