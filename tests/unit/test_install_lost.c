/* Installing where the boot environment has the running side otherwise than running. */
#include "tests/unit/rig.h"

#include "agent/settle.h"

static const char ROOTFS[] = "[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\n";
enum { IMAGE_BYTES = 2 * CHUNK_BYTES };
static uint8_t image[IMAGE_BYTES];

/* A box whose bootloader came to side A in this boot, though the environment has these sides. */
static void
rig_lost(struct rig *r, void **state, struct boot_side a, struct boot_side b, enum side primary)
{
	struct boot_env env;
	struct err e = ERR_INIT;

	rig_make(r, *state, ROOTFS);
	rig_slot("a.img");
	rig_slot("b.img");
	rig_write_image(r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	env = rig_env(r);
	env.vars = (struct boot_vars){.primary = primary, .side = {a, b}};
	env.booted = SIDE_A;
	assert_int_equal(boot_env_save(r->c->boot_file, &env, &e), 0);
}

static void
assert_repaired(struct rig *r)
{
	struct boot_env env;
	struct err e = ERR_INIT;

	if (rig_install(r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	/* While the other side is written there is one to boot. */
	env = rig_env(r);
	assert_int_equal(env.vars.primary, SIDE_A);
	assert_true(env.vars.side[SIDE_A].confirmed);
	assert_false(env.vars.side[SIDE_B].bootable);
	assert_int_equal(install_activate(r->c, r->boot, r->s, &e), 0);
	env = rig_env(r);
	assert_int_equal(env.vars.primary, SIDE_B);
	assert_true(env.vars.side[SIDE_A].confirmed);
}

static const struct boot_side OFF = {0}, GOOD = {true, true, 0}, SPENT = {true, false, 0},
			      TRYING = {true, false, 2};

/* It was left in an earlier boot, for a side whose kernel is damaged: the bootloader comes back to
 * it again and again. */
static void
a_side_that_does_not_start_is_written_anew(void **state)
{
	CLEANUP(rig_free) struct rig r;

	rig_lost(&r, state, OFF, GOOD, SIDE_B);
	assert_repaired(&r);
}

static void
what_nothing_would_boot_is_adopted_and_the_other_written(void **state)
{
	static const struct boot_side *const pairs[][2] = {
		{&OFF, &OFF}, {&OFF, &SPENT}, {&SPENT, &OFF}, {&SPENT, &SPENT}};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		CLEANUP(rig_free) struct rig r;

		rig_lost(&r, state, *pairs[i][0], *pairs[i][1], SIDE_B);
		assert_repaired(&r);
		(void)unlink("x.ota");
	}
}

/* The other is what the next boot goes to. */
static void
the_only_side_that_boots_is_not_written_over(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_lost(&r, state, SPENT, GOOD, SIDE_A);
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "reboot first"));
	assert_true(rig_env(&r).vars.side[SIDE_B].confirmed);
}

/* The state of a new box, and a bootloader that tries what runs: whoever wrote it down did so
 * elsewhere. */
static void
a_trial_that_the_state_does_not_know_costs_nobody_the_old_side(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_lost(&r, state, TRYING, GOOD, SIDE_A);
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "reboot first"));
	assert_true(rig_env(&r).vars.side[SIDE_B].confirmed);
	/* It is in order, and only the bootloader's memory is not. */
	r.s->running[SIDE_A] = (struct release){true, "gateway", "1.9", 0, {{5}}, 1};
	if (rig_install(&r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
}

/* A trial that nobody remembers does not end the box's updates. */
static void
a_side_with_tries_left_is_no_reason_to_write_off_what_runs(void **state)
{
	CLEANUP(rig_free) struct rig r;

	rig_lost(&r, state, OFF, TRYING, SIDE_B);
	assert_repaired(&r);
}

/* A new system that was given up in an earlier boot, and runs again: the old one does not start. */
static void
rig_given_up(struct rig *r, void **state, struct boot_side b, const char *boot_id)
{
	struct boot_env env;
	struct err e = ERR_INIT;

	rig_lost(r, state, GOOD, b, SIDE_A);
	env = rig_env(r);
	env.booted = SIDE_B;
	assert_int_equal(boot_env_save(r->c->boot_file, &env, &e), 0);
	r->s->pending = (struct pending){.phase = PHASE_REVERTING,
		.target = SIDE_B,
		.release = {true, "gateway", "1.9", 0, {{5}}, 1}};
	(void)snprintf(r->s->pending.boot_id, sizeof(r->s->pending.boot_id), "%s", boot_id);
	assert_int_equal(state_save(r->c->state_dir, r->s, &e), 0);
}

/* Also where the bootloader counts what it starts though it was told not to. */
static void
assert_stranded(void **state, struct boot_side b, bool told)
{
	CLEANUP(rig_free) struct rig r;
	struct settlement now;
	struct err e = ERR_INIT;

	rig_given_up(&r, state, b, "earlier");
	r.s->pending.told = told;
	assert_int_equal(settle(r.c, r.boot, r.s, &now, &e), 0);
	assert_int_equal(now.what, SETTLED_STRANDED);
	assert_int_equal(r.s->ended.outcome, OUTCOME_FAILED);
	assert_non_null(strstr(r.s->ended.detail, "side A does not start"));
	assert_int_equal(r.s->pending.phase, PHASE_NONE);
	assert_true(state_is_stranded(r.s, SIDE_B));
	assert_false(state_is_stranded(r.s, SIDE_A));
	/* It knows that in later boots, too. */
	assert_int_equal(state_load(r.c->state_dir, r.s, &e), 0);
	/* The next update writes side A anew. */
	if (rig_install(&r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(r.s->pending.target, SIDE_A);
	assert_true(rig_env(&r).vars.side[SIDE_B].confirmed);
	(void)unlink("x.ota");
}

static void
a_box_that_cannot_go_back_does_not_reboot_for_ever(void **state)
{
	assert_stranded(state, OFF, false);
	assert_stranded(state, SPENT, true);
}

/* In the boot that gave it up, and where the power went before the bootloader was told. */
static void
a_box_that_has_not_tried_to_go_back_reboots(void **state)
{
	struct settlement now;
	struct err e = ERR_INIT;

	for (unsigned told = 0; told < 2; told++) {
		CLEANUP(rig_free) struct rig r;
		struct boot_env env;

		rig_given_up(&r, state, told ? OFF : SPENT, told ? "now" : "earlier");
		env = rig_env(&r);
		(void)snprintf(env.boot_id, sizeof(env.boot_id), "now");
		assert_int_equal(boot_env_save(r.c->boot_file, &env, &e), 0);
		for (unsigned starts = 0; starts < 2; starts++) {
			assert_int_equal(settle(r.c, r.boot, r.s, &now, &e), 0);
			assert_int_equal(now.what, SETTLED_GOING_BACK);
			assert_false(rig_env(&r).vars.side[SIDE_B].bootable);
		}
		(void)snprintf(env.boot_id, sizeof(env.boot_id), "next");
		env.vars = rig_env(&r).vars;
		assert_int_equal(boot_env_save(r.c->boot_file, &env, &e), 0);
		assert_int_equal(settle(r.c, r.boot, r.s, &now, &e), 0);
		assert_int_equal(now.what, SETTLED_STRANDED);
		(void)unlink("x.ota");
	}
}

static int
make_image(void **state)
{
	(void)state;
	noise(image, IMAGE_BYTES, 7);
	return 0;
}

int
main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_side_that_does_not_start_is_written_anew),
		IN_FOLDER(what_nothing_would_boot_is_adopted_and_the_other_written),
		IN_FOLDER(the_only_side_that_boots_is_not_written_over),
		IN_FOLDER(a_trial_that_the_state_does_not_know_costs_nobody_the_old_side),
		IN_FOLDER(a_side_with_tries_left_is_no_reason_to_write_off_what_runs),
		IN_FOLDER(a_box_that_cannot_go_back_does_not_reboot_for_ever),
		IN_FOLDER(a_box_that_has_not_tried_to_go_back_reboots),
	};

	return cmocka_run_group_tests(tests, make_image, NULL);
}
