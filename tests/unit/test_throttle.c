#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/throttle.h"

static void
without_a_rate_nothing_waits(void **state)
{
	struct throttle t = {0};

	(void)state;
	throttle_take(&t, SIZE_MAX / 2);
	assert_int_equal(throttle_wait_ms(&t, 5), 0);
	assert_int_equal(throttle_piece(&t, 12345), 12345);
}

/* Whoever always takes as soon as he may gets so much in an hour. */
static void
a_rate_is_kept_to_the_byte(void **state)
{
	static const uint64_t rates[] = {16384, 100003, 2500000};

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct throttle t = {.bytes_per_s = rates[i]};
		int64_t now_ms = 50000, end_ms = now_ms + 3600 * 1000, most;
		int64_t taken = 0;

		while (now_ms < end_ms) {
			int64_t wait_ms = throttle_wait_ms(&t, now_ms);

			now_ms += wait_ms > 100 ? 100 : wait_ms;
			if (wait_ms > 0)
				continue;
			taken += (int64_t)throttle_piece(&t, 65536);
			throttle_take(&t, throttle_piece(&t, 65536));
		}
		most = (int64_t)rates[i] * 3602;
		assert_in_range(taken, (uint64_t)(most - most / 50), most);
	}
}

static void
what_was_not_taken_for_long_is_not_made_up_for(void **state)
{
	struct throttle t = {.bytes_per_s = 20000};

	(void)state;
	assert_int_equal(throttle_wait_ms(&t, 1000000), 0);
	throttle_take(&t, 20000);
	assert_int_equal(throttle_wait_ms(&t, 1000000), 1);
	assert_int_equal(throttle_wait_ms(&t, 9000000), 0);
	assert_int_equal(throttle_wait_ms(&t, 9002000), 0);
	throttle_take(&t, 40000);
	assert_int_equal(throttle_wait_ms(&t, 9002000), 1001);
	assert_int_equal(throttle_wait_ms(&t, 9002500), 501);
}

static void
pieces_are_small(void **state)
{
	struct throttle t = {.bytes_per_s = 20000};

	(void)state;
	assert_int_equal(throttle_piece(&t, 65536), 5001);
	assert_int_equal(throttle_piece(&t, 100), 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_rate_nothing_waits),
		cmocka_unit_test(a_rate_is_kept_to_the_byte),
		cmocka_unit_test(what_was_not_taken_for_long_is_not_made_up_for),
		cmocka_unit_test(pieces_are_small),
	};

	return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
