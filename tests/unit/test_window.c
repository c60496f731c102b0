#include "common/format/window.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "tests/unit/sample.h"

static struct window
window_of(const char *days, const char *hours, const char *clock, unsigned spread_s)
{
	struct window w = {0};
	struct err e = ERR_INIT;
	char text[256];

	(void)snprintf(text, sizeof(text),
		"{\"days\":[%s],\"hours\":\"%s\",\"clock\":\"%s\",\"spread_s\":%u}", days, hours,
		clock, spread_s);
	AUTO_JSON json_t *object = sample_json(text);
	if (window_parse(object, &w, &e) < 0)
		fail_msg("%s: %s", text, e.text);
	return w;
}

static const char every[] = "\"mon\",\"tue\",\"wed\",\"thu\",\"fri\",\"sat\",\"sun\"";

static int64_t
at(const char *text)
{
	struct err e = ERR_INIT;
	int64_t s = 0;

	assert_int_equal(clock_parse(text, &s, &e), 0);
	return s;
}

static void
assert_opening(const struct window *w, const char *now, const char *opens, const char *closes)
{
	char a[CLOCK_TEXT_SIZE], b[CLOCK_TEXT_SIZE];
	struct opening o = {0};

	assert_true(window_opening(w, at(now), &o));
	if (o.opens_s != at(opens) || o.closes_s != at(closes))
		fail_msg("at %s: %s to %s, not %s to %s", now, clock_format(o.opens_s, a),
			clock_format(o.closes_s, b), opens, closes);
}

/* Each test has its own. */
static void
zone_set(const char *zone)
{
	assert_int_equal(setenv("TZ", zone, 1), 0);
}

static void
a_window_is_read_with_all_of_its_words(void **state)
{
	struct window w = window_of("\"sat\",\"sun\"", "02:00-05:00", "local", 3600);
	char text[WINDOW_TEXT_SIZE];

	(void)state;
	assert_int_equal(w.days, 0x41);
	assert_int_equal(w.opens_s, 7200);
	assert_int_equal(w.length_s, 3 * 3600);
	assert_int_equal(w.spread_s, 3600);
	assert_false(w.utc);
	assert_string_equal(window_text(&w, text), "sat, sun 02:00-05:00 local time");
	w = window_of("\"fri\"", "22:00-04:30", "utc", 0);
	assert_int_equal(w.length_s, 6 * 3600 + 1800);
	assert_string_equal(window_text(&w, text), "fri 22:00-04:30 UTC");
	w = window_of(every, "00:00-24:00", "utc", 86400);
	assert_int_equal(w.length_s, 86400);
	assert_int_equal(window_spread_preset(&w), 43200);
	assert_string_equal(window_text(&w, text), "daily 00:00-24:00 UTC");
}

static void
a_window_with_one_thing_wrong_is_refused(void **state)
{
	static const char good[] =
		"{\"days\":[\"sat\",\"sun\"],\"hours\":\"02:00-05:00\",\"clock\":"
		"\"local\",\"spread_s\":3600}";
	static const struct {
		const char *was, *becomes, *says;
	} refusals[] = {
		{"[\"sat\",\"sun\"]", "[]", "days"},
		{"[\"sat\",\"sun\"]", "[\"Sat\"]", "days"},
		{"[\"sat\",\"sun\"]", "[6]", "days"},
		{"[\"sat\",\"sun\"]", "\"sat\"", "days"},
		{"\"sun\"", "\"sat\"", "days"},
		{"02:00-05:00", "2:00-5:00", "hours"},
		{"02:00-05:00", "02:00-02:00", "hours"},
		{"02:00-05:00", "24:00-05:00", "hours"},
		{"02:00-05:00", "02:60-05:00", "hours"},
		{"02:00-05:00", "02:00-24:01", "hours"},
		{"02:00-05:00", "02:00-99:00", "hours"},
		{"02:00-05:00", "02:00_05:00", "hours"},
		{"02:00-05:00", "02:00-05:00:00", "hours"},
		{"02:00-05:00", "", "hours"},
		{"\"local\"", "\"zulu\"", "clock"},
		{"\"local\"", "1", "clock"},
		{"3600", "10801", "spread_s"},
		{"3600", "-1", "spread_s"},
		{",\"spread_s\":3600", "", "spread_s"},
		{"\"clock\":\"local\",", "", "clock"},
		{"\"spread_s\":3600", "\"spread_s\":3600,\"zone\":1", "zone"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		AUTO_FREE char *text = sample_with(good, refusals[i].was, refusals[i].becomes);
		AUTO_JSON json_t *object = sample_json(text);
		struct window w = {.opens_s = 77};
		struct err e = ERR_INIT;

		if (window_parse(object, &w, &e) == 0 || w.opens_s != 77 ||
			!strstr(e.text, refusals[i].says))
			fail_msg("%s: %s", text, e.text);
		assert_true(e.class == ERR_MALFORMED || e.class == ERR_LIMIT);
	}
}

static void
a_window_opens_on_its_days_and_hours(void **state)
{
	struct window w = window_of("\"sat\",\"sun\"", "02:00-05:00", "utc", 0);

	(void)state;
	/* 2026-11-21 is a Saturday. */
	assert_opening(&w, "2026-11-20T12:00:00Z", "2026-11-21T02:00:00Z", "2026-11-21T05:00:00Z");
	assert_opening(&w, "2026-11-21T02:00:00Z", "2026-11-21T02:00:00Z", "2026-11-21T05:00:00Z");
	assert_opening(&w, "2026-11-21T04:59:59Z", "2026-11-21T02:00:00Z", "2026-11-21T05:00:00Z");
	assert_opening(&w, "2026-11-21T05:00:00Z", "2026-11-22T02:00:00Z", "2026-11-22T05:00:00Z");
	assert_opening(&w, "2026-11-22T05:00:00Z", "2026-11-28T02:00:00Z", "2026-11-28T05:00:00Z");
	assert_opening(&w, "1970-01-01T00:00:00Z", "1970-01-03T02:00:00Z", "1970-01-03T05:00:00Z");
}

static void
hours_past_midnight_belong_to_the_day_they_begin_on(void **state)
{
	struct window w = window_of("\"sat\"", "22:00-04:00", "utc", 0);

	(void)state;
	assert_opening(&w, "2026-11-21T03:00:00Z", "2026-11-21T22:00:00Z", "2026-11-22T04:00:00Z");
	assert_opening(&w, "2026-11-22T03:59:59Z", "2026-11-21T22:00:00Z", "2026-11-22T04:00:00Z");
	assert_opening(&w, "2026-11-22T04:00:00Z", "2026-11-28T22:00:00Z", "2026-11-29T04:00:00Z");
}

static void
local_time_is_that_of_the_box(void **state)
{
	struct window w = window_of("\"sat\"", "02:00-05:00", "local", 0);

	(void)state;
	zone_set("Asia/Tokyo");
	assert_opening(&w, "2026-11-20T12:00:00Z", "2026-11-20T17:00:00Z", "2026-11-20T20:00:00Z");
	zone_set("America/Los_Angeles");
	assert_opening(&w, "2026-11-20T12:00:00Z", "2026-11-21T10:00:00Z", "2026-11-21T13:00:00Z");
	w.utc = true;
	assert_opening(&w, "2026-11-20T12:00:00Z", "2026-11-21T02:00:00Z", "2026-11-21T05:00:00Z");
}

/* Paris, 2026-03-29: 02:00 becomes 03:00, at 01:00 UTC. */
static void
where_clocks_go_forward_a_window_opens_late_or_not_at_all(void **state)
{
	struct window w = window_of(every, "02:30-05:00", "local", 0);

	(void)state;
	zone_set("Europe/Paris");
	assert_opening(&w, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z");
	assert_opening(&w, "2026-03-29T12:00:00Z", "2026-03-30T00:30:00Z", "2026-03-30T03:00:00Z");
	w = window_of(every, "02:15-02:45", "local", 0);
	assert_opening(&w, "2026-03-28T12:00:00Z", "2026-03-30T00:15:00Z", "2026-03-30T00:45:00Z");
	w = window_of("\"sun\"", "02:00-03:00", "local", 0);
	assert_opening(&w, "2026-03-28T12:00:00Z", "2026-04-05T00:00:00Z", "2026-04-05T01:00:00Z");
	w = window_of(every, "01:00-02:30", "local", 0);
	assert_opening(&w, "2026-03-28T12:00:00Z", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z");
}

/* Paris, 2026-10-25: 03:00 becomes 02:00, at 01:00 UTC. */
static void
where_clocks_go_back_a_window_does_not_open_a_second_time(void **state)
{
	struct window w = window_of(every, "02:00-02:30", "local", 0);

	(void)state;
	zone_set("Europe/Paris");
	assert_opening(&w, "2026-10-24T12:00:00Z", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z");
	assert_opening(&w, "2026-10-25T00:30:00Z", "2026-10-26T01:00:00Z", "2026-10-26T01:30:00Z");
	assert_opening(&w, "2026-10-25T01:10:00Z", "2026-10-26T01:00:00Z", "2026-10-26T01:30:00Z");
	w = window_of(every, "02:30-05:00", "local", 0);
	assert_opening(&w, "2026-10-25T00:31:00Z", "2026-10-25T00:30:00Z", "2026-10-25T04:00:00Z");
	assert_opening(&w, "2026-10-25T01:10:00Z", "2026-10-25T00:30:00Z", "2026-10-25T04:00:00Z");
	w = window_of(every, "00:00-24:00", "local", 0);
	assert_opening(&w, "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
}

/* Minute by minute through both changes: each day opens once at most, in one piece. */
static void
every_day_of_a_year_opens_once_at_most(void **state)
{
	static const char *const zones[] = {"Europe/Paris", "Australia/Lord_Howe", "Pacific/Apia",
		"America/Sao_Paulo", "<-12>12", "<+14>-14"};
	static const char *const hours[] = {"02:00-02:30", "23:30-00:30", "01:45-03:15"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(zones) * ARRAY_LEN(hours); i++) {
		struct window w = window_of(every, hours[i % ARRAY_LEN(hours)], "local", 0);
		int64_t now = at("2011-01-01T00:00:00Z"), end = at("2012-02-01T00:00:00Z");
		struct opening o = {0}, next;
		int openings = 0;

		zone_set(zones[i / ARRAY_LEN(hours)]);
		for (;; now = next.closes_s, openings++) {
			assert_true(window_opening(&w, now, &next));
			if (next.opens_s >= end)
				break;
			assert_true(next.opens_s >= o.closes_s && next.opens_s < next.closes_s);
			o = next;
		}
		assert_in_range(openings, 395, 397);
	}
}

/* Computed with Python's hashlib, as in test_plan. */
static void
offsets_are_those_that_hashlib_gives(void **state)
{
	struct window w = window_of(every, "02:00-05:00", "utc", 3600);

	(void)state;
	assert_int_equal(window_offset(&w, "gateway-2.4.0", "gw-000001"), 3147);
	assert_int_equal(window_offset(&w, "gateway-2.4.0", "gw-000002"), 3415);
	assert_int_equal(window_offset(&w, "gateway-2.4.1", "gw-000001"), 2793);
	w.spread_s = 0;
	assert_int_equal(window_offset(&w, "gateway-2.4.0", "gw-000001"), 0);
}

static void
a_box_starts_at_its_own_offset_or_at_once_when_it_comes_later(void **state)
{
	struct window w = window_of("\"sat\"", "02:00-05:00", "utc", 3600);

	(void)state;
	assert_true(window_turn(&w, 900, at("2026-11-20T12:00:00Z")) == at("2026-11-21T02:15:00Z"));
	assert_true(window_turn(&w, 900, at("2026-11-21T02:05:00Z")) == at("2026-11-21T02:15:00Z"));
	assert_true(window_turn(&w, 900, at("2026-11-21T02:15:00Z")) == at("2026-11-21T02:15:00Z"));
	assert_true(window_turn(&w, 900, at("2026-11-21T04:59:59Z")) == at("2026-11-21T04:59:59Z"));
	assert_true(window_turn(&w, 900, at("2026-11-21T05:00:00Z")) == at("2026-11-28T02:15:00Z"));
}

static void
an_opening_made_shorter_by_its_clock_leaves_no_box_out(void **state)
{
	struct window w = window_of(every, "02:00-05:00", "local", 10800);
	int64_t before = at("2026-03-28T12:00:00Z"), opens = at("2026-03-29T01:00:00Z");

	(void)state;
	zone_set("Europe/Paris");
	assert_true(window_turn(&w, 0, before) == opens);
	assert_true(window_turn(&w, 5400, before) == opens + 3600);
	assert_true(window_turn(&w, 10799, before) == opens + 7199);
	/* A longer one is spread as ever. */
	assert_true(window_turn(&w, 5400, at("2026-10-24T12:00:00Z")) ==
		    at("2026-10-25T00:00:00Z") + 5400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_window_is_read_with_all_of_its_words),
		cmocka_unit_test(a_window_with_one_thing_wrong_is_refused),
		cmocka_unit_test(a_window_opens_on_its_days_and_hours),
		cmocka_unit_test(hours_past_midnight_belong_to_the_day_they_begin_on),
		cmocka_unit_test(local_time_is_that_of_the_box),
		cmocka_unit_test(where_clocks_go_forward_a_window_opens_late_or_not_at_all),
		cmocka_unit_test(where_clocks_go_back_a_window_does_not_open_a_second_time),
		cmocka_unit_test(every_day_of_a_year_opens_once_at_most),
		cmocka_unit_test(offsets_are_those_that_hashlib_gives),
		cmocka_unit_test(a_box_starts_at_its_own_offset_or_at_once_when_it_comes_later),
		cmocka_unit_test(an_opening_made_shorter_by_its_clock_leaves_no_box_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
