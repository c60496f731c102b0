#include "tests/unit/sample.h"

#include "agent/pace.h"

static const struct conf conf = {.poll_s = 600, .retry_max_s = 3600};

static void
polls_are_spread_over_the_whole_interval(void **state)
{
	unsigned bins[10] = {0};
	struct pace p = {.failures = 5};

	(void)state;
	for (int i = 0; i < 10000; i++) {
		int64_t ms = pace_next_ms(&p, &conf);

		assert_in_range(ms, 0, 600000);
		bins[ms == 600000 ? 9 : ms / 60000]++;
	}
	/* 1000 each; six standard deviations are 180. */
	for (int i = 0; i < 10; i++)
		assert_in_range(bins[i], 820, 1180);
	assert_int_equal(p.failures, 0);
}

/* Pearson's chi-square of what lies how often in so many bins. */
static double
chi_square(const unsigned *bins, unsigned count, unsigned all)
{
	double expected = (double)all / count, sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += (bins[i] - expected) * (bins[i] - expected) / expected;
	return sum;
}

/* A thousand boxes: their first polls, and their fifth, of which whole intervals are taken off (a
 * sum of waits that are even over the interval is even over it again). Chance exceeds the limit,
 * 126.2 at 49 degrees of freedom, once in 100 000 000. */
static void
boxes_that_start_together_are_spread_as_chance_spreads_them(void **state)
{
	enum { BOXES = 1000, BINS = 50, POLLS = 5, POLL_MS = 600000 };
	unsigned first[BINS] = {0}, fifth[BINS] = {0};

	(void)state;
	for (int i = 0; i < BOXES; i++) {
		struct pace p = {0};
		int64_t at_ms = pace_next_ms(&p, &conf);

		first[at_ms % POLL_MS / (POLL_MS / BINS)]++;
		for (int k = 1; k < POLLS; k++)
			at_ms += pace_next_ms(&p, &conf);
		fifth[at_ms % POLL_MS / (POLL_MS / BINS)]++;
	}
	assert_true(chi_square(first, BINS, BOXES) < 126.2);
	assert_true(chi_square(fifth, BINS, BOXES) < 126.2);
}

/* The longest of many waits at this number of failures. */
static int64_t
longest(const struct conf *c, unsigned failures, int64_t retry_after_s)
{
	int64_t most = 0;

	for (int i = 0; i < 2000; i++) {
		struct pace p = {failures};
		int64_t ms = pace_retry_ms(&p, c, retry_after_s);

		assert_int_equal(p.failures, failures + 1);
		most = ms > most ? ms : most;
	}
	return most;
}

static void
retries_back_off_to_their_limit(void **state)
{
	(void)state;
	assert_in_range(longest(&conf, 0, -1), 9000, 10000);
	assert_in_range(longest(&conf, 1, -1), 18000, 20000);
	assert_in_range(longest(&conf, 5, -1), 300000, 320000);
	assert_in_range(longest(&conf, 20, -1), 3500000, 3600000);
	assert_in_range(longest(&conf, UINT32_MAX - 1, -1), 3500000, 3600000);
}

static void
a_box_that_polls_often_retries_as_often(void **state)
{
	const struct conf eager = {.poll_s = 1, .retry_max_s = 4};

	(void)state;
	assert_in_range(longest(&eager, 0, -1), 900, 1000);
	assert_in_range(longest(&eager, 9, -1), 3600, 4000);
}

static void
a_server_is_heeded_up_to_the_limit(void **state)
{
	struct pace p = {0};

	(void)state;
	for (int i = 0; i < 100; i++) {
		p.failures = 0;
		assert_in_range(pace_retry_ms(&p, &conf, 120), 120000, 130000);
		p.failures = 0;
		assert_in_range(pace_retry_ms(&p, &conf, 86400), 3600000, 3610000);
	}
}

static void
tries_are_put_off_no_further_than_the_limit(void **state)
{
	(void)state;
	for (uint64_t tries = 1; tries < 100; tries++)
		assert_in_range(pace_spaced_s(&conf, tries), 1, pace_spaced_max_s(&conf));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(polls_are_spread_over_the_whole_interval),
		cmocka_unit_test(boxes_that_start_together_are_spread_as_chance_spreads_them),
		cmocka_unit_test(retries_back_off_to_their_limit),
		cmocka_unit_test(a_box_that_polls_often_retries_as_often),
		cmocka_unit_test(a_server_is_heeded_up_to_the_limit),
		cmocka_unit_test(tries_are_put_off_no_further_than_the_limit),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
