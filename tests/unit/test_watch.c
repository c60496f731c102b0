#include "tests/unit/ledger_scene.h"

#include <errno.h>

#include "signer/metadata.h"
#include "signer/watching.h"

/* A watch without keys and plans, which is told to end when reports wait. */
static struct watch w;
static bool ends;

static int
ask(void *arg, struct err *e)
{
	(void)arg;
	return ends ? err_set(e, ERR_STOPPED, "the watch ends") : 0;
}

static void
tell(void *arg, const struct watch_event *x)
{
	(void)arg;
	fail_msg("%s: %s", x->what, x->text);
}

static const struct keep_going keep_going = {.ask = ask};

static void
who_ends_before_all_reports_are_read_opens_no_wave(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 1, BOX_STARTING, OUTCOME_NONE);

	w = (struct watch){.workspace = &x->w,
		.settings = {.tell = tell, .keep_going = &keep_going},
		.fleet = x->f,
		.ingest = x->i};
	ledger_scene_add(x, "gw-1");
	ledger_scene_put(x, &r);
	ends = true;
	assert_int_equal(watch_look(&w, false), 0);
	assert_true(w.behind);
	assert_int_equal(w.taken, 0);
	ends = false;
	assert_int_equal(watch_look(&w, false), 0);
	assert_false(w.behind);
	assert_int_equal(w.taken, 1);
}

/* A signing program that cannot be started, for one. */
static void
only_who_was_overtaken_keeps_quiet(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)err_sys(&e, EAGAIN, "starting a program that signs");
	assert_false(metadata_was_overtaken(&e));
	e = ERR_INIT;
	(void)err_set(&e, ERR_REFUSED, "somebody else has just signed");
	assert_false(metadata_was_overtaken(&e));
	e.errnum = EAGAIN;
	assert_true(metadata_was_overtaken(&e));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_ends_before_all_reports_are_read_opens_no_wave,
			ledger_scene_set, ledger_scene_clear),
		cmocka_unit_test(only_who_was_overtaken_keeps_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
