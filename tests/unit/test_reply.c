#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <string.h>

#include "agent/net/reply.h"
#include "common/limits.h"

static void
statuses_fit_what_was_asked_for(void **state)
{
	const struct reply whole = {.len = 9}, range = {.has_range = true, .len = 9},
			   put = {.put = true}, again = {.conditional = true, .len = 9};

	(void)state;
	for (long status = 0; status < 1000; status++) {
		assert_int_equal(reply_status_fits(&whole, status), status == 200);
		assert_int_equal(reply_status_fits(&range, status), status == 200 || status == 206);
		assert_int_equal(reply_status_fits(&again, status), status == 200 || status == 304);
		assert_int_equal(reply_status_fits(&put, status), status / 100 == 2);
	}
}

static void
another_status_is_the_errors_number(void **state)
{
	const struct reply r = {.path = "x.json", .len = 9};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(reply_check_status(&r, 200, &e), 0);
	assert_int_equal(reply_check_status(&r, 503, &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
	assert_int_equal(e.errnum, 503);
	assert_string_equal(e.text, "x.json: the server answered 503");
}

static int
check(struct reply *r, long status, int64_t declared, const char *range, struct err *e)
{
	return reply_check_head(r, &(struct reply_head){status, declared, range, NULL}, e);
}

static void
a_file_may_declare_its_limit_and_no_more(void **state)
{
	struct reply r = {.path = "x", .len = 9};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(check(&r, 200, -1, NULL, &e), 0);
	assert_int_equal(check(&r, 200, 9, NULL, &e), 0);
	assert_int_equal(check(&r, 200, 10, NULL, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

static void
a_file_that_goes_on_past_its_limit_is_refused(void **state)
{
	struct reply r = {.path = "x", .len = 9};
	struct err e = ERR_INIT;
	size_t wanted;

	(void)state;
	assert_int_equal(reply_measure(&r, 5, &wanted, &e), 0);
	assert_int_equal(wanted, 5);
	reply_take(&r, wanted);
	assert_int_equal(reply_measure(&r, 4, &wanted, &e), 0);
	assert_int_equal(reply_measure(&r, 5, &wanted, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(reply_check_end(&r, 200, &e), 0);
}

static void
a_range_must_be_the_one_that_was_asked_for(void **state)
{
	struct reply r = {.path = "x", .has_range = true, .offset = 100, .len = 10};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(check(&r, 206, 10, "bytes 100-109/200", &e), 0);
	assert_int_equal(check(&r, 206, 10, "bytes 101-110/200", &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
	assert_int_equal(check(&r, 206, 10, NULL, &e), -1);
	assert_false(r.whole);
}

static void
a_whole_file_in_answer_to_a_range_comes_from_its_beginning(void **state)
{
	struct reply r = {.path = "x", .has_range = true, .offset = 100, .len = 10};
	struct err e = ERR_INIT;
	size_t wanted;

	(void)state;
	assert_int_equal(check(&r, 200, 109, NULL, &e), -1);
	assert_string_equal(e.text, "x: the file ends before the range");
	assert_int_equal(check(&r, 200, 110, NULL, &e), 0);
	assert_true(r.whole);
	assert_int_equal(reply_measure(&r, 109, &wanted, &e), 0);
	assert_int_equal(wanted, 109);
	reply_take(&r, wanted);
	assert_int_equal(reply_check_end(&r, 200, &e), -1);
	assert_string_equal(e.text, "x: the answer ended after 109 of 110 bytes");
	/* Who asked says when it is enough. */
	assert_int_equal(reply_measure(&r, 60, &wanted, &e), 0);
	assert_int_equal(wanted, 60);
	reply_take(&r, wanted);
	assert_false(r.complete);
	assert_int_equal(reply_check_end(&r, 200, &e), 0);
}

static void
what_was_compressed_on_the_way_is_not_taken(void **state)
{
	struct reply r = {.path = "x", .has_range = true, .len = 10};
	struct reply_head head = {200, -1, NULL, "gzip"};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(reply_check_head(&r, &head, &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
	assert_non_null(strstr(e.text, "encoded it as gzip unasked"));
	head.encoding = "Identity";
	assert_int_equal(reply_check_head(&r, &head, &e), 0);
}

static void
a_range_that_ends_early_is_no_success(void **state)
{
	struct reply r = {.path = "x", .has_range = true, .len = 10};
	struct err e = ERR_INIT;

	(void)state;
	reply_take(&r, 9);
	assert_int_equal(reply_check_end(&r, 206, &e), -1);
	assert_string_equal(e.text, "x: the answer ended after 9 of 10 bytes");
	assert_int_equal(reply_check_end(&r, 304, &e), 0);
	reply_take(&r, 1);
	assert_int_equal(reply_check_end(&r, 206, &e), 0);
}

static void
an_errors_body_is_read_where_it_is_short(void **state)
{
	struct reply r = {.path = "x"};

	(void)state;
	assert_true(reply_ignore(&r, NET_IGNORED_MAX));
	assert_true(reply_ignore(&r, 0));
	assert_false(reply_ignore(&r, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses_fit_what_was_asked_for),
		cmocka_unit_test(another_status_is_the_errors_number),
		cmocka_unit_test(a_file_may_declare_its_limit_and_no_more),
		cmocka_unit_test(a_file_that_goes_on_past_its_limit_is_refused),
		cmocka_unit_test(a_range_must_be_the_one_that_was_asked_for),
		cmocka_unit_test(a_whole_file_in_answer_to_a_range_comes_from_its_beginning),
		cmocka_unit_test(what_was_compressed_on_the_way_is_not_taken),
		cmocka_unit_test(a_range_that_ends_early_is_no_success),
		cmocka_unit_test(an_errors_body_is_read_where_it_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
