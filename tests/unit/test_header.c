#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/net/header.h"
#include "common/limits.h"

static void
content_range_is_exactly_what_was_asked(void **state)
{
	(void)state;
	assert_true(header_range_fits("bytes 0-0/1", 0, 1));
	assert_true(header_range_fits("bytes 4294967296-4294967305/*", 1ULL << 32, 10));
	assert_false(header_range_fits(NULL, 0, 1));
	assert_false(header_range_fits("", 0, 1));
	assert_false(header_range_fits("bytes 0-0/1", 0, 0));
	assert_false(header_range_fits("bytes 0-1/5", 0, 1));
	assert_false(header_range_fits("bytes 0-9/20", 1, 9));
	assert_false(header_range_fits("bytes 1-1/5", 0, 1));
	assert_false(header_range_fits("bytes 0-0", 0, 1));
	assert_false(header_range_fits("bytes */5", 0, 1));
	assert_false(header_range_fits("bytes -0-0/1", 0, 1));
	assert_false(header_range_fits("bytes +0-0/1", 0, 1));
	assert_false(header_range_fits("items 0-0/1", 0, 1));
	assert_false(header_range_fits("bytes 18446744073709551616-0/1", 0, 1));
	assert_false(header_range_fits("bytes 000000000000000000000000-0/1", 0, 1));
	assert_false(header_range_fits("bytes 0-18446744073709551615/1", 1, UINT64_MAX));
}

static void
retry_after_is_seconds_or_a_date_and_capped(void **state)
{
	const int64_t now_s = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */

	(void)state;
	assert_int_equal(header_retry_after_s("0", now_s), 0);
	assert_int_equal(header_retry_after_s("120", now_s), 120);
	assert_int_equal(header_retry_after_s("86401", now_s), NET_RETRY_AFTER_MAX_S);
	assert_int_equal(
		header_retry_after_s("99999999999999999999999999", now_s), NET_RETRY_AFTER_MAX_S);
	assert_int_equal(header_retry_after_s("Sun, 06 Nov 1994 08:50:07 GMT", now_s), 30);
	assert_int_equal(header_retry_after_s("Sun, 06 Nov 2094 08:50:07 GMT", now_s),
		NET_RETRY_AFTER_MAX_S);
	assert_int_equal(header_retry_after_s("Sun, 06 Nov 1994 08:49:36 GMT", now_s), -1);
	assert_int_equal(header_retry_after_s(NULL, now_s), -1);
	assert_int_equal(header_retry_after_s("", now_s), -1);
	assert_int_equal(header_retry_after_s("-5", now_s), -1);
	assert_int_equal(header_retry_after_s("soon", now_s), -1);
	assert_int_equal(header_retry_after_s("Sun, 06 Nov 1994 08:50:07 GMT+1", now_s), -1);
}

static void
a_tag_made_in_the_second_of_the_change_is_not_safe(void **state)
{
	const char *at = "Sun, 06 Nov 1994 08:50:07 GMT";

	(void)state;
	assert_false(header_tag_is_safe(at, at));
	assert_false(header_tag_is_safe("Sun, 06 Nov 1994 08:50:08 GMT", at));
	assert_true(header_tag_is_safe("Sun, 06 Nov 1994 08:50:09 GMT", at));
	assert_false(header_tag_is_safe("Sun, 06 Nov 1994 08:50:00 GMT", at));
	assert_true(header_tag_is_safe(NULL, at));
	assert_true(header_tag_is_safe(at, NULL));
	assert_true(header_tag_is_safe(at, "yesterday"));
}

static void
a_tag_is_short_and_printable(void **state)
{
	(void)state;
	assert_true(header_tag_fits("\"a b~\"", 6));
	assert_false(header_tag_fits("\"a b~\"", 5));
	assert_false(header_tag_fits("a\x1f", 6));
	assert_false(header_tag_fits("a\x7f", 6));
	assert_false(header_tag_fits("\xe9", 6));
	assert_false(header_tag_fits(NULL, 6));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_range_is_exactly_what_was_asked),
		cmocka_unit_test(retry_after_is_seconds_or_a_date_and_capped),
		cmocka_unit_test(a_tag_is_short_and_printable),
		cmocka_unit_test(a_tag_made_in_the_second_of_the_change_is_not_safe),
	};

	return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}
