#include "tests/unit/decide_scene.h"

static void
assert_goes_on(const struct scene *c, const char *reason)
{
	struct err e = ERR_INIT;
	int rc = decide_go_on(c->w, c->s, &c->s->pending, &e);

	assert_int_equal(rc, reason ? -1 : 0);
	if (reason) {
		assert_int_equal(e.class, ERR_STOPPED);
		if (!strstr(e.text, reason))
			fail_msg("\"%s\" does not say \"%s\"", e.text, reason);
	}
}

static void
add_stop(struct gate *g, const char *id)
{
	struct stop *s = &g->stops[g->stop_count++];

	(void)strcpy(s->id, id);
	(void)strcpy(s->reason, "smoke in Lyon");
}

static void
a_box_in_an_open_wave_updates(void **state)
{
	struct scene *c = *state;

	assert_verdict(c, VERDICT_UPDATE, "gateway 2.4.0");
	assert_string_equal(c->d.wave, "canary");
	assert_goes_on(c, NULL);
	c->f.box.running[0] = NULL;
	assert_verdict(c, VERDICT_UPDATE, "");
}

static void
a_stop_of_the_plan_or_of_everything_holds_and_ends(void **state)
{
	struct scene *c = *state;

	add_stop(&c->w->gate, ID_1);
	assert_true(decide_stops(c->w, c->s));
	assert_false(decide_stops(c->w, c->s));
	assert_int_equal(c->s->stop_count, 1);
	assert_verdict(c, VERDICT_HELD, "smoke in Lyon");
	assert_true(c->d.stopped);
	assert_goes_on(c, ID_1);
	c->s->stop_count = 0;
	c->w->gate.stop_count = 0;
	add_stop(&c->w->all, ID_2);
	assert_true(decide_stops(c->w, c->s));
	assert_verdict(c, VERDICT_HELD, "gates/all.json");
	assert_goes_on(c, ID_2);
}

/* DESIGN.md section 6: what is confirmed stays. */
static void
a_box_that_runs_what_was_stopped_stays_and_is_affected(void **state)
{
	struct scene *c = *state;

	add_stop(&c->w->gate, ID_1);
	assert_true(decide_stops(c->w, c->s));
	c->running = (struct digest){{7}};
	assert_verdict(c, VERDICT_IDLE, "affected: gateway 2.4.0 runs already");
	assert_non_null(strstr(c->d.reason, "smoke in Lyon"));
	assert_true(c->d.running && c->d.stopped);
	/* Nobody knows what its plan is, or that is of a release that nobody knows. */
	c->w->has_bundle = false;
	assert_verdict(c, VERDICT_HELD, "stopped by");
	assert_false(c->d.running);
	c->w->has_bundle = true;
	c->w->has_plan = false;
	assert_verdict(c, VERDICT_HELD, "stopped by");
	c->w->has_plan = true;
	c->s->stop_count = 0;
	assert_verdict(c, VERDICT_IDLE, "gateway 2.4.0 runs already");
	assert_false(c->d.stopped);
}

static void
a_stop_beats_a_gate_that_does_not_bind(void **state)
{
	struct scene *c = *state;

	add_stop(&c->w->gate, ID_1);
	c->w->gate.plan_version = 99;
	assert_true(decide_stops(c->w, c->s));
	assert_verdict(c, VERDICT_HELD, "smoke in Lyon");
	c->w->has_plan = false;
	assert_verdict(c, VERDICT_HELD, "smoke in Lyon");
}

static void
a_stop_stays_when_the_world_forgets_it(void **state)
{
	struct scene *c = *state;

	add_stop(&c->w->gate, ID_1);
	assert_true(decide_stops(c->w, c->s));
	c->w->gate.stop_count = 0;
	assert_false(decide_stops(c->w, c->s));
	c->w->has_gate = false;
	assert_false(decide_stops(c->w, c->s));
	assert_verdict(c, VERDICT_HELD, ID_1);
}

static void
only_a_resume_of_its_own_scope_lifts_a_stop(void **state)
{
	struct scene *c = *state;

	add_stop(&c->w->gate, ID_1);
	add_stop(&c->w->all, ID_2);
	assert_true(decide_stops(c->w, c->s));
	assert_int_equal(c->s->stop_count, 2);
	c->w->plan_resumes = json_pack("[s]", ID_2);
	c->w->all_resumes = json_pack("[s]", ID_1);
	assert_false(decide_stops(c->w, c->s));
	assert_int_equal(c->s->stop_count, 2);
	(void)json_array_append_new(c->w->plan_resumes, json_string(ID_1));
	assert_true(decide_stops(c->w, c->s));
	assert_int_equal(c->s->stop_count, 1);
	assert_verdict(c, VERDICT_HELD, ID_2);
	(void)json_array_append_new(c->w->all_resumes, json_string(ID_2));
	assert_true(decide_stops(c->w, c->s));
	assert_int_equal(c->s->stop_count, 0);
	/* Both are still in the gates, and lifted. */
	assert_false(decide_stops(c->w, c->s));
	assert_verdict(c, VERDICT_UPDATE, "");
}

/* Else whoever signs a plan's gate could take the id of a stop of everything, and keep it out. */
static void
one_id_in_two_gates_is_two_stops(void **state)
{
	struct scene *c = *state;

	add_stop(&c->w->gate, ID_1);
	assert_true(decide_stops(c->w, c->s));
	add_stop(&c->w->all, ID_1);
	assert_true(decide_stops(c->w, c->s));
	assert_int_equal(c->s->stop_count, 2);
	c->w->plan_resumes = json_pack("[s]", ID_1);
	assert_true(decide_stops(c->w, c->s));
	assert_verdict(c, VERDICT_HELD, "gates/all.json");
}

static void
a_stop_of_another_plan_is_kept_and_not_obeyed(void **state)
{
	struct scene *c = *state;

	add_stop(&c->w->gate, ID_1);
	assert_true(decide_stops(c->w, c->s));
	(void)strcpy(c->s->stops[0].gate, "gates/beta.json");
	c->w->gate.stop_count = 0;
	assert_false(decide_stops(c->w, c->s));
	assert_verdict(c, VERDICT_UPDATE, "");
	assert_int_equal(c->s->stop_count, 1);
}

static void
more_stops_than_fit_still_stop(void **state)
{
	struct scene *c = *state;
	char id[STOP_ID_SIZE];

	for (int i = 0; i < STOPS_MAX; i++) {
		(void)snprintf(id, sizeof(id), "%032x", i);
		add_stop(&c->w->gate, id);
		(void)snprintf(id, sizeof(id), "%032x", i + 1000);
		add_stop(&c->w->all, id);
	}
	assert_true(decide_stops(c->w, c->s));
	assert_int_equal(c->s->stop_count, STOPS_MAX);
	assert_false(decide_stops(c->w, c->s));
	assert_verdict(c, VERDICT_HELD, "stopped");
}

static void
stops_of_plans_no_longer_followed_leave_room(void **state)
{
	struct scene *c = *state;

	for (int i = 0; i < STOPS_MAX; i++) {
		(void)snprintf(c->s->stops[i].id, STOP_ID_SIZE, "%032x", i);
		(void)strcpy(c->s->stops[i].gate, "gates/other.json");
	}
	c->s->stop_count = STOPS_MAX;
	assert_verdict(c, VERDICT_UPDATE, "");
	add_stop(&c->w->all, ID_1);
	assert_true(decide_stops(c->w, c->s));
	assert_verdict(c, VERDICT_HELD, "stopped");
	assert_false(decide_stops(c->w, c->s));
	assert_int_equal(c->s->stop_count, STOPS_MAX);
}

static void
a_missing_gate_of_everything_is_shut(void **state)
{
	struct scene *c = *state;

	c->w->has_all = false;
	assert_verdict(c, VERDICT_HELD, "missing is shut");
	assert_false(c->d.stopped);
	assert_goes_on(c, "missing is shut");
}

static void
a_withdrawn_plan_starts_nothing_and_ends_what_runs(void **state)
{
	struct scene *c = *state;

	c->w->has_plan = false;
	assert_verdict(c, VERDICT_IDLE, "no plan");
	assert_goes_on(c, "withdrawn");
}

static void
a_replaced_plan_ends_what_runs(void **state)
{
	struct scene *c = *state;

	c->s->pending.plan_version = 2;
	assert_goes_on(c, "replaced");
	c->s->pending.plan_version = 4;
	assert_goes_on(c, "replaced");
	c->s->pending.plan_version = 3;
	(void)strcpy(c->s->pending.rollout, "gateway-2.3.9");
	assert_goes_on(c, "replaced");
	(void)strcpy(c->s->pending.rollout, "gateway-2.4.0");
	c->w->listing.manifest_sha256 = (struct digest){{8}};
	assert_goes_on(c, "no longer the release");
	assert_verdict(c, VERDICT_UPDATE, "");
}

static void
a_bundle_released_with_other_bytes_is_held(void **state)
{
	struct scene *c = *state;

	c->w->has_bundle = false;
	assert_verdict(c, VERDICT_HELD, "not released with the length and digest");
	assert_goes_on(c, "no longer the release");
}

static void
a_gate_that_is_missing_or_does_not_bind_is_shut(void **state)
{
	struct scene *c = *state;

	c->w->gate.plan_sha256.b[0] ^= 1;
	assert_verdict(c, VERDICT_HELD, "gates/stable.json is shut: the gate is for other bytes");
	assert_goes_on(c, "is shut");
	c->w->has_gate = false;
	assert_verdict(c, VERDICT_HELD, "gates/stable.json is missing");
	assert_goes_on(c, "was withdrawn");
}

static void
a_box_that_the_plan_leaves_out_is_idle(void **state)
{
	struct scene *c = *state;

	c->f.box.id = "gw-000017";
	assert_verdict(c, VERDICT_IDLE, "not for this box");
	assert_null(c->d.wave);
	c->f.box.id = "gw-000001";
	c->f.box.compatible = "acme-gw9";
	assert_verdict(c, VERDICT_IDLE, "not for this box");
}

static void
a_wave_that_is_not_open_holds(void **state)
{
	struct scene *c = *state;

	c->f.box.id = "gw-000002";
	assert_verdict(c, VERDICT_HELD, "wave everyone");
	assert_string_equal(c->d.wave, "everyone");
	(void)strcpy(c->w->gate.open[0], "everyone");
	assert_goes_on(c, "wave canary");
}

static void
a_pause_blocks_starts_and_ends_nothing(void **state)
{
	struct scene *c = *state;

	c->w->gate.paused = true;
	assert_verdict(c, VERDICT_HELD, "paused");
	assert_goes_on(c, NULL);
}

/* Installed from a file and rolled back by hand: no plan's attempt is known, so the one that offers
 * it first is not a higher one. */
static void
a_pause_of_everything_blocks_starts_and_ends_nothing(void **state)
{
	struct scene *c = *state;

	c->w->all.paused = true;
	assert_verdict(c, VERDICT_HELD, "every box is paused");
	assert_string_equal(c->d.wave, "canary");
	assert_goes_on(c, NULL);
}

static void
what_failed_from_a_file_needs_a_higher_attempt_too(void **state)
{
	struct scene *c = *state;
	struct failed f = {.manifest = {{7}}, .tries = 1, .reason = "rolled back by hand"};

	state_remember_failed(c->s, &f);
	assert_true(decide_attempts(c->w, c->s));
	assert_verdict(c, VERDICT_FAILED, "attempt 3 of the plan would try it again");
	assert_false(decide_attempts(c->w, c->s));
	c->w->plan.attempt = 3;
	assert_false(decide_attempts(c->w, c->s));
	assert_verdict(c, VERDICT_UPDATE, "");
	c->w->has_bundle = false;
	assert_false(decide_attempts(c->w, c->s));
}

static void
a_failed_release_needs_a_higher_attempt(void **state)
{
	struct scene *c = *state;
	struct failed f = {.manifest = {{7}}, .attempt = 2, .tries = 1, .reason = "it burned"};

	state_remember_failed(c->s, &f);
	assert_verdict(c, VERDICT_FAILED, "it burned");
	assert_true(c->d.known);
	f.attempt = 3;
	state_remember_failed(c->s, &f);
	assert_verdict(c, VERDICT_FAILED, "attempt 4");
	f.attempt = 1;
	state_remember_failed(c->s, &f);
	assert_verdict(c, VERDICT_UPDATE, "");
	f.attempt = 2;
	f.manifest.b[0] = 8;
	state_remember_failed(c->s, &f);
	assert_verdict(c, VERDICT_UPDATE, "");
}

static void
an_inconclusive_release_is_tried_again_a_bounded_number_of_times(void **state)
{
	struct scene *c = *state;
	struct failed f = {.manifest = {{7}},
		.attempt = 2,
		.inconclusive = true,
		.tries = 2,
		.not_before_s = 1001,
		.reason = "no network"};

	state_remember_failed(c->s, &f);
	assert_verdict(c, VERDICT_HELD, "tried again after");
	f.not_before_s = c->f.now_s + c->f.put_off_max_s;
	state_remember_failed(c->s, &f);
	assert_verdict(c, VERDICT_HELD, "tried again after");
	/* By a clock that was wrong. */
	f.not_before_s = c->f.now_s + c->f.put_off_max_s + 1;
	state_remember_failed(c->s, &f);
	assert_verdict(c, VERDICT_UPDATE, "");
	f.not_before_s = 1001;
	state_remember_failed(c->s, &f);
	c->f.now_s = 1001;
	assert_verdict(c, VERDICT_UPDATE, "");
	f.tries = 3;
	state_remember_failed(c->s, &f);
	assert_verdict(c, VERDICT_HELD, "3 times");
	f.attempt = 1;
	state_remember_failed(c->s, &f);
	assert_verdict(c, VERDICT_UPDATE, "");
}

static void
a_rollback_index_below_the_floor_is_refused(void **state)
{
	struct scene *c = *state;

	c->s->rollback_floor = 5;
	assert_verdict(c, VERDICT_FAILED, "rollback index 4");
	assert_false(c->d.known);
	c->s->rollback_floor = 3;
	assert_verdict(c, VERDICT_UPDATE, "");
}

static void
a_box_that_runs_the_release_is_idle_but_reports_a_stop(void **state)
{
	struct scene *c = *state;

	c->running = (struct digest){{7}};
	assert_verdict(c, VERDICT_IDLE, "runs already");
	assert_true(c->d.running);
	c->f.box.running[0] = NULL;
	assert_verdict(c, VERDICT_UPDATE, "");
	c->f.box.running[1] = &c->running;
	assert_verdict(c, VERDICT_IDLE, "runs already");
	add_stop(&c->w->gate, ID_1);
	(void)decide_stops(c->w, c->s);
	assert_verdict(c, VERDICT_IDLE, ID_1);
	assert_true(c->d.stopped);
}

static void
metadata_that_may_be_a_replay_starts_nothing(void **state)
{
	struct scene *c = *state;

	c->f.fresh = false;
	assert_verdict(c, VERDICT_HELD, "clock is not trusted");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(a_box_in_an_open_wave_updates),
		IN_SCENE(a_stop_of_the_plan_or_of_everything_holds_and_ends),
		IN_SCENE(a_box_that_runs_what_was_stopped_stays_and_is_affected),
		IN_SCENE(a_stop_beats_a_gate_that_does_not_bind),
		IN_SCENE(a_stop_stays_when_the_world_forgets_it),
		IN_SCENE(only_a_resume_of_its_own_scope_lifts_a_stop),
		IN_SCENE(one_id_in_two_gates_is_two_stops),
		IN_SCENE(a_stop_of_another_plan_is_kept_and_not_obeyed),
		IN_SCENE(more_stops_than_fit_still_stop),
		IN_SCENE(stops_of_plans_no_longer_followed_leave_room),
		IN_SCENE(a_missing_gate_of_everything_is_shut),
		IN_SCENE(a_withdrawn_plan_starts_nothing_and_ends_what_runs),
		IN_SCENE(a_replaced_plan_ends_what_runs),
		IN_SCENE(a_bundle_released_with_other_bytes_is_held),
		IN_SCENE(a_gate_that_is_missing_or_does_not_bind_is_shut),
		IN_SCENE(a_box_that_the_plan_leaves_out_is_idle),
		IN_SCENE(a_wave_that_is_not_open_holds),
		IN_SCENE(a_pause_blocks_starts_and_ends_nothing),
		IN_SCENE(a_pause_of_everything_blocks_starts_and_ends_nothing),
		IN_SCENE(what_failed_from_a_file_needs_a_higher_attempt_too),
		IN_SCENE(a_failed_release_needs_a_higher_attempt),
		IN_SCENE(an_inconclusive_release_is_tried_again_a_bounded_number_of_times),
		IN_SCENE(a_rollback_index_below_the_floor_is_refused),
		IN_SCENE(a_box_that_runs_the_release_is_idle_but_reports_a_stop),
		IN_SCENE(metadata_that_may_be_a_replay_starts_nothing),
	};

	return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
