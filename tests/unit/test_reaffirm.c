#include "tests/unit/trial_scene.h"

#include "agent/confirm.h"
#include "agent/reaffirm.h"

/* Confirmed, and then the bootloader has side B otherwise. */
static void
forget(struct scene *x, struct boot_side now)
{
	struct boot_env env;
	struct err e = ERR_INIT;

	if (confirm_commit(x->rig.c, x->rig.boot, x->rig.s, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(reaffirm_check(&x->rig.box, &e), 0);
	env = rig_env(&x->rig);
	env.vars.side[SIDE_B] = now;
	env.vars.primary = SIDE_A;
	assert_int_equal(boot_env_save(x->rig.c->boot_file, &env, &e), 0);
}

static bool
is_confirmed(struct scene *x)
{
	struct boot_env env = rig_env(&x->rig);

	return env.vars.side[SIDE_B].confirmed && env.vars.primary == SIDE_B;
}

static const struct boot_side TRIAL = {.bootable = true, .tries_left = 2};

static void
a_side_that_was_confirmed_and_forgotten_is_confirmed_again(void **state)
{
	struct scene *x = *state;
	struct err e = ERR_INIT;

	forget(x, TRIAL);
	assert_int_equal(reaffirm_check(&x->rig.box, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_non_null(strstr(e.text, "side B runs and was confirmed"));
	reaffirm(&x->rig.box);
	assert_true(is_confirmed(x));
	assert_int_equal(reaffirm_check(&x->rig.box, &e), 0);
}

static unsigned mended;

static int
mend(const struct conf *c, struct err *e)
{
	(void)c;
	mended++;
	return err_set(e, ERR_SYSTEM, "worn out");
}

/* And where it cannot be, what was forgotten is confirmed all the same. */
static void
what_is_lost_is_mended_first(void **state)
{
	struct scene *x = *state;
	struct boot_backend worn = *x->rig.boot;

	worn.mend = mend;
	x->rig.box.boot = &worn;
	forget(x, TRIAL);
	reaffirm(&x->rig.box);
	assert_int_equal(mended, 1);
	assert_true(is_confirmed(x));
}

static void
a_trial_is_not_confirmed_by_it(void **state)
{
	struct scene *x = *state;
	struct err e = ERR_INIT;

	assert_int_equal(reaffirm_check(&x->rig.box, &e), 0);
	reaffirm(&x->rig.box);
	assert_false(is_confirmed(x));
	/* Nor where the side says something of an earlier release. */
	x->rig.s->running[SIDE_B] = x->rig.s->pending.release;
	reaffirm(&x->rig.box);
	assert_false(is_confirmed(x));
}

static void
what_a_person_rolled_back_is_not_confirmed_again(void **state)
{
	struct scene *x = *state;
	struct err e = ERR_INIT;

	if (confirm_commit(x->rig.c, x->rig.boot, x->rig.s, &e) < 0 ||
		revert_confirmed(x->rig.c, x->rig.boot, x->rig.s, false, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(reaffirm_check(&x->rig.box, &e), 0);
	reaffirm(&x->rig.box);
	assert_false(is_confirmed(x));
}

/* EFI's running side looks as if on trial then. */
static void
nor_where_the_bootloader_says_trial_of_it(void **state)
{
	struct scene *x = *state;
	struct failed f = {.tries = 1};
	struct err e = ERR_INIT;

	forget(x, TRIAL);
	f.manifest = x->rig.s->running[SIDE_B].manifest;
	state_remember_failed(x->rig.s, &f);
	assert_int_equal(reaffirm_check(&x->rig.box, &e), 0);
	reaffirm(&x->rig.box);
	assert_false(is_confirmed(x));
}

static void
a_side_that_is_off_or_not_known_stays_as_it_is(void **state)
{
	struct scene *x = *state;

	forget(x, (struct boot_side){0});
	reaffirm(&x->rig.box);
	assert_false(is_confirmed(x));
}

static void
a_side_that_this_agent_did_not_install_stays_as_it_is(void **state)
{
	struct scene *x = *state;

	forget(x, TRIAL);
	x->rig.s->running[SIDE_B].known = false;
	reaffirm(&x->rig.box);
	assert_false(is_confirmed(x));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(a_side_that_was_confirmed_and_forgotten_is_confirmed_again),
		IN_SCENE(what_is_lost_is_mended_first),
		IN_SCENE(a_trial_is_not_confirmed_by_it),
		IN_SCENE(what_a_person_rolled_back_is_not_confirmed_again),
		IN_SCENE(nor_where_the_bootloader_says_trial_of_it),
		IN_SCENE(a_side_that_is_off_or_not_known_stays_as_it_is),
		IN_SCENE(a_side_that_this_agent_did_not_install_stays_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
