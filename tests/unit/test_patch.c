#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/num.h"
#include "common/format/inflow.h"
#include "common/format/patch.h"
#include "common/format/varint.h"

enum { OLD = 300000, FRESH = 200000, GUARD = 0x5a };

static uint8_t old_bytes[OLD], fresh[FRESH], made[FRESH + 1];
static bool old_fails;
static uint32_t seed;

static uint32_t
next_random(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

static int
old_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	(void)arg;
	assert_true(offset <= OLD && len <= OLD - offset);
	if (old_fails)
		return err_set(e, ERR_SYSTEM, "the disk is gone");
	memcpy(data, old_bytes + offset, len);
	return 0;
}

static const struct patch_old old = {NULL, old_read, OLD};

static void
fill(void)
{
	seed = 1;
	old_fails = false;
	for (size_t i = 0; i < OLD; i++)
		old_bytes[i] = (uint8_t)(next_random() % 7 == 0 ? next_random() : i / 100);
}

static void
step(struct patch_writer *w, size_t at, size_t old_at, size_t taken, size_t inserted)
{
	struct err e = ERR_INIT;

	assert_int_equal(patch_step(w, old_bytes + old_at, old_at,
				 span_of(fresh + at, taken + inserted), taken, &e),
		0);
}

/* Steps of random sizes: code that moved, some bytes of which changed. Returns how much they make.
 */
static size_t
steps_random(struct patch_writer *w, size_t room)
{
	size_t at = 0;

	while (at < room) {
		size_t taken = num_min(next_random() % 5000, room - at), inserted,
		       old_at = next_random() % (OLD - 5000);

		memcpy(fresh + at, old_bytes + old_at, taken);
		for (size_t i = 0; i < taken / 50; i++)
			fresh[at + next_random() % taken] += (uint8_t)(1 + next_random() % 3);
		inserted = num_min(next_random() % 300, room - at - taken);
		if (taken + inserted == 0)
			inserted = 1;
		for (size_t i = 0; i < inserted; i++)
			fresh[at + taken + i] = (uint8_t)next_random();
		step(w, at, old_at, taken, inserted);
		at += taken + inserted;
	}
	return at;
}

static void
finish(struct patch_writer *w, struct buf *out)
{
	struct err e = ERR_INIT;

	buf_clear(out);
	assert_int_equal(patch_finish(w, out, &e), 0);
}

static int
apply(struct span stored, size_t len, size_t piece, struct err *e)
{
	AUTO_PATCH struct patch *p = NULL;

	assert_int_equal(patch_new(&p, e), 0);
	if (patch_begin(p, stored, &old, len, e) < 0)
		return -1;
	for (size_t done = 0, n; done < len; done += n) {
		n = num_min(piece, len - done);
		made[done + n] = GUARD;
		if (patch_take(p, made + done, n, e) < 0)
			return -1;
		assert_int_equal(made[done + n], GUARD);
	}
	return patch_end(p, e);
}

static void
patch_makes_what_it_was_made_of_in_pieces_of_any_size(void **state)
{
	static const size_t pieces[] = {1, 7, 4096, 65536, FRESH};
	AUTO_PATCH_WRITER struct patch_writer *w = NULL;
	AUTO_BUF struct buf stored = BUF_INIT(1 << 22);
	struct err e = ERR_INIT;

	(void)state;
	fill();
	assert_int_equal(patch_writer_new(&w, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		size_t len = steps_random(w, FRESH - i * 1000);

		assert_true(patch_plain_bytes(w) > 1000);
		finish(w, &stored);
		assert_int_equal(patch_plain_bytes(w), 0);
		memset(made, 0, sizeof(made));
		assert_int_equal(apply(buf_span(&stored), len, pieces[i], &e), 0);
		assert_memory_equal(made, fresh, len);
	}
}

static void
what_is_spent_goes_to_the_bytes_that_need_it_and_adds_up(void **state)
{
	AUTO_PATCH_WRITER struct patch_writer *w = NULL;
	AUTO_BUF struct buf stored = BUF_INIT(1 << 22);
	AUTO_PATCH struct patch *p = NULL;
	struct err e = ERR_INIT;
	uint64_t before;

	(void)state;
	fill();
	assert_int_equal(patch_writer_new(&w, &e), 0);
	memcpy(fresh, old_bytes, 60000);
	for (size_t i = 60000; i < 70000; i++)
		fresh[i] = (uint8_t)next_random();
	step(w, 0, 0, 60000, 10000);
	finish(w, &stored);
	assert_int_equal(patch_new(&p, &e), 0);
	assert_int_equal(patch_begin(p, buf_span(&stored), &old, 70000, &e), 0);
	assert_in_range(patch_spent(p), 1, 40);
	assert_int_equal(patch_take(p, made, 60000, &e), 0);
	before = patch_spent(p);
	assert_in_range(before, 1, 40);
	assert_int_equal(patch_take(p, made, 5000, &e), 0);
	assert_in_range(patch_spent(p) - before, 4990, 5010);
	assert_int_equal(patch_take(p, made, 5000, &e), 0);
	assert_int_equal(patch_spent(p), stored.len);
}

static void
same_steps_give_the_same_patch_in_a_used_writer(void **state)
{
	AUTO_PATCH_WRITER struct patch_writer *w = NULL;
	AUTO_BUF struct buf first = BUF_INIT(1 << 22), second = BUF_INIT(1 << 22);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(patch_writer_new(&w, &e), 0);
	fill();
	(void)steps_random(w, 50000);
	finish(w, &first);
	fill();
	(void)steps_random(w, 50000);
	finish(w, &second);
	assert_true(span_equal(buf_span(&first), buf_span(&second)));
}

static void
what_moved_and_is_the_same_costs_nearly_nothing(void **state)
{
	AUTO_PATCH_WRITER struct patch_writer *w = NULL;
	AUTO_BUF struct buf stored = BUF_INIT(1 << 22);
	struct err e = ERR_INIT;

	(void)state;
	fill();
	assert_int_equal(patch_writer_new(&w, &e), 0);
	memcpy(fresh, old_bytes + 12345, FRESH);
	step(w, 0, 12345, FRESH, 0);
	finish(w, &stored);
	assert_true(stored.len < 20);
	assert_int_equal(apply(buf_span(&stored), FRESH, 65536, &e), 0);
	assert_memory_equal(made, fresh, FRESH);
}

static void
writer_refuses_more_than_a_patch_may_make(void **state)
{
	AUTO_PATCH_WRITER struct patch_writer *w = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(patch_writer_new(&w, &e), 0);
	for (size_t sum = 0; sum + FRESH <= PATCH_BYTES_MAX; sum += FRESH)
		step(w, 0, 0, 0, FRESH);
	assert_int_equal(patch_step(w, old_bytes, 0, span_of(fresh, FRESH), 0, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

/* Streams that are stored as they are: what a signer could write who means harm. */
struct forged {
	struct buf streams[PATCH_STREAMS];
	struct buf stored;
};

static void
number(struct buf *b, uint64_t v)
{
	uint8_t bytes[VARINT_SIZE];
	struct err e = ERR_INIT;

	assert_int_equal(buf_append(b, bytes, varint_put(bytes, v), &e), 0);
}

static void
forged_init(struct forged *f)
{
	for (size_t i = 0; i < PATCH_STREAMS; i++)
		f->streams[i] = BUF_INIT(1 << 16);
	f->stored = BUF_INIT(1 << 20);
}

static void
forged_free(struct forged *f)
{
	for (size_t i = 0; i < PATCH_STREAMS; i++)
		buf_free(&f->streams[i]);
	buf_free(&f->stored);
}

static void
forged_step(struct forged *f, int64_t distance, uint64_t taken, uint64_t inserted)
{
	number(&f->streams[PATCH_STEPS], zigzag_fold(distance));
	number(&f->streams[PATCH_STEPS], taken);
	number(&f->streams[PATCH_STEPS], inserted);
}

/* Applied for len bytes, it is malformed for this reason. */
static void
refused(struct forged *f, size_t len, const char *reason)
{
	struct err e = ERR_INIT;

	buf_clear(&f->stored);
	for (size_t i = 0; i < PATCH_STREAMS; i++) {
		number(&f->stored, f->streams[i].len);
		number(&f->stored, f->streams[i].len);
	}
	for (size_t i = 0; i < PATCH_STREAMS; i++)
		assert_int_equal(
			buf_append(&f->stored, f->streams[i].data, f->streams[i].len, &e), 0);
	if (!reason) {
		assert_int_equal(apply(buf_span(&f->stored), len, 1000, &e), 0);
		return;
	}
	assert_int_equal(apply(buf_span(&f->stored), len, 1000, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, reason));
}

static void
step_outside_the_old_bytes_is_refused(void **state)
{
	static const struct {
		int64_t distance;
		uint64_t taken;
		const char *reason;
	} cases[] = {{OLD - 10, 10, NULL}, {OLD - 9, 10, "where the old ones have ended"},
		{OLD + 1, 10, "where the old ones have ended"},
		{-1, 10, "where the old ones have ended"},
		{INT64_MIN, 10, "where the old ones have ended"},
		{INT64_MAX, 10, "where the old ones have ended"}};

	(void)state;
	fill();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(forged_free) struct forged f;

		forged_init(&f);
		forged_step(&f, cases[i].distance, cases[i].taken, 0);
		refused(&f, 10, cases[i].reason);
	}
}

static void
step_that_makes_too_much_or_nothing_is_refused(void **state)
{
	static const struct {
		uint64_t taken, inserted;
	} cases[] = {{11, 0}, {0, 11}, {6, 5}, {UINT64_MAX, 1}, {1, UINT64_MAX}, {0, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(forged_free) struct forged f;

		forged_init(&f);
		forged_step(&f, 0, cases[i].taken, cases[i].inserted);
		refused(&f, 10, "makes more than there is to make, or nothing");
	}
}

static void
patch_that_makes_too_little_is_refused(void **state)
{
	CLEANUP(forged_free) struct forged f;

	(void)state;
	forged_init(&f);
	forged_step(&f, 0, 10, 0);
	refused(&f, 10, NULL);
	refused(&f, 11, "ends too soon");
}

static void
patch_with_something_left_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < PATCH_STREAMS; i++) {
		CLEANUP(forged_free) struct forged f;

		forged_init(&f);
		forged_step(&f, 0, 10, 0);
		if (i == PATCH_STEPS)
			forged_step(&f, 0, 1, 0);
		else
			number(&f.streams[i], 1);
		refused(&f, 10, i == PATCH_GAPS ? "ends too soon" : "that nobody wants");
	}
}

static void
gap_without_a_difference_or_behind_the_end_is_refused(void **state)
{
	static const struct {
		uint64_t same, differ;
		const char *reason;
	} cases[] = {{3, 0, "behind which nothing differs"}, {3, 8, "more to make than is wanted"},
		{9, 1, NULL}, {10, 1, "more to make"}, {UINT64_MAX, 1, "more to make"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(forged_free) struct forged f;
		struct err e = ERR_INIT;

		forged_init(&f);
		forged_step(&f, 0, 10, 0);
		number(&f.streams[PATCH_GAPS], cases[i].same);
		number(&f.streams[PATCH_GAPS], cases[i].differ);
		for (uint64_t n = 0; n < cases[i].differ; n++)
			assert_int_equal(buf_append(&f.streams[PATCH_DIFFS], "\1", 1, &e), 0);
		refused(&f, 10, cases[i].reason);
	}
}

static void
number_of_no_form_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {{"\x80\x00", 2}, {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(forged_free) struct forged f;
		struct err e = ERR_INIT;

		forged_init(&f);
		assert_int_equal(
			buf_append(&f.streams[PATCH_STEPS], cases[i].bytes, cases[i].len, &e), 0);
		refused(&f, 10, "a number of no form");
	}
}

static void
patch_cut_off_anywhere_is_refused(void **state)
{
	AUTO_PATCH_WRITER struct patch_writer *w = NULL;
	AUTO_BUF struct buf stored = BUF_INIT(1 << 22);
	struct err e = ERR_INIT;
	size_t len;

	(void)state;
	fill();
	assert_int_equal(patch_writer_new(&w, &e), 0);
	len = steps_random(w, 20000);
	finish(w, &stored);
	for (size_t cut = 0; cut < stored.len; cut += 1 + stored.len / 500) {
		assert_int_equal(apply(span_of(stored.data, cut), len, 4096, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
	}
	assert_int_equal(buf_append(&stored, "x", 1, &e), 0);
	assert_int_equal(apply(buf_span(&stored), len, 4096, &e), -1);
	assert_non_null(strstr(e.text, "goes on behind its streams"));
}

/* The last stream's stored size is the last number of the front. */
static void
stream_with_something_behind_its_end_is_refused(void **state)
{
	AUTO_PATCH_WRITER struct patch_writer *w = NULL;
	AUTO_BUF struct buf stored = BUF_INIT(1 << 16), longer = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;
	size_t numbers = 0, at = 0;

	(void)state;
	fill();
	memset(fresh, 7, 1000);
	assert_int_equal(patch_writer_new(&w, &e), 0);
	step(w, 0, 0, 0, 1000);
	finish(w, &stored);
	for (; numbers < 2 * PATCH_STREAMS; at++)
		numbers += stored.data[at] < VARINT_MORE;
	assert_int_equal(stored.data[at - 1], (uint8_t)(stored.len - at - stored.data[1]));
	assert_int_equal(buf_append(&longer, stored.data, stored.len, &e), 0);
	longer.data[at - 1]++;
	assert_int_equal(apply(buf_span(&stored), 1000, 1000, &e), 0);
	assert_int_equal(buf_append(&longer, "x", 1, &e), 0);
	assert_int_equal(apply(buf_span(&longer), 1000, 1000, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "behind the end of a stream"));
}

/* No bit of it leads outside of what it may read and write; apply() and old_read() look. */
static void
patch_with_any_bit_changed_stays_in_its_bounds(void **state)
{
	AUTO_PATCH_WRITER struct patch_writer *w = NULL;
	AUTO_BUF struct buf stored = BUF_INIT(1 << 22);
	struct err e = ERR_INIT;
	size_t len, refusals = 0;

	(void)state;
	fill();
	assert_int_equal(patch_writer_new(&w, &e), 0);
	len = steps_random(w, 10000);
	finish(w, &stored);
	for (size_t bit = 0; bit < 8 * stored.len; bit += 3) {
		stored.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (apply(buf_span(&stored), len, 3000, &e) < 0) {
			assert_int_equal(e.class, ERR_MALFORMED);
			refusals++;
		}
		stored.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(refusals > 100);
	assert_int_equal(apply(buf_span(&stored), len, 3000, &e), 0);
}

static void
failure_of_the_old_place_is_told_as_it_is(void **state)
{
	AUTO_PATCH_WRITER struct patch_writer *w = NULL;
	AUTO_BUF struct buf stored = BUF_INIT(1 << 22);
	struct err e = ERR_INIT;
	size_t len;

	(void)state;
	fill();
	assert_int_equal(patch_writer_new(&w, &e), 0);
	len = steps_random(w, 10000);
	finish(w, &stored);
	old_fails = true;
	assert_int_equal(apply(buf_span(&stored), len, 4096, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_string_equal(e.text, "the disk is gone");
}

static void
patch_over_its_limits_is_refused(void **state)
{
	static const uint8_t large[PATCH_STORED_MAX + 1];
	AUTO_PATCH struct patch *p = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(patch_new(&p, &e), 0);
	assert_int_equal(patch_begin(p, span_of(large, sizeof(large)), &old, 10, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(
		patch_begin(p, span_of(large, 8), &old, (uint64_t)PATCH_BYTES_MAX + 1, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patch_makes_what_it_was_made_of_in_pieces_of_any_size),
		cmocka_unit_test(what_is_spent_goes_to_the_bytes_that_need_it_and_adds_up),
		cmocka_unit_test(same_steps_give_the_same_patch_in_a_used_writer),
		cmocka_unit_test(what_moved_and_is_the_same_costs_nearly_nothing),
		cmocka_unit_test(writer_refuses_more_than_a_patch_may_make),
		cmocka_unit_test(step_outside_the_old_bytes_is_refused),
		cmocka_unit_test(step_that_makes_too_much_or_nothing_is_refused),
		cmocka_unit_test(patch_that_makes_too_little_is_refused),
		cmocka_unit_test(patch_with_something_left_is_refused),
		cmocka_unit_test(gap_without_a_difference_or_behind_the_end_is_refused),
		cmocka_unit_test(number_of_no_form_is_refused),
		cmocka_unit_test(patch_cut_off_anywhere_is_refused),
		cmocka_unit_test(stream_with_something_behind_its_end_is_refused),
		cmocka_unit_test(patch_with_any_bit_changed_stays_in_its_bounds),
		cmocka_unit_test(failure_of_the_old_place_is_told_as_it_is),
		cmocka_unit_test(patch_over_its_limits_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
