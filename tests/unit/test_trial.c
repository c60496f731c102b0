#include "tests/unit/trial_scene.h"

static void
a_healthy_system_from_a_file_is_confirmed(void **state)
{
	struct scene *x = *state;

	assert_round(x, TRIAL_CONFIRMED, "");
	assert_int_equal(x->rig.s->pending.phase, PHASE_NONE);
	assert_string_equal(x->rig.s->running[SIDE_B].version, "2");
	assert_int_equal(x->rig.s->ended.outcome, OUTCOME_OK);
	assert_string_equal(x->rig.s->ended.update.release.version, "2");
}

static void
an_unhealthy_system_has_until_its_deadline(void **state)
{
	struct scene *x = *state;

	rig_file("health.d/10-disk", "#!/bin/sh\necho the disk is on fire\nexit 1\n");
	assert_round(x, TRIAL_GOES_ON, "on fire");
	rig_file("health.d/10-disk", "#!/bin/sh\nexit 0\n");
	assert_round(x, TRIAL_CONFIRMED, "");
}

static void
an_unhealthy_system_is_condemned_past_its_deadline(void **state)
{
	struct scene *x = *state;
	const struct failed *f;

	rig_file("health.d/10-disk", "#!/bin/sh\necho the disk is on fire\nexit 1\n");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "on fire");
	assert_true(revert_needs_reboot(x->rig.s));
	f = state_failed(x->rig.s, &x->rig.s->pending.release.manifest);
	assert_non_null(f);
	assert_false(f->inconclusive);
	assert_non_null(strstr(f->reason, "on fire"));
	scene_boot(x, "boot-2", SETTLED_REVERTED);
	assert_string_equal(rig_env(&x->rig).booted == SIDE_A ? "A" : "B", "A");
}

static void
a_system_that_is_not_what_was_signed_goes_at_once(void **state)
{
	struct scene *x = *state;
	AUTO_CLOSE int fd = open("b", O_RDWR | O_CLOEXEC);
	const struct failed *f;

	assert_int_equal(pwrite(fd, "X", 1, 100), 1);
	assert_round(x, TRIAL_GIVEN_UP, "not what was signed");
	f = state_failed(x->rig.s, &x->rig.s->pending.release.manifest);
	assert_non_null(f);
	assert_false(f->inconclusive);
}

static void
a_check_that_dies_is_a_check_that_fails(void **state)
{
	struct scene *x = *state;
	const struct failed *f;

	rig_file("health.d/10-web", "#!/bin/sh\nkill -SEGV $$\n");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "signal 11");
	f = state_failed(x->rig.s, &x->rig.s->pending.release.manifest);
	assert_non_null(f);
	assert_false(f->inconclusive);
}

/* What this box's own disk does is held against no release. */
static void
a_slot_that_cannot_be_read_condemns_nothing(void **state)
{
	struct scene *x = *state;
	const struct failed *f;

	assert_int_equal(truncate("b", 100), 0);
	assert_round(x, TRIAL_GOES_ON, "rootfs B ends at byte 100");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "rootfs B ends at byte 100");
	f = state_failed(x->rig.s, &x->rig.s->pending.release.manifest);
	assert_non_null(f);
	assert_true(f->inconclusive);
	scene_boot(x, "boot-2", SETTLED_REVERTED);
	assert_int_equal(x->rig.s->ended.outcome, OUTCOME_INCONCLUSIVE);
	assert_int_equal(x->rig.s->ended.class, ERR_SYSTEM);
	assert_false(x->rig.s->ended.in_doubt);
	/* Nor is it tried again at once. */
	f = state_failed(x->rig.s, &x->rig.s->ended.update.release.manifest);
	assert_non_null(f);
	assert_in_range(f->not_before_s, clock_wall_s() + (int64_t)x->rig.c->poll_s - 60,
		clock_wall_s() + pace_spaced_max_s(x->rig.c));
}

static void
a_manifest_that_was_damaged_here_condemns_nothing(void **state)
{
	struct scene *x = *state;

	rig_file("state/manifest.B.json", "{}");
	assert_round(x, TRIAL_GOES_ON, "manifest.B.json");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "manifest.B.json");
	assert_true(state_failed(x->rig.s, &x->rig.s->pending.release.manifest)->inconclusive);
}

/* The bootloader has lost the trial: what is healthy cannot be confirmed, now or later. */
static void
a_system_that_the_bootloader_does_not_keep_is_left(void **state)
{
	struct scene *x = *state;
	struct boot_env env = rig_env(&x->rig);
	struct err e = ERR_INIT;

	env.vars.side[SIDE_B] = (struct boot_side){0};
	assert_int_equal(boot_env_save(x->rig.c->boot_file, &env, &e), 0);
	assert_int_equal(trial_round(&x->trial, &x->end, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(x->rig.s->pending.phase, PHASE_ACTIVATED);
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "side B is marked not bootable");
	assert_true(revert_needs_reboot(x->rig.s));
	assert_true(state_failed(x->rig.s, &x->rig.s->pending.release.manifest)->inconclusive);
	scene_boot(x, "boot-2", SETTLED_REVERTED);
	assert_int_equal(x->rig.s->ended.outcome, OUTCOME_INCONCLUSIVE);
}

/* That is for rescue.h. */
static void
an_environment_that_cannot_be_read_gives_nothing_up(void **state)
{
	struct scene *x = *state;
	struct err e = ERR_INIT;

	make_overdue(x);
	rig_file("health.d/10-lost", "#!/bin/sh\n: > boot\n");
	assert_int_equal(trial_round(&x->trial, &x->end, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(x->rig.s->pending.phase, PHASE_ACTIVATED);
}

static void
slots_are_hashed_once_in_a_boot(void **state)
{
	struct scene *x = *state;
	AUTO_CLOSE int fd = open("b", O_RDWR | O_CLOEXEC);

	x->rig.s->pending.local = false;
	assert_round(x, TRIAL_GOES_ON, "no server");
	assert_int_equal(pwrite(fd, "X", 1, 100), 1);
	assert_round(x, TRIAL_GOES_ON, "no server");
	/* An agent that starts anew, or another release, is asked for it again. */
	x->trial.right = (struct digest){{1}};
	assert_round(x, TRIAL_GIVEN_UP, "not what was signed");
}

static void
without_a_server_a_network_update_is_inconclusive(void **state)
{
	struct scene *x = *state;
	const struct failed *f;

	x->rig.s->pending.local = false;
	assert_round(x, TRIAL_GOES_ON, "no server");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "no server");
	f = state_failed(x->rig.s, &x->rig.s->pending.release.manifest);
	assert_non_null(f);
	assert_true(f->inconclusive);
	assert_int_equal(f->tries, 1);
	/* What it comes to is for the old system to find out. */
	scene_boot(x, "boot-2", SETTLED_REVERTED);
	assert_int_equal(x->rig.s->pending.phase, PHASE_NONE);
	assert_int_equal(x->rig.s->ended.outcome, OUTCOME_INCONCLUSIVE);
	assert_int_equal(x->rig.s->ended.class, ERR_NETWORK);
	assert_true(doubt_is_open(x->rig.s));
}

static void
ill_health_counts_for_more_than_a_missing_server(void **state)
{
	struct scene *x = *state;

	x->rig.s->pending.local = false;
	rig_file("health.d/10-disk", "#!/bin/sh\nexit 1\n");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "unhealthy");
	assert_false(state_failed(x->rig.s, &x->rig.s->pending.release.manifest)->inconclusive);
}

static void
the_end_of_the_agent_decides_nothing(void **state)
{
	struct scene *x = *state;
	struct err e = ERR_INIT;

	make_overdue(x);
	x->rig.s->pending.local = false;
	x->ending = 1;
	assert_int_equal(trial_round(&x->trial, &x->end, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_int_equal(x->rig.s->pending.phase, PHASE_ACTIVATED);
	assert_null(state_failed(x->rig.s, &x->rig.s->pending.release.manifest));
}

static void
rounds_come_less_often_and_not_after_the_deadline(void **state)
{
	struct scene *x = *state;

	assert_int_equal(trial_wait_ms(&x->trial), 1000);
	x->trial.rounds = 3;
	assert_int_equal(trial_wait_ms(&x->trial), 4000);
	x->trial.rounds = 100;
	assert_int_equal(trial_wait_ms(&x->trial), 30000);
	make_overdue(x);
	assert_int_equal(trial_wait_ms(&x->trial), 1000);
}

static void
no_wait_between_rounds_is_longer_than_one_for_a_stop(void **state)
{
	struct scene *x = *state;

	from_network(x, GOOD_WORLD, GOOD_WORLD);
	server.stop_poll_s = 10;
	x->trial.rounds = 100;
	assert_int_equal(trial_wait_ms(&x->trial), 10000);
	x->trial.poller = NULL;
	x->rig.c->stop_poll_s = 5;
	assert_int_equal(trial_wait_ms(&x->trial), 5000);
}

static void
nobody_waits_for_a_server_past_the_deadline(void **state)
{
	struct scene *x = *state;
	struct keep_going k = trial_keep_going(&x->trial);
	struct err e = ERR_INIT;

	assert_int_equal(k.ask(k.arg, &e), 0);
	make_overdue(x);
	assert_int_equal(k.ask(k.arg, &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
	x->rig.s->pending = (struct pending){0};
	assert_int_equal(k.ask(k.arg, &e), 0);
	x->ending = 1;
	assert_int_equal(k.ask(k.arg, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
}

static void
assert_cancelled(struct scene *x)
{
	assert_round(x, TRIAL_GIVEN_UP, "missing is shut");
	assert_true(revert_needs_reboot(x->rig.s));
	assert_null(state_failed(x->rig.s, &x->rig.s->pending.release.manifest));
}

static void
a_healthy_system_under_an_open_gate_is_confirmed(void **state)
{
	struct scene *x = *state;

	from_network(x, GOOD_WORLD, GOOD_WORLD);
	fresh = false;
	assert_round(x, TRIAL_GOES_ON, "clock is not trusted");
	fresh = true;
	assert_round(x, TRIAL_CONFIRMED, "");
}

static void
a_stop_takes_a_healthy_system_back_at_once(void **state)
{
	struct scene *x = *state;

	from_network(x, SHUT_WORLD, SHUT_WORLD);
	assert_cancelled(x);
}

static void
a_stop_comes_before_what_is_wrong_with_the_system(void **state)
{
	struct scene *x = *state;
	AUTO_CLOSE int fd = open("b", O_RDWR | O_CLOEXEC);

	from_network(x, SHUT_WORLD, SHUT_WORLD);
	assert_int_equal(pwrite(fd, "X", 1, 100), 1);
	assert_cancelled(x);
}

static void
a_stop_is_asked_for_once_more_before_confirming(void **state)
{
	struct scene *x = *state;

	from_network(x, GOOD_WORLD, SHUT_WORLD);
	assert_cancelled(x);
	assert_int_equal(polls, 2);
}

/* The check never ends by itself. */
static void
a_stop_ends_the_checks(void **state)
{
	struct scene *x = *state;

	from_network(x, GOOD_WORLD, SHUT_WORLD);
	rig_file("health.d/10-slow", "#!/bin/sh\nexec sleep 600\n");
	server.stop_poll_s = 0;
	assert_cancelled(x);
}

static void
metadata_that_is_not_fresh_condemns_nothing(void **state)
{
	struct scene *x = *state;
	const struct failed *f;

	from_network(x, STALE, STALE);
	assert_round(x, TRIAL_GOES_ON, "expired");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "expired");
	f = state_failed(x->rig.s, &x->rig.s->pending.release.manifest);
	assert_non_null(f);
	assert_true(f->inconclusive);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(a_healthy_system_from_a_file_is_confirmed),
		IN_SCENE(an_unhealthy_system_has_until_its_deadline),
		IN_SCENE(an_unhealthy_system_is_condemned_past_its_deadline),
		IN_SCENE(a_system_that_is_not_what_was_signed_goes_at_once),
		IN_SCENE(a_check_that_dies_is_a_check_that_fails),
		IN_SCENE(a_slot_that_cannot_be_read_condemns_nothing),
		IN_SCENE(a_manifest_that_was_damaged_here_condemns_nothing),
		IN_SCENE(a_system_that_the_bootloader_does_not_keep_is_left),
		IN_SCENE(an_environment_that_cannot_be_read_gives_nothing_up),
		IN_SCENE(slots_are_hashed_once_in_a_boot),
		IN_SCENE(without_a_server_a_network_update_is_inconclusive),
		IN_SCENE(ill_health_counts_for_more_than_a_missing_server),
		IN_SCENE(the_end_of_the_agent_decides_nothing),
		IN_SCENE(nobody_waits_for_a_server_past_the_deadline),
		IN_SCENE(rounds_come_less_often_and_not_after_the_deadline),
		IN_SCENE(no_wait_between_rounds_is_longer_than_one_for_a_stop),
		IN_SCENE(a_healthy_system_under_an_open_gate_is_confirmed),
		IN_SCENE(a_stop_takes_a_healthy_system_back_at_once),
		IN_SCENE(a_stop_comes_before_what_is_wrong_with_the_system),
		IN_SCENE(a_stop_is_asked_for_once_more_before_confirming),
		IN_SCENE(a_stop_ends_the_checks),
		IN_SCENE(metadata_that_is_not_fresh_condemns_nothing),
	};

	return cmocka_run_group_tests_name("trial", tests, NULL, NULL);
}
