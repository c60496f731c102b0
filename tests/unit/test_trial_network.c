#include "tests/unit/trial_scene.h"

#include <sys/stat.h>

/* An update over the network, and this is what polls come to. */
static void
serve(struct scene *x, bool answers_polls, enum err_class class, const char *text)
{
	world_free(&shut);
	world_free(&good);
	memset(&server, 0, sizeof(server));
	server.answers = 100; /* to the system before */
	server.answers_polls = answers_polls;
	(void)err_set(&server.says, class, "%s", text);
	from_network(x, FAILING, FAILING);
}

/* Back in the old system, with this much of it told at once. */
static void
assert_inconclusive_at_once(struct scene *x, enum err_class class)
{
	scene_boot(x, "boot-2", SETTLED_REVERTED);
	assert_int_equal(x->rig.s->ended.outcome, OUTCOME_INCONCLUSIVE);
	assert_int_equal(x->rig.s->ended.class, class);
	assert_false(doubt_is_open(x->rig.s));
	assert_non_null(strstr(x->rig.s->last_result, ": inconclusive: "));
	assert_non_null(strstr(x->settlement.detail, "inconclusive: "));
	assert_true(state_failed(x->rig.s, &x->rig.s->ended.update.release.manifest)->inconclusive);
}

static void
who_was_never_answered_is_in_doubt(void **state)
{
	struct scene *x = *state;

	serve(x, false, ERR_NETWORK, "connection refused");
	assert_round(x, TRIAL_GOES_ON, "connection refused");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "connection refused");
	scene_boot(x, "boot-2", SETTLED_REVERTED);
	assert_true(doubt_is_open(x->rig.s));
}

/* The power goes each time, until the bootloader goes back. */
static void
cut_power_until_back(struct scene *x)
{
	struct err e = ERR_INIT;
	enum side current;
	char boot_id[16];

	for (int i = 2; i < 10; i++) {
		(void)snprintf(boot_id, sizeof(boot_id), "boot-%d", i);
		rig_power_on(&x->rig, boot_id);
		if (settle(x->rig.c, x->rig.boot, x->rig.s, &x->settlement, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(x->rig.boot->current(x->rig.boot, x->rig.c, &current, &e), 0);
		if (current == SIDE_A)
			break;
	}
	assert_int_equal(x->settlement.what, SETTLED_REVERTED);
	assert_non_null(strstr(x->settlement.detail, "the bootloader went back"));
}

static void
power_that_goes_while_the_server_is_down_condemns_nothing(void **state)
{
	struct scene *x = *state;

	serve(x, false, ERR_NETWORK, "connection refused");
	assert_round(x, TRIAL_GOES_ON, "connection refused");
	cut_power_until_back(x);
	assert_int_equal(x->rig.s->ended.outcome, OUTCOME_INCONCLUSIVE);
	assert_false(doubt_is_open(x->rig.s));
	assert_true(state_failed(x->rig.s, &x->rig.s->ended.update.release.manifest)->inconclusive);
}

static void
a_system_that_was_never_in_order_is_condemned_by_the_bootloader(void **state)
{
	struct scene *x = *state;

	serve(x, false, ERR_NETWORK, "connection refused");
	rig_file("health.d/10-disk", "#!/bin/sh\nexit 1\n");
	assert_round(x, TRIAL_GOES_ON, "unhealthy");
	cut_power_until_back(x);
	assert_int_equal(x->rig.s->ended.outcome, OUTCOME_REVERTED);
	assert_false(
		state_failed(x->rig.s, &x->rig.s->ended.update.release.manifest)->inconclusive);
}

/* Whoever waits for a server of reports. */
static void
a_stop_is_heard_while_a_report_waits(void **state)
{
	struct scene *x = *state;
	struct keep_going keep_going = trial_keep_going(&x->trial);
	struct err e = ERR_INIT;

	serve(x, false, ERR_NETWORK, "connection refused");
	server.stop_poll_s = 0;
	assert_int_equal(keep_going_ask(&keep_going, &e), 0);
	assert_round(x, TRIAL_GOES_ON, "connection refused");
	assert_int_equal(keep_going_ask(&keep_going, &e), 0);
	answers[1] = SHUT_WORLD;
	assert_int_equal(keep_going_ask(&keep_going, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
}

static void
who_was_refused_by_the_server_has_a_network(void **state)
{
	struct scene *x = *state;

	serve(x, true, ERR_NETWORK, "the server answered 503");
	assert_round(x, TRIAL_GOES_ON, "503");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "503");
	assert_inconclusive_at_once(x, ERR_NETWORK);
}

static void
serve_nobody(struct scene *x, bool refuses)
{
	serve(x, false, ERR_NETWORK, "nobody is there");
	server.refuses = refuses;
	server.is_met = !refuses;
}

/* The server may be back before the old system asks. A firewall that the release brought along is
 * there the next time, too, and so is a network that only lets connections through. */
static void
assert_speaks_for_the_release_once(void **state, bool refuses)
{
	struct scene *x = *state;
	struct failed before = {.inconclusive = true, .tries = 1};

	serve_nobody(x, refuses);
	assert_round(x, TRIAL_GOES_ON, "nobody is there");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "nobody is there");
	before.manifest = x->rig.s->pending.release.manifest;
	before.attempt = x->rig.s->pending.release.attempt;
	assert_inconclusive_at_once(x, ERR_NETWORK);

	scene_clear(state);
	scene_set(state);
	x = *state;
	serve_nobody(x, refuses);
	state_remember_failed(x->rig.s, &before);
	assert_round(x, TRIAL_GOES_ON, "nobody is there");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "nobody is there");
	scene_boot(x, "boot-2", SETTLED_REVERTED);
	assert_true(doubt_is_open(x->rig.s));
}

static void
a_refused_connection_speaks_for_the_release_once(void **state)
{
	assert_speaks_for_the_release_once(state, true);
}

static void
a_silence_behind_a_connection_speaks_for_the_release_once(void **state)
{
	assert_speaks_for_the_release_once(state, false);
}

/* A poll of the old system, a while after the first. */
static void
poll_in_doubt(struct scene *x)
{
	struct keep_going until_term = lookout_until_term(&x->lookout);
	struct poller *poller = (struct poller *)(uintptr_t)1;
	struct err e = ERR_INIT;
	int64_t wait_ms;

	for (int i = 0; i < 2; i++) {
		if (doubt_poll(&x->rig.box, poller, &until_term, &wait_ms, &e) < 0)
			fail_msg("%s", e.text);
	}
}

static void
a_server_that_is_out_of_order_ends_the_doubt(void **state)
{
	for (int refuses = 0; refuses < 2; refuses++) {
		struct scene *x = *state;

		serve(x, false, ERR_NETWORK, "timed out");
		make_overdue(x);
		assert_round(x, TRIAL_GIVEN_UP, "no answer");
		scene_boot(x, "boot-2", SETTLED_REVERTED);
		poll_in_doubt(x);
		assert_true(doubt_is_open(x->rig.s));
		server.refuses = refuses;
		server.answers_polls = !refuses;
		poll_in_doubt(x);
		assert_false(doubt_is_open(x->rig.s));
		assert_int_equal(x->rig.s->ended.outcome, OUTCOME_INCONCLUSIVE);
		scene_clear(state);
		scene_set(state);
	}
}

/* One answer is enough, though the agent or the box starts anew after it. */
static void
an_answer_is_remembered_across_restarts(void **state)
{
	struct scene *x = *state;

	serve(x, true, ERR_NETWORK, "the server answered 503");
	assert_round(x, TRIAL_GOES_ON, "503");
	scene_boot(x, "boot-1", SETTLED_UNCONFIRMED);
	assert_true(x->rig.s->pending.answered);
	x->trial.box = &x->rig.box;
	x->trial.rounds = 0;
	serve(x, false, ERR_NETWORK, "connection refused");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "no answer before the deadline");
	assert_inconclusive_at_once(x, ERR_NETWORK);
}

static void
stale_metadata_leaves_no_doubt(void **state)
{
	struct scene *x = *state;

	serve(x, false, ERR_EXPIRED, "timestamp.json has expired");
	make_overdue(x);
	server.answers_polls = true;
	assert_round(x, TRIAL_GIVEN_UP, "has expired");
	assert_inconclusive_at_once(x, ERR_EXPIRED);
}

static void
the_deadline_hides_no_reason(void **state)
{
	struct scene *x = *state;

	serve(x, true, ERR_EXPIRED, "timestamp.json has expired");
	assert_round(x, TRIAL_GOES_ON, "has expired");
	server.answers_polls = false;
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "has expired");
	assert_inconclusive_at_once(x, ERR_EXPIRED);
	assert_string_equal(
		state_failed(x->rig.s, &x->rig.s->ended.update.release.manifest)->reason,
		"timestamp.json has expired");
}

static void
a_trial_knows_no_reason_of_the_one_before(void **state)
{
	struct scene *x = *state;

	serve(x, true, ERR_EXPIRED, "timestamp.json has expired");
	assert_round(x, TRIAL_GOES_ON, "has expired");
	server.answers_polls = false;
	x->trial.rounds = 0;
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "no answer before the deadline");
}

static void
a_stop_is_heard_where_the_state_cannot_be_written(void **state)
{
	struct scene *x = *state;
	struct err e = ERR_INIT;

	from_network(x, FAILING, SHUT_WORLD);
	server.says = (struct err){.class = ERR_NETWORK};
	assert_int_equal(unlink("state/state.copy.json"), 0);
	assert_int_equal(mkdir("state/state.copy.json", 0700), 0);
	assert_false(trial_is_stopped(&x->trial, &e));
	assert_int_equal(rig_env(&x->rig).vars.primary, SIDE_B);
	assert_true(trial_is_stopped(&x->trial, &e));
	assert_int_equal(rig_env(&x->rig).vars.primary, SIDE_A);
	assert_int_equal(rmdir("state/state.copy.json"), 0);
	assert_int_equal(state_load(x->rig.c->state_dir, x->rig.s, &e), 0);
	scene_boot(x, "boot-2", SETTLED_CLEANED);
	assert_int_equal(x->rig.s->failed_count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(who_was_never_answered_is_in_doubt),
		IN_SCENE(power_that_goes_while_the_server_is_down_condemns_nothing),
		IN_SCENE(a_system_that_was_never_in_order_is_condemned_by_the_bootloader),
		IN_SCENE(who_was_refused_by_the_server_has_a_network),
		IN_SCENE(a_stop_is_heard_while_a_report_waits),
		IN_SCENE(a_refused_connection_speaks_for_the_release_once),
		IN_SCENE(a_silence_behind_a_connection_speaks_for_the_release_once),
		IN_SCENE(a_server_that_is_out_of_order_ends_the_doubt),
		IN_SCENE(an_answer_is_remembered_across_restarts),
		IN_SCENE(stale_metadata_leaves_no_doubt),
		IN_SCENE(the_deadline_hides_no_reason),
		IN_SCENE(a_stop_is_heard_where_the_state_cannot_be_written),
		IN_SCENE(a_trial_knows_no_reason_of_the_one_before),
	};

	return cmocka_run_group_tests_name("trial_network", tests, NULL, NULL);
}
