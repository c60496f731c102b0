#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/net/manner.h"

enum { OK = 200, MISSING = 404, REFUSED = 400, NONE = 0, NOW_MS = 7000, HOUR_MS = 3600 * 1000 };

/* How often it is asked by a server that takes it so or so. */
static unsigned
ask(struct manner *m, bool is_report, long shown, long resumed, long bare, int64_t now_ms)
{
	struct asking a = manner_ask(m, is_report, now_ms);
	unsigned times = 0;
	long status;

	for (;;) {
		times++;
		assert_in_range(times, 1, 4);
		status = a.is_bare ? bare : a.resumes ? resumed : shown;
		if (!manner_may_repeat(m, &a, status, now_ms))
			break;
		manner_repeat(m, &a, status);
	}
	manner_learn(m, &a, status, now_ms);
	return times;
}

static void
a_certificate_that_is_taken_is_shown_and_costs_nothing(void **state)
{
	struct manner m = {.has_cert = true};

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(&m, false, OK, OK, OK, NOW_MS), 1);
		assert_int_equal(ask(&m, false, MISSING, MISSING, OK, NOW_MS), 1);
		assert_int_equal(ask(&m, true, OK, OK, OK, NOW_MS), 1);
	}
	assert_false(manner_ask(&m, false, NOW_MS).is_bare);
	assert_true(manner_ask(&m, false, NOW_MS).resumes);
}

static void
a_session_that_is_not_resumed_is_made_anew_with_the_certificate(void **state)
{
	struct manner m = {.has_cert = true};

	(void)state;
	assert_int_equal(ask(&m, false, OK, REFUSED, OK, NOW_MS), 2);
	assert_false(manner_ask(&m, false, NOW_MS).is_bare);
	assert_int_equal(ask(&m, false, OK, REFUSED, OK, NOW_MS), 1);
	m = (struct manner){.has_cert = true};
	assert_int_equal(ask(&m, true, OK, REFUSED, OK, NOW_MS), 2);
}

static void
a_certificate_that_is_refused_is_left_out_for_a_while(void **state)
{
	struct manner m = {.has_cert = true};

	(void)state;
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, OK, NOW_MS), 3);
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, OK, NOW_MS), 1);
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, MISSING, NOW_MS), 1);
	/* It is tried again: without success, and with. */
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, OK, NOW_MS + HOUR_MS), 2);
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, OK, NOW_MS + HOUR_MS), 1);
	assert_int_equal(ask(&m, false, OK, OK, OK, NOW_MS + 2 * HOUR_MS), 1);
	assert_false(manner_ask(&m, false, NOW_MS + 2 * HOUR_MS).is_bare);
}

static void
reports_always_show_it(void **state)
{
	struct manner m = {.has_cert = true};

	(void)state;
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, OK, NOW_MS), 3);
	assert_false(manner_ask(&m, true, NOW_MS).is_bare);
	assert_int_equal(ask(&m, true, REFUSED, REFUSED, OK, NOW_MS), 1);
	m = (struct manner){.has_cert = true};
	assert_int_equal(ask(&m, true, REFUSED, REFUSED, OK, NOW_MS), 2);
}

static void
where_neither_way_gets_through_one_is_tried(void **state)
{
	struct manner m = {.has_cert = true};

	(void)state;
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, REFUSED, NOW_MS), 3);
	assert_false(manner_ask(&m, false, NOW_MS).is_bare);
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, REFUSED, NOW_MS), 1);
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, OK, NOW_MS + HOUR_MS), 2);
	assert_true(manner_ask(&m, false, NOW_MS + HOUR_MS).is_bare);
}

static void
a_server_that_demands_it_now_is_shown_it_at_once(void **state)
{
	struct manner m = {.has_cert = true};

	(void)state;
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, OK, NOW_MS), 3);
	assert_int_equal(ask(&m, false, OK, OK, REFUSED, NOW_MS), 2);
	assert_int_equal(ask(&m, false, OK, OK, REFUSED, NOW_MS), 1);
}

static void
a_server_that_has_nothing_for_strangers_is_shown_it_again(void **state)
{
	struct manner m = {.has_cert = true};

	(void)state;
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, 403, NOW_MS), 3);
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, 401, NOW_MS), 2);
	assert_int_equal(ask(&m, false, OK, OK, 403, NOW_MS), 1);
	/* Where it has something, one that it has not changes nothing. */
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, OK, NOW_MS), 2);
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, 403, NOW_MS), 1);
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, OK, NOW_MS), 1);
}

static void
who_has_none_is_asked_once(void **state)
{
	struct manner m = {0};

	(void)state;
	assert_int_equal(ask(&m, false, REFUSED, REFUSED, REFUSED, NOW_MS), 1);
	assert_true(manner_ask(&m, false, NOW_MS).resumes);
	assert_int_equal(ask(&m, false, OK, OK, OK, NOW_MS), 1);
}

static void
an_alert_is_a_refusal_and_a_line_that_is_cut_is_none(void **state)
{
	struct manner m = {.has_cert = true};
	struct asking a = manner_ask(&m, false, NOW_MS);

	(void)state;
	assert_false(manner_may_repeat(&m, &a, NONE, NOW_MS));
	m.refusals.all++;
	assert_false(manner_may_repeat(&m, &a, OK, NOW_MS));
	assert_true(manner_may_repeat(&m, &a, NONE, NOW_MS));
	manner_repeat(&m, &a, NONE);
	assert_true(a.is_bare);
	assert_false(manner_may_repeat(&m, &a, NONE, NOW_MS));
	/* The line is cut then: nothing is known. */
	manner_learn(&m, &a, NONE, NOW_MS);
	assert_false(manner_ask(&m, false, NOW_MS).is_bare);
	a = manner_ask(&m, false, NOW_MS);
	m.refusals.all++;
	assert_true(manner_may_repeat(&m, &a, NONE, NOW_MS));
}

static void
a_line_that_is_cut_after_the_handshake_may_be_an_alert_that_was_lost(void **state)
{
	struct manner m = {.has_cert = true};
	struct asking a = manner_ask(&m, false, NOW_MS);

	(void)state;
	for (int i = 0; i < 2; i++) {
		a.was_cut = true;
		assert_true(manner_may_repeat(&m, &a, NONE, NOW_MS));
		manner_repeat(&m, &a, NONE);
		assert_int_equal(a.is_bare, i == 1);
	}
	assert_false(m.unresumed);
	a.was_cut = true;
	assert_false(manner_may_repeat(&m, &a, NONE, NOW_MS));
	manner_learn(&m, &a, NONE, NOW_MS);
	a = manner_ask(&m, false, NOW_MS);
	a.was_cut = true;
	assert_false(manner_may_repeat(&m, &a, NONE, NOW_MS));
	a = manner_ask(&m, true, NOW_MS + HOUR_MS);
	a.was_cut = true;
	assert_false(manner_may_repeat(&m, &a, NONE, NOW_MS + HOUR_MS));
}

static void
only_what_is_certain_is_held_against_the_certificate(void **state)
{
	struct manner m = {.has_cert = true};
	struct asking a = manner_ask(&m, false, NOW_MS), report = manner_ask(&m, true, NOW_MS);

	(void)state;
	assert_true(manner_blames(&m, &a, REFUSED));
	assert_false(manner_blames(&m, &a, OK) || manner_blames(&m, &a, 403));
	/* A server hangs up, or a handshake fails: it is asked without, and that is all. */
	report.was_cut = true;
	assert_false(manner_blames(&m, &report, NONE));
	m.refusals.all++;
	assert_false(manner_blames(&m, &report, NONE));
	assert_true(manner_is_refusal(&m, &a, NONE));
	manner_repeat(&m, &a, NONE);
	assert_true(a.is_bare);
	m.refusals.all++;
	m.refusals.certain++;
	assert_false(manner_blames(&m, &a, NONE) || manner_blames(&m, &a, REFUSED));
	assert_true(manner_blames(&m, &report, NONE));
	/* What was certain stays so when it is asked without. */
	a = manner_ask(&m, false, NOW_MS);
	m.refusals.all++;
	m.refusals.certain++;
	assert_true(manner_blames(&m, &a, NONE));
	manner_repeat(&m, &a, NONE);
	assert_true(a.is_bare && manner_blames(&m, &a, NONE));
	m.has_cert = false;
	assert_false(manner_blames(&m, &report, NONE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_that_is_taken_is_shown_and_costs_nothing),
		cmocka_unit_test(a_session_that_is_not_resumed_is_made_anew_with_the_certificate),
		cmocka_unit_test(a_certificate_that_is_refused_is_left_out_for_a_while),
		cmocka_unit_test(reports_always_show_it),
		cmocka_unit_test(where_neither_way_gets_through_one_is_tried),
		cmocka_unit_test(a_server_that_demands_it_now_is_shown_it_at_once),
		cmocka_unit_test(a_server_that_has_nothing_for_strangers_is_shown_it_again),
		cmocka_unit_test(who_has_none_is_asked_once),
		cmocka_unit_test(an_alert_is_a_refusal_and_a_line_that_is_cut_is_none),
		cmocka_unit_test(
			a_line_that_is_cut_after_the_handshake_may_be_an_alert_that_was_lost),
		cmocka_unit_test(only_what_is_certain_is_held_against_the_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
