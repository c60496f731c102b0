#include "tests/unit/sample.h"

#include <stdio.h>
#include <unistd.h>

#include "signer/fleet.h"
#include "signer/following.h"
#include "signer/outage.h"
#include "tests/unit/folder.h"

static struct workspace w;
static void *folder;
static struct fleet *f;
static struct sql *s;

static int
begin(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	if (folder_enter_memory(&folder) < 0)
		return -1;
	(void)snprintf(w.dir, sizeof(w.dir), "%s", (const char *)folder);
	return fleet_open(&w, &f, &e) < 0 || fleet_sql(f, &s, &e) < 0 ? -1 : 0;
}

static int
end(void **state)
{
	(void)state;
	fleet_close(&f);
	return folder_leave(&folder);
}

static void
note(int64_t from_s, int64_t until_s)
{
	struct err e = ERR_INIT;

	assert_int_equal(outage_note(s, from_s, until_s, &e), 0);
}

static int64_t
before(int64_t now_s, int64_t span_s)
{
	struct err e = ERR_INIT;
	int64_t at_s = 0;

	assert_int_equal(outage_before(s, now_s, span_s, &at_s, &e), 0);
	return at_s;
}

static void
time_in_which_nobody_could_be_heard_is_left_out(void **state)
{
	(void)state;
	assert_int_equal(before(5000, 600), 4400);
	note(1000, 2000);
	assert_int_equal(before(5000, 600), 4400);
	assert_int_equal(before(2600, 600), 2000);
	assert_int_equal(before(2599, 600), 999);
	assert_int_equal(before(2000, 600), 400);
	note(2100, 2300);
	assert_int_equal(before(2400, 100), 2300);
	assert_int_equal(before(2400, 150), 2050);
	assert_int_equal(before(2400, 250), 950);
	/* Within one, its end being set to a time to come by a clock that went back. */
	assert_int_equal(before(2200, 50), 2050);
	/* Before all of them, too. */
	assert_int_equal(before(900, 100), 800);
}

static void
one_that_goes_on_is_one_and_old_ones_are_forgotten(void **state)
{
	struct err e = ERR_INIT;
	int64_t rows = 0;

	(void)state;
	for (int64_t at_s = 1000; at_s < 2000; at_s += 10)
		note(at_s, at_s + 10);
	assert_int_equal(sql_get(s, NULL, &rows, &e, "SELECT count(*) FROM outage", ""), 0);
	assert_int_equal(rows, 1);
	assert_int_equal(before(2100, 200), 900);
	note(100000000, 100000001);
	assert_int_equal(sql_get(s, NULL, &rows, &e, "SELECT count(*) FROM outage", ""), 0);
	assert_int_equal(rows, 1);
}

static int64_t
heard_since(int64_t now_s)
{
	struct err e = ERR_INIT;
	int64_t at_s = 0;

	assert_int_equal(following_heard_since(f, now_s, 7200, &at_s, &e), 0);
	return at_s;
}

static void
listen_at(int64_t now_s, bool can_hear)
{
	struct err e = ERR_INIT;

	assert_int_equal(following_listen(f, now_s, can_hear, &e), 0);
}

static void
who_cannot_hear_or_does_not_look_for_long_notes_an_outage(void **state)
{
	(void)state;
	listen_at(100000, true);
	/* A timer's hour is none. */
	listen_at(103600, true);
	assert_int_equal(heard_since(103600), 96400);
	listen_at(103660, false);
	listen_at(103720, false);
	listen_at(103780, true);
	assert_int_equal(heard_since(103780), 103780 - 7200 - 120);
	listen_at(110000, true);
	assert_int_equal(heard_since(110000), 103600 - (7200 - 60));
	/* A clock that went back is none. */
	listen_at(109000, true);
	listen_at(109060, true);
	listen_at(111000, true);
	assert_int_equal(heard_since(120000), 112800);
}

/* A year ahead for one look: boxes that fall silent after that are missed all the same. */
static void
a_clock_that_was_wrong_once_hides_no_silence(void **state)
{
	const int64_t ahead_s = 100000 + 366 * 86400;

	(void)state;
	listen_at(100000, true);
	listen_at(ahead_s, true);
	listen_at(ahead_s + 60, false);
	listen_at(100060, true);
	listen_at(100120, true);
	assert_int_equal(heard_since(200000), 192800);
	/* What it noted before it was set back counts. */
	assert_int_equal(heard_since(100120), 100000 - (7200 - 60));
}

static int64_t
number(const char *query)
{
	struct err e = ERR_INIT;
	int64_t n = -1;

	assert_int_equal(sql_get(s, NULL, &n, &e, query, ""), 0);
	return n;
}

/* Reports that come until then would count for nothing in it. */
static void
a_wave_that_a_wrong_clock_opened_is_open_now(void **state)
{
	struct err e = ERR_INIT;
	int64_t epoch;

	(void)state;
	assert_int_equal(sql_run(s,
				 "INSERT INTO wave (rollout, wave, name, opened_s) VALUES (1, 0, "
				 "'canary', 99000), (1, 1, 'early', 31722400), (1, 2, 'all', 0)",
				 &e),
		0);
	listen_at(31722400, true);
	epoch = number("SELECT value FROM counter WHERE name = 'followings'");
	listen_at(100060, true);
	assert_int_equal(number("SELECT opened_s FROM wave WHERE wave = 0"), 99000);
	assert_int_equal(number("SELECT opened_s FROM wave WHERE wave = 1"), 100060);
	assert_int_equal(number("SELECT opened_s FROM wave WHERE wave = 2"), 0);
	/* Whoever reads reports knows. */
	assert_true(number("SELECT value FROM counter WHERE name = 'followings'") > epoch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			time_in_which_nobody_could_be_heard_is_left_out, begin, end),
		cmocka_unit_test_setup_teardown(
			one_that_goes_on_is_one_and_old_ones_are_forgotten, begin, end),
		cmocka_unit_test_setup_teardown(
			who_cannot_hear_or_does_not_look_for_long_notes_an_outage, begin, end),
		cmocka_unit_test_setup_teardown(
			a_clock_that_was_wrong_once_hides_no_silence, begin, end),
		cmocka_unit_test_setup_teardown(
			a_wave_that_a_wrong_clock_opened_is_open_now, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
