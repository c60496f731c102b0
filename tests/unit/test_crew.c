/* Threads that cannot be had, a disk that hangs, and who is asked meanwhile. */
#include "tests/unit/engine_scene.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

/* So many threads may still be had. */
static unsigned threads_left = UINT32_MAX;

typedef int create_thread(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int
pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	union {
		void *found;
		create_thread *call;
	} real = {.found = dlsym(RTLD_NEXT, "pthread_create")};

	if (threads_left == 0)
		return EAGAIN;
	threads_left--;
	return real.call(out, attr, run, arg);
}

/* The boot clock is ahead by so much. */
static _Atomic int64_t ahead_s;

int
clock_gettime(clockid_t clock, struct timespec *out)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, out);

	if (rc == 0 && clock == CLOCK_BOOTTIME)
		out->tv_sec += ahead_s;
	return rc;
}

static void
with_few_threads_or_none_it_is_done_all_the_same(void **state)
{
	AUTO_FREE uint8_t *before = other_bytes();

	(void)state;
	for (unsigned threads = 0; threads < 2; threads++) {
		for (int fails = 0; fails < 2; fails++) {
			CLEANUP(bench_free) struct bench b;
			struct err e;
			bool changed;
			int rc;

			bench_make(&b, before);
			b.memory.fails_to_write = fails;
			threads_left = threads;
			rc = bench_fill(&b, &changed, &e);
			threads_left = UINT32_MAX;
			assert_int_equal(rc, fails ? -1 : 0);
			if (fails)
				assert_int_equal(e.errnum, EIO);
			else
				assert_equal_and_checked(&b);
		}
	}
}

/* A disk that hangs in its first read until the owner, who has nothing left to do, asks. */
struct hanging {
	struct bench *b;
	unsigned asks_before; /* while there is something to do */
	int64_t for_s;	      /* so long it has hung by then */
	unsigned naps_ms;     /* and goes on for so long */
	bool stops;	      /* and the answer to that question is no, once */
	sem_t asked;
	_Atomic bool hung;
};

static int
hanging_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	struct hanging *h = arg;

	if (!h->hung) {
		h->hung = true;
		while (sem_wait(&h->asked) < 0)
			;
		clock_sleep_ms(h->naps_ms);
	}
	return place_read(&h->b->memory, data, len, offset, e);
}

static int
hanging_ask(void *arg, struct err *e)
{
	struct hanging *h = arg;

	if (++h->b->asked != h->asks_before + 1)
		return 0;
	ahead_s += h->for_s;
	(void)sem_post(&h->asked);
	return h->stops ? err_set(e, ERR_STOPPED, "stopped by the test") : 0;
}

static int
compare_hanging(struct hanging *h, struct err *e)
{
	AUTO_WANTS struct wants *wrong = NULL;
	struct place place = {h, hanging_read, NULL, NULL, shared, NULL};
	struct engine g = bench_engine(h->b);

	assert_int_equal(sem_init(&h->asked, 0, 0), 0);
	h->asks_before = (unsigned)index_entries(h->b->index);
	h->b->keep_going = (struct keep_going){hanging_ask, h};
	g.place = &place;
	return engine_compare(&g, &wrong, e);
}

/* Who told it does not tell it again. */
static void
a_stop_that_comes_as_the_last_batches_are_waited_for_counts(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct hanging h = {.b = &b, .stops = true};
	struct err e = ERR_INIT;

	(void)state;
	bench_make(&b, image);
	assert_int_equal(compare_hanging(&h, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
}

/* To ask is to say that it gets ahead. */
static void
nobody_is_asked_any_more_once_the_disk_has_hung_for_long(void **state)
{
	(void)state;
	for (int64_t hung_s = 30; hung_s <= 90; hung_s += 60) {
		CLEANUP(bench_free) struct bench b;
		struct hanging h = {.b = &b, .for_s = hung_s, .naps_ms = 1200};
		struct err e = ERR_INIT;

		bench_make(&b, image);
		assert_int_equal(compare_hanging(&h, &e), 0);
		if (hung_s > 60)
			assert_int_equal(b.asked, h.asks_before + 1);
	}
}

/* Before its end is read, the first of its bytes were found to be spoilt. */
static void
a_server_that_spoils_bytes_and_breaks_off_is_left(void **state)
{
	CLEANUP(bench_free) struct bench b;
	AUTO_FREE uint8_t *before = other_bytes();
	struct err e;
	bool changed;

	(void)state;
	bench_make(&b, before);
	b.source.others = 1;
	b.source.spoilt_at = 70;
	b.source.spoiler_breaks_at = 2 * CHUNK_BYTES;
	assert_int_equal(bench_fill(&b, &changed, &e), 0);
	assert_int_equal(b.source.elsewheres, 1);
	assert_int_equal(b.source.spoilt, CHUNK_BYTES);
	assert_equal_and_checked(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_few_threads_or_none_it_is_done_all_the_same),
		cmocka_unit_test(a_stop_that_comes_as_the_last_batches_are_waited_for_counts),
		cmocka_unit_test(nobody_is_asked_any_more_once_the_disk_has_hung_for_long),
		cmocka_unit_test(a_server_that_spoils_bytes_and_breaks_off_is_left),
	};

	return run_both_ways("crew", tests, ARRAY_LEN(tests));
}
