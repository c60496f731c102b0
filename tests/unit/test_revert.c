/* Giving an update up, and going back by hand. */
#include "tests/unit/rig.h"

#include "agent/revert.h"

static const char ROOTFS[] = "[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\n";

/* Side A runs, and side B holds 1.9; both were confirmed. */
static void
rig_two(struct rig *r, const char *folder)
{
	rig_make(r, folder, ROOTFS);
	r->s->running[SIDE_A] = (struct release){true, "gateway", "2.0", 5, {{2}}, 1};
	r->s->running[SIDE_B] = (struct release){true, "gateway", "1.9", 5, {{1}}, 1};
	r->s->rollback_floor = 5;
}

static void
assert_stays(struct rig *r, const char *word)
{
	struct err e = ERR_INIT;

	assert_int_equal(revert_confirmed(r->c, r->boot, r->s, false, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	if (!strstr(e.text, word))
		fail_msg("wanted %s in: %s", word, e.text);
	assert_int_equal(rig_env(r).vars.primary, SIDE_A);
	assert_true(rig_env(r).vars.side[SIDE_A].bootable);
	assert_int_equal(r->s->failed_count, 0);
}

static void
by_hand_a_box_goes_back_only_to_what_was_confirmed(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct boot_env env;
	struct err e = ERR_INIT;

	rig_two(&r, *state);
	env = rig_env(&r);
	env.vars.side[SIDE_B].bootable = false;
	assert_int_equal(boot_env_save(r.c->boot_file, &env, &e), 0);
	assert_stays(&r, "nothing that was confirmed");
	env.vars.side[SIDE_B].bootable = true;
	env.vars.side[SIDE_B].confirmed = false;
	env.vars.side[SIDE_B].tries_left = 1;
	assert_int_equal(boot_env_save(r.c->boot_file, &env, &e), 0);
	assert_stays(&r, "nothing that was confirmed");
	env.vars.side[SIDE_B].confirmed = true;
	env.vars.side[SIDE_B].tries_left = 0;
	assert_int_equal(boot_env_save(r.c->boot_file, &env, &e), 0);
	r.s->rollback_floor = 6;
	assert_stays(&r, "rollback index 5");
	r.s->rollback_floor = 5;
	if (revert_confirmed(r.c, r.boot, r.s, false, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(rig_env(&r).vars.primary, SIDE_B);
}

static void
by_hand_nothing_goes_back_while_an_update_is_under_way(void **state)
{
	static const enum phase phases[] = {PHASE_INSTALLING, PHASE_ACTIVATED, PHASE_REVERTING};
	CLEANUP(rig_free) struct rig r;

	rig_two(&r, *state);
	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		r.s->pending.phase = phases[i];
		assert_stays(&r, "under way");
	}
}

static void
what_is_not_activated_is_not_given_up(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_two(&r, *state);
	for (int i = 0; i < 2; i++) {
		r.s->pending.phase = i == 0 ? PHASE_NONE : PHASE_INSTALLING;
		assert_int_equal(revert_begin(r.c, r.boot, r.s, REVERT_CONDEMN, "no", &e), -1);
		assert_int_equal(e.class, ERR_REFUSED);
		assert_int_equal(r.s->failed_count, 0);
	}
}

/* With only the switch done nobody would know why. */
static struct state *seen;

static int
look_and_go_back(const struct boot_backend *b, const struct conf *c, enum side s, struct err *e)
{
	assert_int_equal(state_load(c->state_dir, seen, e), 0);
	return boot_simulated.go_back(b, c, s, e);
}

static void
what_is_given_up_is_remembered_before_the_switch(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct boot_backend watched = boot_simulated;
	struct digest manifest = {{9}};
	struct err e = ERR_INIT;

	rig_two(&r, *state);
	seen = calloc(1, sizeof(*seen));
	assert_non_null(seen);
	watched.go_back = look_and_go_back;
	r.s->pending = (struct pending){.phase = PHASE_ACTIVATED,
		.target = SIDE_B,
		.release = {true, "gateway", "2.1", 5, manifest, 1}};
	assert_int_equal(revert_begin(r.c, &watched, r.s, REVERT_CONDEMN, "ill", &e), 0);
	assert_int_equal(seen->pending.phase, PHASE_REVERTING);
	assert_non_null(state_failed(seen, &manifest));
	free(seen);
}

static void
what_is_rolled_back_by_hand_is_remembered_before_the_switch(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct boot_backend watched = boot_simulated;
	struct err e = ERR_INIT;

	rig_two(&r, *state);
	seen = calloc(1, sizeof(*seen));
	assert_non_null(seen);
	watched.go_back = look_and_go_back;
	assert_int_equal(revert_confirmed(r.c, &watched, r.s, false, &e), 0);
	assert_non_null(state_failed(seen, &r.s->running[SIDE_A].manifest));
	free(seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)
		IN_FOLDER(by_hand_a_box_goes_back_only_to_what_was_confirmed),
		IN_FOLDER(by_hand_nothing_goes_back_while_an_update_is_under_way),
		IN_FOLDER(what_is_not_activated_is_not_given_up),
		IN_FOLDER(what_is_given_up_is_remembered_before_the_switch),
		IN_FOLDER(what_is_rolled_back_by_hand_is_remembered_before_the_switch),
	};

	return cmocka_run_group_tests_name("revert", tests, NULL, NULL);
}
