#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"

static void
an_empty_buffer_reads_as_an_empty_string(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(10);

	(void)state;
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_span(&b).len, 0);
}

static void
appended_bytes_end_in_a_zero_that_is_not_counted(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(buf_append(&b, "abc", 3, &e), 0);
	assert_int_equal(buf_append(&b, NULL, 0, &e), 0);
	assert_int_equal(buf_append(&b, "de", 2, &e), 0);
	assert_int_equal(b.len, 5);
	assert_string_equal(buf_str(&b), "abcde");
}

static void
a_buffer_holds_exactly_its_maximum_and_not_a_byte_more(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(200);
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 200; i++)
		assert_int_equal(buf_append(&b, "x", 1, &e), 0);
	assert_int_equal(buf_append(&b, "y", 1, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(b.len, 200);
	assert_int_equal(b.data[199], 'x');
	assert_int_equal(b.data[200], 0);
	assert_int_equal(buf_append(&b, NULL, 0, &e), 0);
}

static void
a_refused_append_leaves_the_buffer_as_it_was(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(4);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(buf_append(&b, "ab", 2, &e), 0);
	assert_int_equal(buf_append(&b, "cde", 3, &e), -1);
	assert_string_equal(buf_str(&b), "ab");
	assert_int_equal(buf_printf(&b, &e, "%d", 12345), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_string_equal(buf_str(&b), "ab");
	assert_int_equal(b.len, 2);
}

static void
a_length_that_overflows_is_refused(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(SIZE_MAX);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(buf_append(&b, "a", 1, &e), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 1, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_string_equal(buf_str(&b), "a");
}

static void
printf_appends_across_growth(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100000);
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 5000; i++)
		assert_int_equal(buf_printf(&b, &e, "%04d,", i), 0);
	assert_int_equal(b.len, 25000);
	assert_memory_equal(b.data + 4321UL * 5, "4321,", 5);
	assert_int_equal(buf_printf(&b, &e, "%s", ""), 0);
	assert_int_equal(b.len, 25000);
}

static void
truncate_and_clear_keep_the_zero_behind(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100);
	struct err e = ERR_INIT;

	(void)state;
	buf_clear(&b);
	assert_int_equal(buf_append(&b, "hello", 5, &e), 0);
	buf_truncate(&b, 2);
	assert_string_equal(buf_str(&b), "he");
	buf_clear(&b);
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(b.len, 0);
}

static void
take_hands_the_bytes_over_and_leaves_an_empty_buffer(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(100);
	struct err e = ERR_INIT;
	AUTO_FREE uint8_t *data = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(buf_append(&b, "hello", 5, &e), 0);
	data = buf_take(&b, &len);
	assert_int_equal(len, 5);
	assert_string_equal((const char *)data, "hello");
	assert_null(b.data);
	assert_int_equal(b.max, 100);
	assert_int_equal(buf_append(&b, "again", 5, &e), 0);
	assert_string_equal(buf_str(&b), "again");
}

static void
free_takes_null_and_may_come_twice(void **state)
{
	struct buf b = BUF_INIT(100);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(buf_append(&b, "x", 1, &e), 0);
	buf_free(&b);
	buf_free(&b);
	buf_free(NULL);
	assert_null(b.data);
}

static void
spans_are_equal_by_length_and_bytes(void **state)
{
	(void)state;
	assert_true(span_equal(span_str("abc"), span_of("abcd", 3)));
	assert_false(span_equal(span_str("abc"), span_str("abd")));
	assert_false(span_equal(span_str("abc"), span_str("ab")));
	assert_true(span_equal(span_of(NULL, 0), span_str("")));
}

static void
span_is_zero_to_its_last_byte(void **state)
{
	uint8_t bytes[70] = {0};

	(void)state;
	assert_true(span_is_zero(span_of(NULL, 0)));
	for (size_t at = 0; at < sizeof(bytes); at++) {
		assert_true(span_is_zero(span_of(bytes, at + 1)));
		bytes[at] = 1;
		assert_false(span_is_zero(span_of(bytes, at + 1)));
		assert_true(span_is_zero(span_of(bytes, at)));
		bytes[at] = 0;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(span_is_zero_to_its_last_byte),
		cmocka_unit_test(an_empty_buffer_reads_as_an_empty_string),
		cmocka_unit_test(appended_bytes_end_in_a_zero_that_is_not_counted),
		cmocka_unit_test(a_buffer_holds_exactly_its_maximum_and_not_a_byte_more),
		cmocka_unit_test(a_refused_append_leaves_the_buffer_as_it_was),
		cmocka_unit_test(a_length_that_overflows_is_refused),
		cmocka_unit_test(printf_appends_across_growth),
		cmocka_unit_test(truncate_and_clear_keep_the_zero_behind),
		cmocka_unit_test(take_hands_the_bytes_over_and_leaves_an_empty_buffer),
		cmocka_unit_test(free_takes_null_and_may_come_twice),
		cmocka_unit_test(spans_are_equal_by_length_and_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
