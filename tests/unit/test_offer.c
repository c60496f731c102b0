#include "tests/unit/decide_scene.h"

#include "common/format/offer.h"
#include "signer/plan_box.h"

static struct offer_facts
facts_of(const struct scene *c)
{
	const struct world *w = c->w;

	return (struct offer_facts){.plan = &w->plan,
		.plan_sha256 = &w->plan_sha256,
		.listing = &w->listing,
		.gate = &w->gate,
		.all = &w->all,
		.box = c->f.box,
		.rollback_floor = 4,
		.inconclusive_max = 3,
		.put_off_max_s = 7200,
		.now_s = 1000,
		.fresh = true};
}

static void
assert_answer(const struct offer_facts *f, enum offer_answer answer)
{
	struct offer o;

	offer_decide(f, &o);
	assert_int_equal(o.answer, answer);
}

/* All is in the way at first, and goes away one by one, in the order of the rules. */
static void
the_first_rule_that_keeps_a_box_back_answers(void **state)
{
	struct scene *c = *state;
	struct offer_facts f = facts_of(c), good = f;
	struct offer_past past = {.attempt = 2, .tries = 3, .not_before_s = 1001};
	struct world *w = c->w;

	f.stopped = true;
	f.past = &past;
	f.rollback_floor = 5;
	f.over_budget = true;
	f.fresh = false;
	f.all = f.gate = NULL;
	f.box.id = "gw-000017";
	c->running = w->listing.manifest_sha256;
	w->gate.plan_version = 4;
	w->gate.open_count = 0;
	w->gate.paused = w->all.paused = true;
	w->plan.start_s = 1001;
	w->plan.has_window = true;
	w->plan.window = (struct window){.opens_s = 7200, .length_s = 60, .utc = true};
	assert_answer(&f, OFFER_AFFECTED);
	f.listing = NULL;
	f.plan = NULL;
	assert_answer(&f, OFFER_STOPPED);
	f.stopped = false;
	assert_answer(&f, OFFER_NO_ALL_GATE);
	f.all = good.all;
	assert_answer(&f, OFFER_NO_PLAN);
	f.plan = good.plan;
	assert_answer(&f, OFFER_NOT_RELEASED);
	f.listing = good.listing;
	assert_answer(&f, OFFER_RUNNING);
	c->running.b[0]++;
	assert_answer(&f, OFFER_NO_GATE);
	f.gate = good.gate;
	assert_answer(&f, OFFER_UNBOUND);
	w->gate.plan_version = 3;
	assert_answer(&f, OFFER_NO_MEMBER);
	f.box.id = good.box.id;
	assert_answer(&f, OFFER_WAVE_SHUT);
	w->gate.open_count = 1;
	assert_answer(&f, OFFER_PAUSED);
	w->gate.paused = false;
	assert_answer(&f, OFFER_ALL_PAUSED);
	w->all.paused = false;
	assert_answer(&f, OFFER_FAILED);
	past.inconclusive = true;
	assert_answer(&f, OFFER_TRIED_OUT);
	past.tries = 2;
	assert_answer(&f, OFFER_PUT_OFF);
	past.not_before_s = 1000;
	assert_answer(&f, OFFER_BELOW_FLOOR);
	f.rollback_floor = 4;
	assert_answer(&f, OFFER_NOT_FRESH);
	f.fresh = true;
	assert_answer(&f, OFFER_NOT_STARTED);
	w->plan.start_s = 1000;
	assert_answer(&f, OFFER_NO_OPENING);
	w->plan.window.days = WINDOW_EVERY_DAY;
	assert_answer(&f, OFFER_NOT_ITS_TURN);
	w->plan.has_window = false;
	assert_answer(&f, OFFER_OVER_BUDGET);
	f.over_budget = false;
	assert_answer(&f, OFFER_UPDATE);
}

static void
a_window_by_the_clock_of_a_box_is_known_there_alone(void **state)
{
	struct scene *c = *state;
	struct offer_facts f = facts_of(c);

	c->w->plan.has_window = true;
	c->w->plan.window = (struct window){.length_s = 60};
	assert_answer(&f, OFFER_NO_OPENING);
	f.elsewhere = true;
	assert_answer(&f, OFFER_UPDATE);
	c->w->plan.window.utc = true;
	assert_answer(&f, OFFER_NO_OPENING);
}

/* What may keep a box back, and is known to its fleet too. */
enum trouble {
	STOP,
	STOP_ALL,
	NO_ALL_GATE,
	NO_BUNDLE,
	RUNS,
	NO_GATE,
	OTHER_PLAN,
	SHUT,
	PAUSE,
	PAUSE_ALL,
	FAILED_BEFORE,
	FLOOR,
	START,
	WINDOW,
	TROUBLES
};

/* A box, and the workspace whose metadata it has. */
struct pair_scene {
	struct scene *c;
	struct publication pub;
	struct fleet_member member;
	struct ledger_past past;
};

static void
box_trouble(struct scene *c, unsigned set)
{
	struct world *w = c->w;
	struct failed f = {.manifest = w->listing.manifest_sha256, .attempt = 2};

	w->gate.stop_count = set >> STOP & 1;
	w->all.stop_count = set >> STOP_ALL & 1;
	w->has_all = !(set >> NO_ALL_GATE & 1);
	w->has_bundle = !(set >> NO_BUNDLE & 1);
	w->has_gate = !(set >> NO_GATE & 1);
	w->gate.plan_version = set >> OTHER_PLAN & 1 ? 4 : 3;
	w->gate.open_count = !(set >> SHUT & 1);
	w->gate.paused = set >> PAUSE & 1;
	w->all.paused = set >> PAUSE_ALL & 1;
	w->plan.start_s = set >> START & 1 ? 1001 : 0;
	w->plan.has_window = set >> WINDOW & 1;
	c->running = (struct digest){{set >> RUNS & 1 ? 7 : 1}};
	c->s->rollback_floor = set >> FLOOR & 1 ? 5 : 4;
	c->s->failed_count = c->s->stop_count = 0;
	if (set >> FAILED_BEFORE & 1)
		state_remember_failed(c->s, &f);
	(void)decide_stops(w, c->s);
}

/* The same, as the host's metadata and fleet.db have it. */
static void
fleet_trouble(struct pair_scene *p, unsigned set)
{
	const struct world *w = p->c->w;

	p->pub.bound = w->has_bundle;
	p->pub.same = p->pub.bound;
	p->pub.binding.listing = w->listing;
	p->pub.before.plan = w->plan;
	p->pub.before.sha256 = w->plan_sha256;
	p->pub.gate.listed = w->has_gate;
	p->pub.gate.gate = w->has_gate ? w->gate : (struct gate){0};
	p->pub.all.listed = w->has_all;
	p->pub.all.gate = w->has_all ? w->all : (struct gate){0};
	p->member = (struct fleet_member){.facts = p->c->f.box, .plan = ""};
	p->past = (struct ledger_past){.attempt = 2,
		.failed = set >> FAILED_BEFORE & 1,
		.rollback_floor = p->c->s->rollback_floor};
}

static void
a_box_and_its_fleet_decide_alike(void **state)
{
	struct scene *c = *state;
	struct pair_scene *p = calloc(1, sizeof(*p));
	struct plan_box b;

	assert_non_null(p);
	p->c = c;
	p->pub.known = p->pub.before.listed = true;
	(void)err_set(&p->pub.why, ERR_REFUSED, "the bundle is not released");
	(void)strcpy(c->w->gate.stops[0].id, ID_1);
	(void)strcpy(c->w->all.stops[0].id, ID_2);
	c->w->plan.window = (struct window){
		.days = WINDOW_EVERY_DAY, .opens_s = 7200, .length_s = 60, .utc = true};
	/* Nothing, each alone, and each two together. */
	for (unsigned i = 0; i <= TROUBLES; i++) {
		for (unsigned k = i; k <= TROUBLES; k++) {
			unsigned set = (i < TROUBLES ? 1U << i : 0) | (k < TROUBLES ? 1U << k : 0);

			box_trouble(c, set);
			fleet_trouble(p, set);
			decide(c->w, c->s, &c->f, &c->d);
			plan_box_find(&c->w->plan, &p->pub, &p->member, &p->past, c->f.now_s, &b);
			assert_true(b.in_wave);
			if (b.may_start != (c->d.verdict == VERDICT_UPDATE) || !*b.verdict)
				fail_msg("%#x: \"%s\" there, \"%s\" here", set, c->d.reason,
					b.verdict);
			assert_int_equal(b.may_start, set == 0);
		}
	}
	free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(the_first_rule_that_keeps_a_box_back_answers),
		IN_SCENE(a_window_by_the_clock_of_a_box_is_known_there_alone),
		IN_SCENE(a_box_and_its_fleet_decide_alike),
	};

	return cmocka_run_group_tests_name("offer", tests, NULL, NULL);
}
