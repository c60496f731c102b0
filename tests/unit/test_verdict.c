#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>

#include "signer/verdict.h"

static void
a_long_soak_goes_on_behind_a_gap_once_boxes_had_their_say(void **state)
{
	(void)state;
	/* 24 hours, 23 of them done, or all but a minute; and one that has just begun. */
	assert_int_equal(verdict_soak_since(1000, 1000 + 23 * 3600, 24 * 3600), 1000);
	assert_int_equal(
		verdict_soak_since(1000, 1000 + 24 * 3600 - 60, 24 * 3600), 1000 + SETTLE_S - 60);
	assert_int_equal(verdict_soak_since(1000, 900, 24 * 3600), 1000);
}

static void
a_short_soak_begins_anew_behind_a_gap(void **state)
{
	(void)state;
	assert_int_equal(verdict_soak_since(1000, 1200, 300), 1200);
	assert_int_equal(verdict_soak_since(1000, 900, 300), 1000);
	assert_int_equal(verdict_soak_since(0, 1200, 300), 0);
	assert_int_equal(verdict_soak_since(1000, 1200, 0), 1200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_soak_goes_on_behind_a_gap_once_boxes_had_their_say),
		cmocka_unit_test(a_short_soak_begins_anew_behind_a_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
