/* The box as a whole: how it is told to reboot, and who may change it. */
#include "tests/unit/rig.h"

static enum err_class
reboot_by(struct rig *r, const char *command)
{
	struct err e = ERR_INIT;

	free(r->c->reboot);
	r->c->reboot = command ? strdup(command) : NULL;
	return box_reboot(&r->box, &e) < 0 ? e.class : ERR_NONE;
}

static void
a_reboot_that_fails_is_no_reboot(void **state)
{
	CLEANUP(rig_free) struct rig r;

	rig_make(&r, *state, "[slot rootfs]\ntype = file\na = @/a\nb = @/b\n");
	assert_int_equal(reboot_by(&r, "/usr/bin/touch  a \tb"), ERR_NONE);
	assert_int_equal(access("a", F_OK), 0);
	assert_int_equal(access("b", F_OK), 0);
	assert_int_equal(reboot_by(&r, "/bin/false"), ERR_SYSTEM);
	assert_int_equal(reboot_by(&r, NULL), ERR_REFUSED);
	assert_int_equal(reboot_by(&r, " \t"), ERR_USAGE);
	assert_int_equal(
		reboot_by(&r, "/usr/bin/touch 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"), ERR_USAGE);
	assert_int_equal(access("15", F_OK), -1);
}

/* What another process has saved meanwhile counts. */
static void
who_has_the_lock_knows_the_newest_state(void **state)
{
	CLEANUP(rig_free) struct rig r;
	AUTO_BOX struct box other = BOX_INIT;
	struct err e = ERR_INIT;

	rig_make(&r, *state, "[slot rootfs]\ntype = file\na = @/a\nb = @/b\n");
	assert_int_equal(box_open("agent.conf", &other, &e), 0);
	assert_int_equal(box_lock(&r.box, &e), 0);
	assert_int_equal(box_lock(&other, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	r.s->rollback_floor = 7;
	assert_int_equal(state_save(r.c->state_dir, r.s, &e), 0);
	box_unlock(&r.box);
	assert_int_equal(box_lock(&other, &e), 0);
	assert_int_equal(other.state->rollback_floor, 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)
		IN_FOLDER(a_reboot_that_fails_is_no_reboot),
		IN_FOLDER(who_has_the_lock_knows_the_newest_state),
	};

	return cmocka_run_group_tests_name("box", tests, NULL, NULL);
}
