#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/budget.h"
#include "tests/unit/folder.h"

/* Gives as much as is asked for, in pieces of up to 300. */
struct spring {
	uint64_t left;
	int opened, closed, expected;
	struct bill bill;
};

static int
spring_open(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	struct spring *s = arg;

	(void)offset;
	(void)e;
	s->left = len;
	s->opened++;
	return 0;
}

static ssize_t
spring_read(void *arg, void *data, size_t len, struct err *e)
{
	struct spring *s = arg;
	size_t n = len < 300 ? len : 300;

	(void)e;
	if (n > s->left)
		n = (size_t)s->left;
	memset(data, 7, n);
	s->left -= n;
	return (ssize_t)n;
}

static bool
spring_expect(void *arg, uint64_t offset, uint64_t len)
{
	struct spring *s = arg;

	(void)offset;
	(void)len;
	s->expected++;
	return true;
}

static void
spring_bill(void *arg, const struct bill *to)
{
	struct spring *s = arg;

	s->bill = *to;
}

static void
spring_close(void *arg)
{
	((struct spring *)arg)->closed++;
}

/* Too large for a stack. */
static struct state one, two;
static const struct digest release = {{9}};

static struct spring spring;
static struct source inner;

/* A box that has fetched nothing yet, and a server. */
static struct budget
begin(uint64_t max)
{
	spring = (struct spring){0};
	inner = (struct source){
		.arg = &spring, .open = spring_open, .read = spring_read, .close = spring_close};
	one = (struct state){.next_seq = 1};
	return budget_begin(".", &one, &release, 1, max);
}

static uint64_t
read_all(struct source *s, uint64_t len)
{
	uint8_t bytes[512];
	struct err e = ERR_INIT;
	uint64_t sum = 0;
	ssize_t n;

	assert_int_equal(s->open(s->arg, 0, len, &e), 0);
	while ((n = s->read(s->arg, bytes, sizeof(bytes), &e)) > 0)
		sum += (uint64_t)n;
	s->close(s->arg);
	return sum;
}

static void
a_budget_counts_what_was_fetched_and_asks_for_no_more(void **state)
{
	struct source s;
	struct err e = ERR_INIT;
	struct budget b;

	(void)state;
	b = begin(1000);
	s = budget_source(&b, &inner);
	assert_int_equal(read_all(&s, 100), 100);
	assert_int_equal(read_all(&s, 900), 900);
	assert_int_equal(spring.opened, 2);
	assert_int_equal(spring.closed, 2);
	assert_int_equal(one.spent.bytes, 1000);
	assert_false(budget_is_spent(&one.spent, &release, 1, 1000));
	assert_int_equal(s.open(s.arg, 0, 1, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(spring.opened, 2);
	assert_true(budget_is_spent(&one.spent, &release, 1, 1000));
	assert_int_equal(one.spent.wants_bytes, 1001);
	/* A plan that allows that much lets it go on. */
	assert_false(budget_is_spent(&one.spent, &release, 1, 1001));
	b = budget_begin(".", &one, &release, 1, 1001);
	s = budget_source(&b, &inner);
	assert_int_equal(read_all(&s, 1), 1);
	assert_int_equal(s.open(s.arg, 0, 1, &e), -1);
}

static int
spring_elsewhere(void *arg, unsigned tries, uint64_t spoilt, struct err *why)
{
	(void)arg;
	(void)spoilt;
	(void)why;
	return tries < 1 ? 0 : -1;
}

static void
nothing_is_on_its_way_that_the_budget_does_not_allow(void **state)
{
	struct source s;
	struct err e = ERR_INIT;
	struct budget b;
	uint8_t bytes[300];

	(void)state;
	b = begin(1000);
	inner.expect = spring_expect;
	s = budget_source(&b, &inner);
	assert_int_equal(read_all(&s, 100), 100);
	assert_int_equal(s.open(s.arg, 100, 300, &e), 0);
	assert_true(s.expect(s.arg, 500, 400));
	assert_false(s.expect(s.arg, 1000, 201));
	assert_true(s.expect(s.arg, 1000, 200));
	assert_false(s.expect(s.arg, 1300, 1));
	assert_int_equal(spring.expected, 2);
	/* What has come of the open range is spent, and no longer to come. */
	assert_int_equal(s.read(s.arg, bytes, sizeof(bytes), &e), 300);
	assert_false(s.expect(s.arg, 1300, 1));
	/* What was expected before the range that is opened never comes. */
	assert_int_equal(s.open(s.arg, 1000, 200, &e), 0);
	assert_true(s.expect(s.arg, 1300, 400));
	assert_false(s.expect(s.arg, 1800, 1));
	assert_false(budget_is_over(&b));
	/* Nor what was expected of somebody else. */
	inner.elsewhere = spring_elsewhere;
	s = budget_source(&b, &inner);
	assert_true(s.expect(s.arg, 1300, 600));
	assert_int_equal(s.elsewhere(s.arg, 0, 0, &e), 0);
	assert_true(s.expect(s.arg, 1300, 600));
}

static void
what_comes_when_its_hours_are_over_is_held(void **state)
{
	static const struct window all = {
		.days = WINDOW_EVERY_DAY, .opens_s = 22 * 3600, .length_s = 7 * 3600, .utc = true};
	const int64_t inside_s = 1800000000 / 86400 * 86400 + 4 * 3600, outside_s = inside_s + 3600;
	struct source s;
	struct err e = ERR_INIT;
	struct budget b;
	uint8_t bytes[300];

	(void)state;
	b = begin(0);
	budget_keep_hours(&b, &all, inside_s);
	s = budget_source(&b, &inner);
	assert_int_equal(s.open(s.arg, 0, 300, &e), 0);
	assert_int_equal(s.read(s.arg, bytes, 100, &e), 100);
	assert_false(budget_is_over(&b));
	budget_keep_hours(&b, &all, outside_s);
	assert_int_equal(s.read(s.arg, bytes, 100, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_string_equal(e.text, "downloads wait for their hours (daily 22:00-05:00 UTC)");
	assert_true(budget_is_over(&b));
	assert_int_equal(one.spent.wants_bytes, 0);
	b = begin(0);
	budget_keep_hours(&b, &all, outside_s);
	s = budget_meter(&b, &inner);
	assert_int_equal(s.open(s.arg, 0, 300, &e), -1);
	assert_int_equal(spring.opened, 0);
}

static void
a_source_that_expects_nothing_is_told_nothing(void **state)
{
	struct budget b;

	(void)state;
	b = begin(1000);
	assert_null(budget_source(&b, &inner).expect);
}

static void
what_comes_for_nothing_is_spent(void **state)
{
	struct source s;
	struct err e = ERR_INIT;
	struct budget b;

	(void)state;
	b = begin(1000);
	inner.bill = spring_bill;
	s = budget_source(&b, &inner);
	assert_int_equal(s.open(s.arg, 0, 300, &e), 0);
	assert_int_equal(spring.bill.ask(spring.bill.arg, 700, &e), 0);
	assert_int_equal(one.spent.bytes, 700);
	assert_int_equal(spring.bill.ask(spring.bill.arg, 1, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(one.spent.bytes, 700);
	assert_true(budget_is_over(&b));
	/* A head comes whatever was spent. */
	b = begin(1000);
	inner.bill = spring_bill;
	s = budget_meter(&b, &inner);
	assert_int_equal(spring.bill.ask(spring.bill.arg, 2000, &e), 0);
	assert_int_equal(one.spent.bytes, 2000);
}

/* Nor are they asked for without end. */
static void
bytes_that_nobody_signed_are_not_spent_on_the_release(void **state)
{
	struct source s;
	struct err e = ERR_INIT;
	struct budget b;

	(void)state;
	b = begin(1000);
	s = budget_source(&b, &inner);
	assert_int_equal(read_all(&s, 900), 900);
	assert_int_equal(s.elsewhere(s.arg, 0, 600, &e), -1); /* there is nobody */
	assert_int_equal(one.spent.bytes, 900);
	inner.elsewhere = spring_elsewhere;
	s = budget_source(&b, &inner);
	assert_int_equal(s.elsewhere(s.arg, 0, 600, &e), 0);
	assert_int_equal(one.spent.bytes, 300);
	assert_int_equal(one.spent.wasted_bytes, 600);
	assert_int_equal(s.elsewhere(s.arg, 1, 100, &e), -1);
	assert_int_equal(e.class, ERR_NONE);
	assert_int_equal(read_all(&s, 700), 700);
	assert_int_equal(s.elsewhere(s.arg, 0, 500, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_true(budget_is_over(&b));
	assert_int_equal(one.spent.bytes, 400);
}

static void
a_head_is_fetched_whatever_was_spent_if_it_fits_by_itself(void **state)
{
	struct source s;
	struct err e = ERR_INIT;
	struct budget b;

	(void)state;
	b = begin(1000);
	s = budget_source(&b, &inner);
	assert_int_equal(read_all(&s, 990), 990);
	/* Looking takes nothing. */
	assert_int_equal(budget_fits(&b, 1000, &e), 0);
	assert_int_equal(one.spent.bytes, 990);
	s = budget_meter(&b, &inner);
	assert_int_equal(read_all(&s, 100), 100);
	assert_int_equal(one.spent.bytes, 1090);
	assert_false(budget_is_spent(&one.spent, &release, 1, 1000));
	assert_int_equal(budget_fits(&b, 1001, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_true(budget_is_spent(&one.spent, &release, 1, 1000));
}

/* What a bad mirror sent is nothing that the release takes; and it does not go on without end. */
static void
what_came_wrong_is_counted_by_itself_and_bounded(void **state)
{
	struct source s;
	struct err e = ERR_INIT;
	struct budget b;

	(void)state;
	b = begin(1000);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(budget_fits(&b, 400, &e), 0);
		s = budget_meter(&b, &inner);
		assert_int_equal(read_all(&s, 400), 400);
		assert_int_equal(budget_spent(&b), 400);
		budget_waste(&b, 0);
		assert_int_equal(one.spent.bytes, 0);
		assert_int_equal(one.spent.wasted_bytes, 400 * (i + 1));
		/* Also over a power cut. */
		assert_int_equal(state_load(".", &two, &e), 0);
		assert_int_equal(two.spent.wasted_bytes, 400 * (i + 1));
	}
	s = budget_source(&b, &inner);
	assert_int_equal(read_all(&s, 1000), 1000);
	assert_int_equal(budget_fits(&b, 1, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "1.2 KiB went into what did not come"));
	assert_true(budget_is_spent(&one.spent, &release, 1, 1000));
	assert_false(budget_is_spent(&one.spent, &release, 1, 1201));
	/* Without a budget it is only counted. */
	b = budget_begin(".", &one, &release, 1, 0);
	assert_int_equal(budget_fits(&b, 400, &e), 0);
}

static void
what_was_spent_outlasts_a_restart(void **state)
{
	struct source s;
	struct err e = ERR_INIT;
	struct budget b;

	(void)state;
	b = begin(16000);
	s = budget_source(&b, &inner);
	assert_int_equal(read_all(&s, 9000), 9000);
	assert_int_equal(state_load(".", &two, &e), 0);
	assert_in_range(two.spent.bytes, 9000 - 16000 / 16 - 300, 9000);
	b = budget_begin(".", &two, &release, 1, 16000);
	s = budget_source(&b, &inner);
	assert_int_equal(s.open(s.arg, 0, 8000, &e), -1);
}

static void
another_release_or_attempt_starts_anew(void **state)
{
	static const struct digest other = {{8}};
	struct source s;
	struct budget b;

	(void)state;
	b = begin(1000);
	s = budget_source(&b, &inner);
	assert_int_equal(read_all(&s, 900), 900);
	b = budget_begin(".", &one, &release, 2, 1000);
	assert_int_equal(one.spent.bytes, 0);
	s = budget_source(&b, &inner);
	assert_int_equal(read_all(&s, 900), 900);
	b = budget_begin(".", &one, &other, 2, 1000);
	assert_int_equal(one.spent.bytes, 0);
}

static void
without_a_budget_anything_goes(void **state)
{
	struct source s;
	struct err e = ERR_INIT;
	struct budget b;

	(void)state;
	(void)begin(0);
	one = (struct state){.next_seq = 1, .spent = {.manifest = release, .attempt = 1}};
	one.spent.bytes = INT64_MAX - 10;
	b = budget_begin(".", &one, &release, 1, 0);
	assert_int_equal(budget_fits(&b, UINT64_MAX, &e), 0);
	s = budget_source(&b, &inner);
	assert_int_equal(read_all(&s, 100), 100);
	assert_int_equal(one.spent.bytes, INT64_MAX);
	assert_int_equal(s.open(s.arg, 0, UINT64_MAX, &e), 0);
	assert_false(budget_is_spent(&one.spent, &release, 1, 0));
	/* One that comes later counts what went before, and no sum runs over. */
	b = budget_begin(".", &one, &release, 1, 1000);
	s = budget_source(&b, &inner);
	assert_int_equal(s.open(s.arg, 0, UINT64_MAX, &e), -1);
	assert_true(budget_is_spent(&one.spent, &release, 1, 1000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_when_its_hours_are_over_is_held),
		cmocka_unit_test_setup_teardown(
			nothing_is_on_its_way_that_the_budget_does_not_allow, folder_enter_memory,
			folder_leave),
		cmocka_unit_test(a_source_that_expects_nothing_is_told_nothing),
		cmocka_unit_test_setup_teardown(
			what_comes_for_nothing_is_spent, folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_budget_counts_what_was_fetched_and_asks_for_no_more, folder_enter_memory,
			folder_leave),
		cmocka_unit_test_setup_teardown(
			bytes_that_nobody_signed_are_not_spent_on_the_release, folder_enter_memory,
			folder_leave),
		cmocka_unit_test_setup_teardown(
			a_head_is_fetched_whatever_was_spent_if_it_fits_by_itself,
			folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(what_came_wrong_is_counted_by_itself_and_bounded,
			folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			what_was_spent_outlasts_a_restart, folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			another_release_or_attempt_starts_anew, folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			without_a_budget_anything_goes, folder_enter_memory, folder_leave),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
