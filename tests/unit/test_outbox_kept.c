#include "tests/unit/outbox_scene.h"

static void
events_and_dead_letters_are_bounded(void **state)
{
	AUTO_JSON json_t *fields = json_object();
	struct err e = ERR_INIT;
	char fact[16];

	(void)state;
	assert_int_equal(sql_begin(s, &e), 0);
	for (int i = 0; i < WEBHOOK_EVENTS_MAX + 10; i++) {
		const struct outbox_event x = {WEBHOOK_HELD, {fact, NULL}, fields, i};

		(void)snprintf(fact, sizeof(fact), "%d", i);
		assert_int_equal(outbox_put(s, &w, &x, &e), 0);
	}
	assert_int_equal(sql_end(s, 0, &e), 0);
	assert_int_equal(number("SELECT count(*) FROM event"), WEBHOOK_EVENTS_MAX);
	assert_int_equal(number("SELECT min(at_s) FROM event"), 10);
	assert_int_equal(number("SELECT count(*) FROM delivery"), WEBHOOK_EVENTS_MAX);
	w.webhooks.count = 0;
	assert_int_equal(outbox_bury(s, &w, &e), 0);
	assert_int_equal(census(CHAT).dead, WEBHOOK_DEAD_MAX);
	/* The newest are kept. */
	assert_int_equal(number("SELECT min(at_s) FROM event JOIN delivery ON delivery.event = "
				"event.id"),
		WEBHOOK_EVENTS_MAX + 10 - WEBHOOK_DEAD_MAX);
}

static void
run(const char *statement)
{
	struct err e = ERR_INIT;

	if (sql_run(s, statement, &e) < 0)
		fail_msg("%s", e.text);
}

/* A gate shows its stops for as long as they stand, and each look finds them again. */
static void
a_stop_is_told_once_whatever_is_told_after_it(void **state)
{
	(void)state;
	put(WEBHOOK_STOPPED, "first", 1);
	put(WEBHOOK_FINISHED, "first", 1);
	put(WEBHOOK_HELD, "first", 1);
	/* As if there had been so many between. */
	run("UPDATE event SET id = id + 1000");
	put(WEBHOOK_HELD, "second", 2);
	run("UPDATE event SET id = 1003 + 10000 WHERE at_s = 2");
	put(WEBHOOK_HELD, "third", 3);
	assert_int_equal(number("SELECT count(*) FROM event WHERE at_s = 1"), 2);
	put(WEBHOOK_STOPPED, "first", 4);
	put(WEBHOOK_FINISHED, "first", 4);
	assert_int_equal(number("SELECT count(*) FROM event WHERE at_s = 4"), 0);
	/* But not for ever. */
	run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
	    "INSERT INTO event SELECT i, 'older ' || i, 'stopped', 5, '{}' FROM n");
	put(WEBHOOK_HELD, "fourth", 6);
	assert_int_equal(number("SELECT count(*) FROM event"), 3 + WEBHOOK_LASTING_MAX);
	put(WEBHOOK_STOPPED, "first", 7);
	assert_int_equal(number("SELECT count(*) FROM event WHERE at_s = 7"), 0);
}

static void
what_a_clock_that_was_ahead_has_put_there_is_due_now(void **state)
{
	AUTO_OUTBOX_BATCH struct outbox_batch b = {0};

	(void)state;
	put(WEBHOOK_STOPPED, "one", 1000 + 366 * 86400);
	assert_true(is_due(1000));
	b = next(1000);
	assert_int_equal(b.count, 2);
	for (size_t i = 0; i < b.count; i++)
		assert_int_equal(settle(&b.list[i], 500, 3600, 1000), OUTBOX_AGAIN);
	assert_false(is_due(1001));
	assert_true(is_due(1000 + 3600));
}

/* And no letter lives for longer than three days by the clock as it is now. */
static void
what_a_clock_that_was_ahead_has_put_there_dies_in_its_time(void **state)
{
	AUTO_OUTBOX_BATCH struct outbox_batch b = {0};
	const int64_t late_s = 1000 + WEBHOOK_AGE_MAX_S;

	(void)state;
	w.webhooks.count = 1;
	put(WEBHOOK_HELD, "one", 1000 + 366 * 86400);
	put(WEBHOOK_HELD, "two", 1000 + 366 * 86400);
	b = next(1000);
	/* The receiver is down: the other one waits, too, and need not find out. */
	assert_int_equal(settle(&b.list[0], 0, 3600, 1000), OUTBOX_AGAIN);
	assert_false(is_due(1001));
	outbox_batch_free(&b);
	b = next(late_s);
	assert_int_equal(b.count, 2);
	assert_int_equal(settle(&b.list[0], 0, 0, late_s), OUTBOX_DEAD);
	assert_int_equal(census(CHAT).dead, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_a_clock_that_was_ahead_has_put_there_is_due_now, begin, end),
		cmocka_unit_test_setup_teardown(
			what_a_clock_that_was_ahead_has_put_there_dies_in_its_time, begin, end),
		cmocka_unit_test_setup_teardown(events_and_dead_letters_are_bounded, begin, end),
		cmocka_unit_test_setup_teardown(
			a_stop_is_told_once_whatever_is_told_after_it, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
