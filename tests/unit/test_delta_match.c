#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/num.h"
#include "common/format/patch.h"
#include "signer/delta_match.h"
#include "signer/delta_steps.h"
#include "tests/unit/payload.h"

enum { OLD_BYTES = 16 * CHUNK_BYTES, CODE = 3 * CHUNK_BYTES };

/* Old bytes, what is known of them, and a chunk to be told. */
struct scene {
	uint8_t *old, fresh[CHUNK_BYTES];
	struct delta_blocks *blocks;
	struct delta_seeds *seeds;
	struct delta_matcher *matcher;
	struct delta_old known;
	struct delta_match match;
};

static void
learn(struct scene *s, struct span old, unsigned threads)
{
	struct err e = ERR_INIT;

	delta_blocks_free(&s->blocks);
	delta_seeds_free(&s->seeds);
	s->blocks = NULL;
	s->seeds = NULL;
	assert_int_equal(delta_blocks_new(old, threads, &s->blocks, &e), 0);
	assert_int_equal(delta_seeds_new(old, delta_blocks_count(s->blocks) * DELTA_BLOCK_BYTES,
				 threads, &s->seeds, &e),
		0);
	s->known = (struct delta_old){old, s->blocks, s->seeds};
}

static int
setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct err e = ERR_INIT;

	assert_non_null(s);
	s->old = malloc(OLD_BYTES);
	assert_non_null(s->old);
	noise(s->old, OLD_BYTES, 7);
	assert_int_equal(delta_matcher_new(&s->matcher, &e), 0);
	learn(s, span_of(s->old, OLD_BYTES), 2);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct scene *s = *state;

	delta_blocks_free(&s->blocks);
	delta_seeds_free(&s->seeds);
	delta_matcher_free(&s->matcher);
	free(s->old);
	free(s);
	return 0;
}

/* Whatever was found: its stretches are in order and leave nothing out, and lie in the old bytes.
 */
static void
told_is_whole(const struct scene *s, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < s->match.count; i++) {
		const struct delta_stretch *x = &s->match.stretches[i];

		assert_int_equal(x->at, at);
		assert_true(x->size > 0);
		if (x->old_at != DELTA_NOWHERE)
			assert_true(x->old_at + x->size <= s->known.bytes.len);
		at += x->size;
	}
	assert_int_equal(at, len);
}

static size_t
patch_bytes(const struct scene *s, size_t len)
{
	AUTO_PATCH_WRITER struct patch_writer *w = NULL;
	AUTO_BUF struct buf out = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	struct delta_steps steps = {.old = s->known.bytes};

	assert_int_equal(patch_writer_new(&w, &e), 0);
	steps.writer = w;
	assert_int_equal(delta_steps_add(&steps, span_of(s->fresh, len), &s->match, &e), 0);
	assert_int_equal(delta_steps_finish(&steps, &out, &e), 0);
	return out.len;
}

static size_t
tell(struct scene *s, size_t len, uint64_t ahead)
{
	delta_match(s->matcher, &s->known, span_of(s->fresh, len), ahead, &s->match);
	told_is_whole(s, len);
	return patch_bytes(s, len);
}

static void
blocks_are_found_where_they_lie_whole_and_first(void **state)
{
	struct scene *s = *state;
	uint8_t block[DELTA_BLOCK_BYTES] = {0};

	assert_int_equal(delta_blocks_count(s->blocks), OLD_BYTES / DELTA_BLOCK_BYTES);
	assert_int_equal(delta_blocks_find(s->blocks, s->old + 5 * DELTA_BLOCK_BYTES, 0),
		5 * DELTA_BLOCK_BYTES);
	/* Only where one already is does it count at any place. */
	assert_true(delta_blocks_find(s->blocks, s->old + 100, DELTA_NOWHERE) == DELTA_NOWHERE);
	assert_int_equal(delta_blocks_find(s->blocks, s->old + 100, 100), 100);
	assert_true(delta_blocks_find(s->blocks, block, 0) == DELTA_NOWHERE);
	assert_true(delta_blocks_find(s->blocks, s->old + 100, OLD_BYTES - 100) == DELTA_NOWHERE);
	memcpy(s->old + 9 * DELTA_BLOCK_BYTES, s->old + 5 * DELTA_BLOCK_BYTES, sizeof(block));
	memcpy(s->old + 2 * DELTA_BLOCK_BYTES, s->old + 5 * DELTA_BLOCK_BYTES, sizeof(block));
	learn(s, span_of(s->old, OLD_BYTES - 1), 2);
	memcpy(block, s->old + 5 * DELTA_BLOCK_BYTES, sizeof(block));
	assert_int_equal(delta_blocks_find(s->blocks, block, DELTA_NOWHERE), 2 * DELTA_BLOCK_BYTES);
	assert_int_equal(
		delta_blocks_find(s->blocks, block, 9 * DELTA_BLOCK_BYTES), 9 * DELTA_BLOCK_BYTES);
	/* What ends the old bytes is no block. */
	assert_true(delta_blocks_find(s->blocks, s->old + OLD_BYTES - DELTA_BLOCK_BYTES,
			    DELTA_NOWHERE) == DELTA_NOWHERE);
}

struct places {
	size_t count;
	uint64_t last, shift;
};

static void
place_found(void *arg, size_t at, uint64_t old_at)
{
	struct places *p = arg;

	p->count++;
	p->last = old_at;
	p->shift = old_at - at;
}

static void
seeds_are_found_at_any_place_and_not_where_they_are_everywhere(void **state)
{
	struct scene *s = *state;
	struct places p = {0};

	delta_seeds_each(s->seeds, span_of(s->old + 12345, CHUNK_BYTES), place_found, &p);
	assert_in_range(p.count, CHUNK_BYTES / 32 / 2, CHUNK_BYTES / 32 * 2);
	assert_int_equal(p.shift, 12345);
	for (size_t i = 0; i < 8; i++)
		memcpy(s->old + i * CHUNK_BYTES, s->old + 9 * CHUNK_BYTES, CHUNK_BYTES);
	learn(s, span_of(s->old, OLD_BYTES), 2);
	p = (struct places){0};
	/* A bucket may be full before one is known to be everywhere. */
	delta_seeds_each(s->seeds, span_of(s->old, CHUNK_BYTES), place_found, &p);
	assert_true(p.count < CHUNK_BYTES / 32 / 4);
	p = (struct places){0};
	memset(s->fresh, 0xff, CHUNK_BYTES);
	delta_seeds_each(s->seeds, span_of(s->fresh, CHUNK_BYTES), place_found, &p);
	assert_int_equal(p.count, 0);
}

/* Of some bytes each place in a long run would be kept. */
static void
runs_of_one_byte_keep_nothing_else_from_being_found(void **state)
{
	enum { SLICE = 4 * CHUNK_BYTES, NOISE = 8192 };
	const size_t size = 256 * (size_t)SLICE;
	struct scene *s = *state;
	uint8_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(map != MAP_FAILED);
	for (size_t i = 0; i < 256; i++) {
		memset(map + i * SLICE, (int)i, SLICE - NOISE);
		noise(map + (i + 1) * SLICE - NOISE, NOISE, i + 1);
	}
	learn(s, span_of(map, size), 2);
	for (size_t i = 0; i < 256; i++) {
		struct places p = {0};

		delta_seeds_each(
			s->seeds, span_of(map + (i + 1) * SLICE - NOISE, NOISE), place_found, &p);
		assert_true(p.count > NOISE / 32 / 2);
	}
	(void)munmap(map, size);
}

static void
bytes_that_moved_by_any_number_are_taken_from_there(void **state)
{
	struct scene *s = *state;

	memcpy(s->fresh, s->old + CODE + 333, CHUNK_BYTES);
	assert_true(tell(s, CHUNK_BYTES, DELTA_NOWHERE) < 50);
	assert_int_equal(s->match.count, 1);
	assert_int_equal(s->match.stretches[0].old_at, CODE + 333);
}

static void
inserted_and_removed_bytes_cost_what_they_are(void **state)
{
	struct scene *s = *state;

	memcpy(s->fresh, s->old + CODE + 8, 20000);
	noise(s->fresh + 20000, 100, 99);
	memcpy(s->fresh + 20100, s->old + CODE + 20008, 10000);
	memcpy(s->fresh + 30100, s->old + CODE + 30700, 20000);
	assert_in_range(tell(s, 50100, DELTA_NOWHERE), 100, 100 + 80);
	assert_int_equal(s->match.count, 4);
	assert_true(s->match.stretches[1].old_at == DELTA_NOWHERE);
	assert_int_equal(s->match.stretches[1].size, 100);
}

/* As a program is that was built anew: pieces have moved, and every address in them differs. */
static void
code_whose_addresses_differ_is_taken_with_its_differences(void **state)
{
	struct scene *s = *state;

	memcpy(s->fresh, s->old + CODE + 64, CHUNK_BYTES / 2);
	memcpy(s->fresh + CHUNK_BYTES / 2, s->old + CODE + 64 + 48 + CHUNK_BYTES / 2,
		CHUNK_BYTES / 2);
	for (size_t at = 10; at < CHUNK_BYTES; at += 15 + at % 64)
		s->fresh[at] = (uint8_t)(s->fresh[at] + (at < CHUNK_BYTES / 2 ? 0x30 : 0x60));
	assert_true(tell(s, CHUNK_BYTES, DELTA_NOWHERE) < 600);
	assert_int_equal(s->match.count, 2);
	assert_in_range(s->match.stretches[1].at, CHUNK_BYTES / 2 - 30, CHUNK_BYTES / 2 + 30);
}

static void
differences_that_come_again_are_cheap(void **state)
{
	struct scene *s = *state;

	memcpy(s->fresh, s->old + CODE, CHUNK_BYTES);
	for (size_t at = 0; at < CHUNK_BYTES; at += 2)
		s->fresh[at] = (uint8_t)(s->fresh[at] + 0x30);
	assert_true(tell(s, CHUNK_BYTES, CODE) < 1000);
}

/* What leads to a place may be found behind its beginning. */
static void
a_step_begins_where_its_bytes_do(void **state)
{
	struct scene *s = *state;

	memcpy(s->fresh, s->old + CODE + 8, 20000);
	memcpy(s->fresh + 20000, s->old + CODE + 9 + 30000, 20000);
	for (size_t at = 20005; at < 20030; at += 6)
		s->fresh[at] ^= 0x77;
	(void)tell(s, 40000, DELTA_NOWHERE);
	assert_int_equal(s->match.count, 2);
	assert_in_range(s->match.stretches[1].at, 19997, 20003);
}

static void
what_nothing_is_known_of_is_looked_for_where_the_last_bytes_go_on(void **state)
{
	struct scene *s = *state;

	/* No 32 bytes in a row are the same, so that nothing else than this leads there. */
	memcpy(s->fresh, s->old + CODE, CHUNK_BYTES);
	for (size_t at = 0; at < CHUNK_BYTES; at += 20)
		s->fresh[at] = (uint8_t)(s->fresh[at] + 1);
	assert_true(tell(s, CHUNK_BYTES, DELTA_NOWHERE) > 40000);
	assert_true(tell(s, CHUNK_BYTES, CODE) < 400);
	assert_true(tell(s, CHUNK_BYTES, CODE + 20000) < 400);
	/* Beside a block that is known. */
	memcpy(s->fresh + 5 * DELTA_BLOCK_BYTES, s->old + CODE + 5 * DELTA_BLOCK_BYTES,
		DELTA_BLOCK_BYTES);
	assert_true(tell(s, CHUNK_BYTES, DELTA_NOWHERE) < 400);
}

static void
what_is_not_in_the_old_bytes_is_inserted_and_zeros_cost_nothing(void **state)
{
	struct scene *s = *state;

	noise(s->fresh, CHUNK_BYTES / 2, 1234);
	memset(s->fresh + CHUNK_BYTES / 2, 0, CHUNK_BYTES / 2);
	assert_in_range(
		tell(s, CHUNK_BYTES, DELTA_NOWHERE), CHUNK_BYTES / 2, CHUNK_BYTES / 2 + 200);
	assert_in_range(
		tell(s, CHUNK_BYTES, OLD_BYTES - 10), CHUNK_BYTES / 2, CHUNK_BYTES / 2 + 200);
	assert_true(tell(s, 1, OLD_BYTES) < 20);
	assert_true(tell(s, 1, 3) < 20);
}

/* Blocks from many places: more than are looked around at once. */
static void
known_blocks_are_taken_from_wherever_they_lie(void **state)
{
	struct scene *s = *state;

	for (size_t i = 0; i < 16; i++)
		memcpy(s->fresh + i * DELTA_BLOCK_BYTES,
			s->old + (i * 91 % 256) * DELTA_BLOCK_BYTES, DELTA_BLOCK_BYTES);
	noise(s->fresh + 7 * DELTA_BLOCK_BYTES + 500, 30, 5);
	assert_true(tell(s, CHUNK_BYTES, DELTA_NOWHERE) < 250);
}

static void
the_same_is_found_whatever_a_matcher_was_used_for_before(void **state)
{
	struct scene *s = *state;
	struct delta_stretch *first;
	size_t count;

	memcpy(s->fresh, s->old + CODE + 9, CHUNK_BYTES);
	for (size_t at = 0; at < CHUNK_BYTES; at += 90)
		noise(s->fresh + at, at % 17, at);
	(void)tell(s, CHUNK_BYTES, DELTA_NOWHERE);
	count = s->match.count;
	first = malloc(count * sizeof(*first));
	assert_non_null(first);
	memcpy(first, s->match.stretches, count * sizeof(*first));
	noise(s->fresh, 100, 3);
	(void)tell(s, 5000, 77);
	memcpy(s->fresh, s->old + CODE + 9, CHUNK_BYTES);
	for (size_t at = 0; at < CHUNK_BYTES; at += 90)
		noise(s->fresh + at, at % 17, at);
	learn(s, s->known.bytes, 5);
	(void)tell(s, CHUNK_BYTES, DELTA_NOWHERE);
	assert_int_equal(s->match.count, count);
	assert_memory_equal(first, s->match.stretches, count * sizeof(*first));
	free(first);
}

/* Memory that nobody wrote to takes none. */
static void
old_bytes_behind_4_gib_are_found_where_they_are(void **state)
{
	const uint64_t size = (UINT64_C(4) << 30) + (8 << 20), far = (UINT64_C(4) << 30) + 123456;
	struct scene *s = *state;
	uint8_t *map;

	if (size > SIZE_MAX)
		skip();
	map = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(map != MAP_FAILED);
	memcpy(map + far, s->old, CHUNK_BYTES);
	learn(s, span_of(map, (size_t)size), 2);
	memcpy(s->fresh, s->old, CHUNK_BYTES);
	s->fresh[300] ^= 1;
	assert_true(tell(s, CHUNK_BYTES, DELTA_NOWHERE) < 50);
	assert_true(s->match.stretches[0].old_at == far);
	/* And a block of it, which begins at a multiple of its size. */
	assert_true(delta_blocks_find(s->blocks, map + (far / 4096 + 2) * 4096, 0) ==
		    (far / 4096 + 2) * 4096);
	(void)munmap(map, (size_t)size);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			blocks_are_found_where_they_lie_whole_and_first, setup, teardown),
		cmocka_unit_test_setup_teardown(
			seeds_are_found_at_any_place_and_not_where_they_are_everywhere, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			runs_of_one_byte_keep_nothing_else_from_being_found, setup, teardown),
		cmocka_unit_test_setup_teardown(
			differences_that_come_again_are_cheap, setup, teardown),
		cmocka_unit_test_setup_teardown(a_step_begins_where_its_bytes_do, setup, teardown),
		cmocka_unit_test_setup_teardown(
			bytes_that_moved_by_any_number_are_taken_from_there, setup, teardown),
		cmocka_unit_test_setup_teardown(
			inserted_and_removed_bytes_cost_what_they_are, setup, teardown),
		cmocka_unit_test_setup_teardown(
			code_whose_addresses_differ_is_taken_with_its_differences, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_nothing_is_known_of_is_looked_for_where_the_last_bytes_go_on, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			what_is_not_in_the_old_bytes_is_inserted_and_zeros_cost_nothing, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			known_blocks_are_taken_from_wherever_they_lie, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_same_is_found_whatever_a_matcher_was_used_for_before, setup, teardown),
		cmocka_unit_test_setup_teardown(
			old_bytes_behind_4_gib_are_found_where_they_are, setup, teardown),
	};

	return cmocka_run_group_tests_name("delta match", tests, NULL, NULL);
}
