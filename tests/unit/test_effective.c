#include "tests/unit/sample.h"

#include "agent/effective.h"
#include "common/base/clock.h"

enum { HOUR_S = 3600, SIGNED_S = 1795359600 };

static struct state *
state_new(void)
{
	struct state *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	return s;
}

static const struct digest old_keys = {{1}}, new_keys = {{2}};

static bool
take(struct effective *t, struct state *s, uint64_t version, int64_t signed_s,
	const struct digest *keys, const struct clocks *now)
{
	char text[CLOCK_TEXT_SIZE];
	AUTO_JSON json_t *j = json_pack("{s:I, s:s}", "version", (json_int_t)version, "signed_at",
		clock_format(signed_s, text));

	return effective_take(t, s, j, keys, now);
}

static void
without_a_floor_the_wall_clock_is_all_there_is(void **state)
{
	AUTO_FREE struct state *s = state_new();
	struct clocks now = {.wall_s = 12, .boot_ms = 5000};
	struct effective t = effective_start(s, &now);

	(void)state;
	assert_int_equal(effective_now_s(&t, s, &now), 12);
	assert_false(effective_is_fresh(&t, s, &now));
}

static void
the_floor_moves_on_with_the_boot_clock(void **state)
{
	AUTO_FREE struct state *s = state_new();
	struct clocks now = {.wall_s = 12, .boot_ms = 5000};
	struct effective t = effective_start(s, &now);

	(void)state;
	assert_true(take(&t, s, 7, SIGNED_S, &old_keys, &now));
	assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S);
	now.boot_ms += HOUR_S * 1000;
	assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S + HOUR_S);
	now.wall_s = SIGNED_S + 2 * HOUR_S;
	assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S + 2 * HOUR_S);
}

static void
a_trusted_clock_beats_the_floor(void **state)
{
	AUTO_FREE struct state *s = state_new();
	struct clocks now = {.wall_s = SIGNED_S, .boot_ms = 5000, .trusted = true};
	struct effective t = effective_start(s, &now);

	(void)state;
	assert_true(take(&t, s, 7, SIGNED_S + 100 * HOUR_S, &old_keys, &now));
	assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S);
	assert_true(effective_is_fresh(&t, s, &now));
}

static void
a_floor_from_an_earlier_boot_counts_from_the_start(void **state)
{
	AUTO_FREE struct state *s = state_new();
	struct clocks now = {.wall_s = 12, .boot_ms = 90000};
	struct effective t;

	(void)state;
	s->floor_s = SIGNED_S;
	s->floor_version = 7;
	s->floor_keys = old_keys;
	t = effective_start(s, &now);
	assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S);
	now.boot_ms += 60000;
	assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S + 60);
}

static void
a_floor_that_another_process_took_is_not_aged_by_our_uptime(void **state)
{
	AUTO_FREE struct state *s = state_new();
	struct clocks now = {.wall_s = 12, .boot_ms = 5000};
	struct effective t = effective_start(s, &now);

	(void)state;
	assert_true(take(&t, s, 7, SIGNED_S, &old_keys, &now));
	now.boot_ms += 40LL * 24 * HOUR_S * 1000;
	/* `sluice-agent check` ran, and the daemon reads the state anew. */
	s->floor_version = 900;
	s->floor_s = SIGNED_S + 40LL * 24 * HOUR_S;
	assert_int_equal(effective_now_s(&t, s, &now), s->floor_s);
	assert_true(take(&t, s, 901, s->floor_s + HOUR_S, &old_keys, &now));
	now.boot_ms += 60000;
	assert_int_equal(effective_now_s(&t, s, &now), s->floor_s + 60);
}

static void
only_a_newer_timestamp_makes_an_untrusted_clock_fresh(void **state)
{
	AUTO_FREE struct state *s = state_new();
	struct clocks now = {.wall_s = 12, .boot_ms = 90000};
	struct effective t;

	(void)state;
	s->floor_s = SIGNED_S;
	s->floor_version = 7;
	s->floor_keys = old_keys;
	t = effective_start(s, &now);
	assert_false(take(&t, s, 7, SIGNED_S, &old_keys, &now));
	assert_false(take(&t, s, 6, SIGNED_S + HOUR_S, &old_keys, &now));
	assert_int_equal(s->floor_s, SIGNED_S);
	assert_false(effective_is_fresh(&t, s, &now));
	assert_true(take(&t, s, 8, SIGNED_S + HOUR_S, &old_keys, &now));
	assert_true(effective_is_fresh(&t, s, &now));
	assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S + HOUR_S);
}

static void
a_floor_goes_with_the_keys_that_vouched_for_it(void **state)
{
	AUTO_FREE struct state *s = state_new();
	struct clocks now = {.wall_s = SIGNED_S, .boot_ms = 5000};
	struct effective t = effective_start(s, &now);

	(void)state;
	assert_true(take(&t, s, 900, SIGNED_S + 1000000LL * HOUR_S, &old_keys, &now));
	assert_true(effective_now_s(&t, s, &now) > SIGNED_S + HOUR_S);
	assert_false(effective_check_keys(&t, s, &old_keys));
	assert_true(effective_check_keys(&t, s, &new_keys));
	assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S);
	assert_false(effective_is_fresh(&t, s, &now));
	assert_true(take(&t, s, 1, SIGNED_S + 5, &new_keys, &now));
	assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S + 5);
	assert_true(effective_is_fresh(&t, s, &now));
}

static void
new_keys_count_their_versions_anew(void **state)
{
	AUTO_FREE struct state *s = state_new();
	struct clocks now = {.wall_s = 12, .boot_ms = 5000};
	struct effective t = effective_start(s, &now);

	(void)state;
	/* Nothing is known that could go. */
	assert_false(effective_check_keys(&t, s, &new_keys));
	assert_true(take(&t, s, 900, SIGNED_S, &old_keys, &now));
	t = effective_start(s, &now);
	assert_true(take(&t, s, 1, SIGNED_S, &new_keys, &now));
	assert_true(effective_is_fresh(&t, s, &now));
}

static void
the_time_is_unknown_from_the_second_in_which_root_expires(void **state)
{
	AUTO_FREE struct state *s = state_new();
	struct clocks now = {.wall_s = 12, .boot_ms = 5000};
	struct effective t = effective_start(s, &now);
	char text[CLOCK_TEXT_SIZE];
	AUTO_JSON json_t *root =
		json_pack("{s:s}", "expires", clock_format(SIGNED_S + HOUR_S, text));

	(void)state;
	assert_true(effective_is_unknown(&t, s, &now, root));
	assert_true(take(&t, s, 1, SIGNED_S, &old_keys, &now));
	now.wall_s = SIGNED_S + HOUR_S - 1;
	assert_false(effective_is_unknown(&t, s, &now, root));
	now.wall_s++;
	assert_true(effective_is_unknown(&t, s, &now, root));
	now.trusted = true;
	assert_false(effective_is_unknown(&t, s, &now, root));
}

static void
a_timestamp_without_a_date_of_ours_gives_no_floor(void **state)
{
	AUTO_FREE struct state *s = state_new();
	struct clocks now = {.wall_s = 12, .boot_ms = 5000};
	struct effective t = effective_start(s, &now);
	AUTO_JSON json_t *plain = json_pack("{s:i}", "version", 3);
	AUTO_JSON json_t *wrong = json_pack("{s:i, s:s}", "version", 4, "signed_at", "yesterday");

	(void)state;
	assert_true(effective_take(&t, s, plain, &old_keys, &now));
	assert_true(effective_take(&t, s, wrong, &old_keys, &now));
	assert_int_equal(s->floor_version, 4);
	assert_int_equal(effective_now_s(&t, s, &now), 12);
}

/* A stolen timestamp key signs a new version an hour, always dated the same day or earlier. */
static void
a_floor_never_sinks_and_time_goes_on(void **state)
{
	AUTO_FREE struct state *s = state_new();
	struct clocks now = {.wall_s = 12, .boot_ms = 5000};
	struct effective t = effective_start(s, &now);

	(void)state;
	assert_true(take(&t, s, 1, SIGNED_S, &old_keys, &now));
	for (uint64_t hour = 1; hour < 100; hour++) {
		now.boot_ms += HOUR_S * 1000;
		assert_true(take(
			&t, s, 1 + hour, SIGNED_S - (hour % 2 ? 0 : 9 * HOUR_S), &old_keys, &now));
		assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S + (int64_t)hour * HOUR_S);
		assert_int_equal(s->floor_s, SIGNED_S);
	}
	/* After the next boot time begins where honest metadata had been. */
	t = effective_start(s, &now);
	assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S);
	/* What comes late and honest raises the floor that is kept, and not the time. */
	now.boot_ms += 2 * HOUR_S * 1000;
	assert_true(take(&t, s, 200, SIGNED_S + HOUR_S, &old_keys, &now));
	assert_int_equal(s->floor_s, SIGNED_S + HOUR_S);
	assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S + 2 * HOUR_S);
	now.boot_ms += HOUR_S * 1000;
	assert_int_equal(effective_now_s(&t, s, &now), SIGNED_S + 3 * HOUR_S);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_floor_the_wall_clock_is_all_there_is),
		cmocka_unit_test(the_floor_moves_on_with_the_boot_clock),
		cmocka_unit_test(a_trusted_clock_beats_the_floor),
		cmocka_unit_test(a_floor_from_an_earlier_boot_counts_from_the_start),
		cmocka_unit_test(a_floor_that_another_process_took_is_not_aged_by_our_uptime),
		cmocka_unit_test(only_a_newer_timestamp_makes_an_untrusted_clock_fresh),
		cmocka_unit_test(a_floor_goes_with_the_keys_that_vouched_for_it),
		cmocka_unit_test(new_keys_count_their_versions_anew),
		cmocka_unit_test(the_time_is_unknown_from_the_second_in_which_root_expires),
		cmocka_unit_test(a_timestamp_without_a_date_of_ours_gives_no_floor),
		cmocka_unit_test(a_floor_never_sinks_and_time_goes_on),
	};

	return cmocka_run_group_tests_name("effective", tests, NULL, NULL);
}
