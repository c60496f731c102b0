#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/num.h"
#include "signer/in_order.h"

enum { PIECES = 200, AHEAD = 6 };

struct scene {
	uint64_t results[AHEAD], taken;
	uint64_t fails_at; /* of work, in the first half of the numbers; then of taking */
	atomic_uint begun, ended, at_once, most;
	atomic_bool out_of_order;
};

static int
begin(void *arg, void **own, struct err *e)
{
	struct scene *s = arg;

	s->begun++;
	*own = malloc(1);
	return *own ? 0 : err_set(e, ERR_SYSTEM, "no memory");
}

static struct scene *ending;

static void
end(void *own)
{
	ending->ended++;
	free(own);
}

/* Takes longer for some than for others, so that they come to their end out of order. */
static int
work(void *arg, void *own, uint64_t number, struct err *e)
{
	struct timespec some = {0, number % 7 == 0 ? 2000000 : 100000};
	struct scene *s = arg;
	unsigned now = ++s->at_once;

	(void)own;
	if (now > s->most)
		s->most = now;
	(void)nanosleep(&some, NULL);
	s->results[number % AHEAD] = number * number;
	s->at_once--;
	return number + 1 == s->fails_at ? err_set(e, ERR_REFUSED, "work %d", (int)number) : 0;
}

static int
take(void *arg, uint64_t number, struct err *e)
{
	struct scene *s = arg;

	if (number != s->taken || s->results[number % AHEAD] != number * number)
		s->out_of_order = true;
	s->taken++;
	return number + PIECES + 1 == s->fails_at ? err_set(e, ERR_REFUSED, "take %d", (int)number)
						  : 0;
}

static int
run(struct scene *s, unsigned threads, uint64_t count, struct err *e)
{
	struct in_order o = {threads, count, AHEAD, begin, end, work, take, s};

	ending = s;
	return in_order_run(&o, e);
}

static void
results_are_taken_in_order_whatever_the_number_of_threads(void **state)
{
	static const unsigned threads[] = {1, 2, 5};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		struct err e = ERR_INIT;
		struct scene s = {0};

		assert_int_equal(run(&s, threads[i], PIECES, &e), 0);
		assert_false(s.out_of_order);
		assert_int_equal(s.taken, PIECES);
		assert_int_equal(s.begun, threads[i]);
		assert_int_equal(s.ended, threads[i]);
		assert_true(s.most == threads[i] || (threads[i] > 2 && s.most > 1));
	}
}

static void
nothing_to_do_is_done_at_once(void **state)
{
	struct err e = ERR_INIT;
	struct scene s = {0};

	(void)state;
	assert_int_equal(run(&s, 3, 0, &e), 0);
	assert_int_equal(s.taken, 0);
	assert_int_equal(s.begun, s.ended);
}

static void
the_first_failure_ends_it_and_is_told(void **state)
{
	static const uint64_t fails_at[] = {1, 57, PIECES, PIECES + 1, PIECES + 57};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fails_at); i++) {
		struct scene s = {.fails_at = fails_at[i]};
		struct err e = ERR_INIT;

		assert_int_equal(run(&s, 3, PIECES, &e), -1);
		assert_int_equal(e.class, ERR_REFUSED);
		assert_memory_equal(e.text, fails_at[i] > PIECES ? "take" : "work", 4);
		assert_true(s.taken <= PIECES && s.begun == s.ended);
		assert_false(s.out_of_order);
	}
}

static void
a_silly_number_of_threads_is_refused(void **state)
{
	static const unsigned threads[] = {0, 257, 1000000};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		struct err e = ERR_INIT;
		struct scene s = {0};

		assert_int_equal(run(&s, threads[i], 1, &e), -1);
		assert_int_equal(e.class, ERR_USAGE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_are_taken_in_order_whatever_the_number_of_threads),
		cmocka_unit_test(nothing_to_do_is_done_at_once),
		cmocka_unit_test(the_first_failure_ends_it_and_is_told),
		cmocka_unit_test(a_silly_number_of_threads_is_refused),
	};

	return cmocka_run_group_tests_name("in order", tests, NULL, NULL);
}
