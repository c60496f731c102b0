#include "tests/unit/trial_scene.h"

#include "agent/rescue.h"

static char reboot_line[] = "/usr/bin/touch rebooted", no_program[] = "/no/such/program";

static bool
was_rebooted(void)
{
	bool was = file_exists("rebooted");

	(void)unlink("rebooted");
	return was;
}

/* Out of patience at once. */
static void
hurry(struct scene *x, char *reboot)
{
	x->rig.s->pending.deadline_s = x->rig.box.conf.confirm_deadline_s = 0;
	free(x->rig.box.conf.reboot);
	x->rig.box.conf.reboot = strdup(reboot);
	assert_non_null(x->rig.box.conf.reboot);
}

static void
a_new_system_on_which_nothing_can_be_done_is_started_anew(void **state)
{
	struct scene *x = *state;
	struct watchdog w = WATCHDOG_INIT;
	struct rescue r = {0};

	hurry(x, reboot_line);
	assert_int_equal(rescue_step(&r, &x->rig.box, &w, INT64_MAX), TRIAL_WAIT_MAX_MS);
	assert_true(was_rebooted());
	/* Also where it is going back already. */
	x->rig.s->pending.phase = PHASE_REVERTING;
	assert_int_equal(rescue_step(&r, &x->rig.box, &w, 7), 7);
	assert_true(was_rebooted());
}

static void
it_has_as_long_as_a_trial(void **state)
{
	struct scene *x = *state;
	struct watchdog w = WATCHDOG_INIT;
	struct rescue r = {0};

	hurry(x, reboot_line);
	x->rig.s->pending.deadline_s = 100;
	(void)rescue_step(&r, &x->rig.box, &w, 0);
	r.since_ms -= 90 * 1000;
	(void)rescue_step(&r, &x->rig.box, &w, 0);
	assert_false(was_rebooted());
	/* One step that could be taken, and it counts anew. */
	rescue_rest(&r);
	(void)rescue_step(&r, &x->rig.box, &w, 0);
	r.since_ms -= 90 * 1000;
	(void)rescue_step(&r, &x->rig.box, &w, 0);
	assert_false(was_rebooted());
	r.since_ms -= 10 * 1000;
	(void)rescue_step(&r, &x->rig.box, &w, 0);
	assert_true(was_rebooted());
	(void)rescue_step(&r, &x->rig.box, &w, 0);
	assert_false(was_rebooted());
}

static void
a_system_that_no_bootloader_would_leave_is_left_alone(void **state)
{
	struct scene *x = *state;
	struct watchdog w = WATCHDOG_INIT;
	struct rescue r = {.since_ms = 1};
	struct err e;

	hurry(x, reboot_line);
	x->rig.s->pending.tree_only = true;
	assert_int_equal(rescue_step(&r, &x->rig.box, &w, INT64_MAX), INT64_MAX);
	x->rig.s->pending.tree_only = false;
	x->rig.s->pending.target = SIDE_A;
	assert_int_equal(rescue_step(&r, &x->rig.box, &w, INT64_MAX), INT64_MAX);
	x->rig.s->pending.target = SIDE_B;
	assert_int_equal(x->rig.boot->confirm(x->rig.boot, x->rig.c, SIDE_B, &e), 0);
	assert_int_equal(rescue_step(&r, &x->rig.box, &w, INT64_MAX), INT64_MAX);
	assert_false(was_rebooted());
	assert_int_equal(r.since_ms, 0);
}

/* What holds the state is not there on the new system. */
static void
a_trial_that_the_state_does_not_know_is_left(void **state)
{
	struct scene *x = *state;
	struct box *b = &x->rig.box;
	struct watchdog w = WATCHDOG_INIT;
	struct rescue r = {0};
	struct err e;

	hurry(x, reboot_line);
	*x->rig.s = (struct state){.next_seq = 1};
	assert_true(trial_is_on(b));
	(void)rescue_step(&r, b, &w, 0);
	assert_true(was_rebooted());
	/* One that was left, and started again all the same, is known. */
	x->rig.s->pending = (struct pending){.told = true, .target = SIDE_B};
	assert_false(trial_is_on(b));
	(void)rescue_step(&r, b, &w, 0);
	assert_false(was_rebooted());
	x->rig.s->pending.told = false;
	/* A state that has seen a release is the right one. */
	x->rig.s->running[SIDE_A].known = true;
	assert_false(trial_is_on(b));
	(void)rescue_step(&r, b, &w, 0);
	x->rig.s->running[SIDE_A].known = false;
	/* As a box leaves the factory. */
	assert_int_equal(b->boot->confirm(b->boot, &b->conf, SIDE_B, &e), 0);
	assert_false(trial_is_on(b));
	(void)rescue_step(&r, b, &w, 0);
	assert_false(was_rebooted());
}

static void
where_there_is_nothing_to_go_back_to_it_stays(void **state)
{
	struct scene *x = *state;
	struct box *b = &x->rig.box;
	struct boot_env env = rig_env(&x->rig);
	struct watchdog w = WATCHDOG_INIT;
	struct rescue r = {0};
	struct err e;

	*x->rig.s = (struct state){.next_seq = 1};
	env.vars.side[SIDE_A] = (struct boot_side){0};
	assert_int_equal(boot_env_save(b->conf.boot_file, &env, &e), 0);
	assert_false(trial_is_forgotten(b));
	/* Nor where the state knows of the trial. */
	x->rig.s->pending = (struct pending){.phase = PHASE_ACTIVATED, .target = SIDE_B};
	hurry(x, reboot_line);
	assert_true(trial_is_on(b));
	assert_int_equal(rescue_step(&r, b, &w, INT64_MAX), INT64_MAX);
	assert_false(was_rebooted());
}

/* What it was told cannot be saved, so that settle() does not know. */
static void
one_that_was_told_to_go_back_and_came_here_again_stays(void **state)
{
	struct scene *x = *state;
	struct box *b = &x->rig.box;
	struct pending *p = &x->rig.s->pending;
	struct watchdog w = WATCHDOG_INIT;
	struct rescue r = {0};
	struct err e;

	hurry(x, reboot_line);
	assert_int_equal(b->boot->go_back(b->boot, &b->conf, SIDE_A, &e), 0);
	/* Told in this boot: the start that does it is still to come. */
	p->phase = PHASE_REVERTING;
	(void)snprintf(p->boot_id, sizeof(p->boot_id), "boot-1");
	(void)rescue_step(&r, b, &w, 0);
	assert_true(was_rebooted());
	for (p->phase = PHASE_ACTIVATED; p->phase <= PHASE_REVERTING; p->phase++) {
		(void)snprintf(p->boot_id, sizeof(p->boot_id), "boot-0");
		assert_true(trial_is_on(b));
		assert_int_equal(rescue_step(&r, b, &w, INT64_MAX), INT64_MAX);
	}
	assert_false(was_rebooted());
	/* One that the bootloader counts as a try again. */
	p->phase = PHASE_REVERTING;
	assert_int_equal(b->boot->activate(b->boot, &b->conf, SIDE_B, 1, &e), 0);
	p->told = true;
	assert_int_equal(rescue_step(&r, b, &w, INT64_MAX), INT64_MAX);
	assert_false(was_rebooted());
	p->told = false;
	(void)rescue_step(&r, b, &w, 0);
	assert_true(was_rebooted());
}

static void
where_it_cannot_be_started_anew_the_watchdog_does_it(void **state)
{
	struct scene *x = *state;
	struct watchdog w = {.fd = 0, .device = "watchdog0", .on_trial = true};
	struct rescue r = {0};

	hurry(x, no_program);
	(void)rescue_step(&r, &x->rig.box, &w, 0);
	assert_true(w.let_go);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(a_new_system_on_which_nothing_can_be_done_is_started_anew),
		IN_SCENE(it_has_as_long_as_a_trial),
		IN_SCENE(a_system_that_no_bootloader_would_leave_is_left_alone),
		IN_SCENE(a_trial_that_the_state_does_not_know_is_left),
		IN_SCENE(where_there_is_nothing_to_go_back_to_it_stays),
		IN_SCENE(one_that_was_told_to_go_back_and_came_here_again_stays),
		IN_SCENE(where_it_cannot_be_started_anew_the_watchdog_does_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
