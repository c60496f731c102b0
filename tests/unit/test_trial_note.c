#include "tests/unit/trial_scene.h"

#include "agent/trial_note.h"

static const char NOTE[] = "run/sluice/trial";

static void
note_ask(struct scene *x)
{
	x->rig.c->boot_trial_note = strdup(NOTE);
	assert_non_null(x->rig.c->boot_trial_note);
}

static void
assert_noted(const char *path, const char *wanted)
{
	AUTO_BUF struct buf text = BUF_INIT(TRIAL_NOTE_SIZE);
	struct err e;

	if (file_read(path, &text, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(buf_str(&text), wanted);
}

static void
it_says_until_when_the_trial_may_last_and_then_that_it_is_over(void **state)
{
	struct scene *x = *state;
	struct box *b = &x->rig.box;
	struct trial_note n = {0};
	struct err e;

	note_ask(x);
	x->rig.s->pending.first_seen_boot_ms = 5999;
	x->rig.s->pending.deadline_s = 100;
	trial_note_write(&n, b);
	assert_noted(NOTE, "until 105\n");
	/* A plan that says nothing leaves it to agent.conf. */
	x->rig.s->pending.deadline_s = 0;
	trial_note_write(&n, b);
	assert_noted(NOTE, "until 905\n");
	assert_int_equal(b->boot->confirm(b->boot, &b->conf, SIDE_B, &e), 0);
	trial_note_write(&n, b);
	assert_noted(NOTE, "over\n");
	assert_false(n.failed);
	/* So it is until the next boot, whatever is activated meanwhile, and whoever is asked. */
	assert_int_equal(b->boot->activate(b->boot, &b->conf, SIDE_A, 3, &e), 0);
	trial_note_write(&n, b);
	assert_noted(NOTE, "over\n");
	trial_note_write(&(struct trial_note){0}, b);
	assert_noted(NOTE, "over\n");
}

static void
it_says_nothing_of_what_is_not_sure(void **state)
{
	struct scene *x = *state;
	struct box *b = &x->rig.box;
	struct trial_note n = {0};

	note_ask(x);
	x->rig.s->pending.first_seen_boot_ms = 0;
	trial_note_write(&n, b);
	*x->rig.s = (struct state){.next_seq = 1};
	trial_note_write(&n, b);
	assert_false(n.failed);
	rig_file("boot", "");
	trial_note_write(&n, b);
	assert_true(n.failed);
	assert_false(file_exists(NOTE));
}

/* It would only come here again, and again. */
static void
what_has_nothing_to_go_back_to_is_left_alone(void **state)
{
	struct scene *x = *state;
	struct box *b = &x->rig.box;
	struct boot_env env = rig_env(&x->rig);
	struct err e = ERR_INIT;

	note_ask(x);
	*x->rig.s = (struct state){.next_seq = 1};
	x->rig.s->pending.told = true;
	x->rig.s->pending.target = SIDE_A;
	trial_note_write(&(struct trial_note){0}, b);
	assert_false(file_exists(NOTE));
	x->rig.s->pending.target = SIDE_B;
	trial_note_write(&(struct trial_note){0}, b);
	assert_noted(NOTE, "over\n");
	assert_int_equal(unlink(NOTE), 0);
	x->rig.s->pending.told = false;
	env.vars.side[SIDE_A] = (struct boot_side){0};
	assert_int_equal(boot_env_save(b->conf.boot_file, &env, &e), 0);
	trial_note_write(&(struct trial_note){0}, b);
	assert_noted(NOTE, "over\n");
}

/* The first round may take longer than sluice-trial waits for a note. */
static void
it_is_there_before_the_first_checks(void **state)
{
	struct scene *x = *state;

	note_ask(x);
	x->rig.s->pending.first_seen_boot_ms = 1000;
	x->rig.s->pending.deadline_s = 1000000;
	rig_file("health.d/10-look", "#!/bin/sh\ncp run/sluice/trial seen\n");
	assert_round(x, TRIAL_CONFIRMED, "");
	assert_noted("seen", "until 1000001\n");
}

static void
where_no_bootloader_counts_there_is_none(void **state)
{
	struct scene *x = *state;
	struct trial_note n = {0};

	trial_note_write(&n, &x->rig.box);
	note_ask(x);
	x->rig.box.boot = &boot_links;
	trial_note_write(&n, &x->rig.box);
	assert_string_equal(n.said, "");
	assert_false(n.failed);
	assert_false(file_exists(NOTE));
}

/* Another machine's disk: this one's guard is told nothing. */
static void
of_another_machine_there_is_none_unless_said(void **state)
{
	struct scene *x = *state;
	struct boot_backend real = boot_simulated;
	struct trial_note n = {0};

	x->rig.s->pending.first_seen_boot_ms = 1000;
	x->rig.s->pending.deadline_s = 1;
	x->rig.box.boot = &real;
	x->rig.c->boot_cmdline = strdup("cmdline");
	assert_non_null(x->rig.c->boot_cmdline);
	trial_note_write(&n, &x->rig.box);
	assert_string_equal(n.said, "");
	assert_false(n.failed);
	note_ask(x);
	trial_note_write(&n, &x->rig.box);
	assert_noted(NOTE, "until 2\n");
}

static void
one_that_cannot_be_written_is_written_as_soon_as_it_can(void **state)
{
	struct scene *x = *state;
	struct trial_note n = {0};

	note_ask(x);
	x->rig.s->pending.first_seen_boot_ms = 1000;
	x->rig.s->pending.deadline_s = 1;
	rig_file("run", "");
	trial_note_write(&n, &x->rig.box);
	assert_true(n.failed);
	assert_int_equal(unlink("run"), 0);
	trial_note_write(&n, &x->rig.box);
	assert_noted(NOTE, "until 2\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(it_says_until_when_the_trial_may_last_and_then_that_it_is_over),
		IN_SCENE(it_says_nothing_of_what_is_not_sure),
		IN_SCENE(what_has_nothing_to_go_back_to_is_left_alone),
		IN_SCENE(it_is_there_before_the_first_checks),
		IN_SCENE(where_no_bootloader_counts_there_is_none),
		IN_SCENE(of_another_machine_there_is_none_unless_said),
		IN_SCENE(one_that_cannot_be_written_is_written_as_soon_as_it_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
