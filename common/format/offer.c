#include "common/format/offer.h"

#include "common/base/num.h"

/* One rule: true when it has answered. */
typedef bool rule(const struct offer_facts *f, struct offer *o);

/* "if" with its answer. */
static bool
is(struct offer *o, bool kept_back, enum offer_answer answer)
{
	if (kept_back)
		o->answer = answer;
	return kept_back;
}

static bool
runs_already(const struct offer_facts *f)
{
	for (size_t i = 0; f->plan && f->listing && i < ARRAY_LEN(f->box.running); i++) {
		const struct digest *running = f->box.running[i];

		if (running && digest_equal(running, &f->listing->manifest_sha256))
			return true;
	}
	return false;
}

/* A box that was confirmed stays where it is, and is told that the stop is about what it runs. */
static bool
rule_stops(const struct offer_facts *f, struct offer *o)
{
	if (!f->stopped)
		return false;
	o->running = runs_already(f);
	return is(o, true, o->running ? OFFER_AFFECTED : OFFER_STOPPED);
}

static bool
rule_all_gate(const struct offer_facts *f, struct offer *o)
{
	return is(o, !f->all, OFFER_NO_ALL_GATE);
}

static bool
rule_plan(const struct offer_facts *f, struct offer *o)
{
	return is(o, !f->plan, OFFER_NO_PLAN);
}

static bool
rule_bundle(const struct offer_facts *f, struct offer *o)
{
	return is(o, !f->listing, OFFER_NOT_RELEASED);
}

static bool
rule_running(const struct offer_facts *f, struct offer *o)
{
	o->running = runs_already(f);
	return is(o, o->running, OFFER_RUNNING);
}

static bool
rule_gate(const struct offer_facts *f, struct offer *o)
{
	if (is(o, !f->gate, OFFER_NO_GATE))
		return true;
	return is(o, !gate_binds(f->gate, f->plan, f->plan_sha256, &o->differs), OFFER_UNBOUND);
}

static bool
rule_membership(const struct offer_facts *f, struct offer *o)
{
	size_t wave = 0;

	o->membership = plan_membership(f->plan, &f->box, &wave);
	if (is(o, o->membership != MEMBER_OF_WAVE, OFFER_NO_MEMBER))
		return true;
	o->wave = &f->plan->waves[wave];
	return false;
}

static bool
rule_wave(const struct offer_facts *f, struct offer *o)
{
	return is(o, !gate_is_open(f->gate, o->wave->name), OFFER_WAVE_SHUT) ||
	       is(o, f->gate->paused, OFFER_PAUSED) || is(o, f->all->paused, OFFER_ALL_PAUSED);
}

static bool
rule_past(const struct offer_facts *f, struct offer *o)
{
	const struct offer_past *past = f->past;

	if (!past || f->plan->attempt > past->attempt)
		return false;
	o->tried = true;
	if (is(o, !past->inconclusive, OFFER_FAILED) ||
		is(o, past->tries >= f->inconclusive_max, OFFER_TRIED_OUT))
		return true;
	/* What lies further off was reckoned by a clock that was wrong then, or is now. */
	return is(o,
		f->now_s < past->not_before_s && past->not_before_s - f->now_s <= f->put_off_max_s,
		OFFER_PUT_OFF);
}

static bool
rule_floor(const struct offer_facts *f, struct offer *o)
{
	return is(o, f->listing->rollback_index < f->rollback_floor, OFFER_BELOW_FLOOR);
}

static bool
rule_fresh(const struct offer_facts *f, struct offer *o)
{
	return is(o, !f->fresh, OFFER_NOT_FRESH);
}

static bool
rule_start(const struct offer_facts *f, struct offer *o)
{
	return is(o, f->now_s < f->plan->start_s, OFFER_NOT_STARTED);
}

int64_t
offer_turn_s(const struct plan *p, const char *box, int64_t now_s)
{
	int64_t from_s = p->start_s > now_s ? p->start_s : now_s;

	if (!p->has_window)
		return from_s;
	return window_turn(&p->window, window_offset(&p->window, p->rollout, box), from_s);
}

/* An update that was cut off, or that waits to be switched to, has had its turn. */
static bool
rule_window(const struct offer_facts *f, struct offer *o)
{
	if (f->elsewhere && !f->plan->window.utc)
		return false;
	o->turn_s = offer_turn_s(f->plan, f->box.id, f->now_s);
	return is(o, o->turn_s == INT64_MAX, OFFER_NO_OPENING) ||
	       is(o, o->turn_s > f->now_s, OFFER_NOT_ITS_TURN);
}

/* What it takes was found out by trying, as was what the servers have of it. */
static bool
rule_budget(const struct offer_facts *f, struct offer *o)
{
	return is(o, f->over_budget, OFFER_OVER_BUDGET);
}

void
offer_decide(const struct offer_facts *f, struct offer *out)
{
	static rule *const rules[] = {rule_stops, rule_all_gate, rule_plan, rule_bundle,
		rule_running, rule_gate, rule_membership, rule_wave, rule_past, rule_floor,
		rule_fresh, rule_start, rule_window, rule_budget};
	struct offer o = {.answer = OFFER_UPDATE};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		if (rules[i](f, &o))
			break;
	}
	*out = o;
}
