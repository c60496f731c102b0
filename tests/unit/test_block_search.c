#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/format/hints.h"
#include "common/limits.h"
#include "signer/block_search.h"
#include "tests/unit/payload.h"

enum { BLOCK = HINT_BLOCK_BYTES, BLOCKS = 8 };

/* Eight blocks: of noise, but for the fifth, which is zeros, and the last, which is the first. */
static uint8_t *
image_new(void)
{
	uint8_t *image = calloc(BLOCKS, BLOCK);

	assert_non_null(image);
	noise(image, BLOCKS * BLOCK, 1);
	memset(image + 4 * BLOCK, 0, BLOCK);
	memcpy(image + 7 * BLOCK, image, BLOCK);
	return image;
}

/* Looks for all of them. */
static struct block_search *
look(const uint8_t *image, struct span old, const uint8_t *passed, unsigned threads)
{
	struct block_search *s = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(block_search_new(span_of(image, BLOCKS * BLOCK), BLOCKS, &s, &e), 0);
	for (uint64_t i = 0; i < BLOCKS; i++)
		block_search_add(s, i);
	assert_int_equal(block_search_run(s, old, passed, threads, "test", &e), 0);
	return s;
}

static void
blocks_are_found_at_every_byte_and_told_by_whether_it_is_a_multiple(void **state)
{
	static const uint8_t none[8];
	AUTO_FREE uint8_t *image = image_new();

	(void)state;
	for (size_t at = 0; at < 3 * BLOCK; at += at < 20 || at > BLOCK - 20 ? 1 : 251) {
		AUTO_FREE uint8_t *old = calloc(6, BLOCK);
		AUTO_BLOCK_SEARCH struct block_search *s = NULL;
		enum block_found want = at % BLOCK == 0 ? BLOCK_ALIGNED : BLOCK_UNALIGNED;

		memcpy(old + at, image + 2 * BLOCK, 2 * BLOCK);
		s = look(image, span_of(old, 6 * BLOCK), none, 1);
		assert_int_equal(block_search_of(s, 2), want);
		assert_int_equal(block_search_of(s, 3), want);
		assert_int_equal(block_search_of(s, 1), BLOCK_NOWHERE);
		assert_int_equal(block_search_of(s, 4), BLOCK_OF_ZEROS);
	}
}

static void
blocks_that_are_alike_are_wanted_once_and_found_all(void **state)
{
	static const uint8_t none[8];
	AUTO_FREE uint8_t *image = image_new();
	AUTO_BLOCK_SEARCH struct block_search *s = look(image, span_of(image, BLOCK), none, 1);

	(void)state;
	assert_int_equal(block_search_wanted(s), BLOCKS - 2);
	assert_int_equal(block_search_unaligned(s), BLOCKS - 3);
	assert_int_equal(block_search_of(s, 0), BLOCK_ALIGNED);
	assert_int_equal(block_search_of(s, 7), BLOCK_ALIGNED);
}

static void
in_chunks_that_are_passed_nothing_is_found_at_multiples(void **state)
{
	static const uint8_t second[8] = {2};
	AUTO_FREE uint8_t *image = image_new();
	AUTO_FREE uint8_t *old = calloc(2, CHUNK_BYTES);
	AUTO_BLOCK_SEARCH struct block_search *s = NULL;

	(void)state;
	memcpy(old + CHUNK_BYTES - BLOCK, image + BLOCK, 2 * BLOCK);
	s = look(image, span_of(old, 2 * CHUNK_BYTES), second, 1);
	assert_int_equal(block_search_of(s, 1), BLOCK_ALIGNED);
	assert_int_equal(block_search_of(s, 2), BLOCK_UNALIGNED);
}

/* Of two words without a bit in common that are made by the rule of Thue and Morse every hint of
 * this kind is the same, whatever its factor is, if they are long enough. */
static void
other_bytes_with_the_same_hint_are_not_found(void **state)
{
	static const uint8_t none[8];
	AUTO_FREE uint8_t *image = image_new();
	AUTO_FREE uint8_t *old = calloc(1, BLOCK);
	AUTO_BLOCK_SEARCH struct block_search *s = NULL;
	uint8_t a[HINTS_CHUNK_BYTES], b[HINTS_CHUNK_BYTES];

	(void)state;
	for (unsigned i = 0; i < BLOCK; i++) {
		image[i] = (uint8_t)(__builtin_popcount(i) % 2);
		old[i] = 1 - image[i];
	}
	(void)hints_of(span_of(image, BLOCK), a);
	(void)hints_of(span_of(old, BLOCK), b);
	assert_memory_equal(a, b, HINT_BYTES);
	s = look(image, span_of(old, BLOCK), none, 1);
	assert_int_equal(block_search_of(s, 0), BLOCK_NOWHERE);
}

/* Threads take shares of 4 MiB, and blocks lie across where these meet. */
static void
blocks_are_found_by_several_threads_and_across_their_shares(void **state)
{
	const size_t size = 11 << 20;
	AUTO_FREE uint8_t *image = image_new();
	AUTO_FREE uint8_t *old = calloc(1, size), *none = calloc(1, size / CHUNK_BYTES);

	(void)state;
	memcpy(old + (4 << 20) - 1, image + BLOCK, BLOCK);
	memcpy(old + (8 << 20) - BLOCK + 1, image + 2 * BLOCK, BLOCK);
	memcpy(old + size - BLOCK, image + 3 * BLOCK, BLOCK);
	memcpy(old, image, BLOCK);
	for (unsigned threads = 1; threads <= 4; threads++) {
		AUTO_BLOCK_SEARCH struct block_search *s =
			look(image, span_of(old, size), none, threads);

		assert_int_equal(block_search_of(s, 0), BLOCK_ALIGNED);
		assert_int_equal(block_search_of(s, 1), BLOCK_UNALIGNED);
		assert_int_equal(block_search_of(s, 2), BLOCK_UNALIGNED);
		assert_int_equal(block_search_of(s, 3), BLOCK_ALIGNED);
		assert_int_equal(block_search_of(s, 5), BLOCK_NOWHERE);
	}
}

static void
an_old_image_shorter_than_a_block_has_none(void **state)
{
	static const uint8_t none[8];
	AUTO_FREE uint8_t *image = image_new();
	AUTO_BLOCK_SEARCH struct block_search *s = look(image, span_of(image, BLOCK - 1), none, 2);

	(void)state;
	assert_int_equal(block_search_of(s, 0), BLOCK_NOWHERE);
	assert_int_equal(block_search_run(s, span_of(image, BLOCK), none, 0, "test", NULL), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			blocks_are_found_at_every_byte_and_told_by_whether_it_is_a_multiple),
		cmocka_unit_test(blocks_that_are_alike_are_wanted_once_and_found_all),
		cmocka_unit_test(in_chunks_that_are_passed_nothing_is_found_at_multiples),
		cmocka_unit_test(other_bytes_with_the_same_hint_are_not_found),
		cmocka_unit_test(blocks_are_found_by_several_threads_and_across_their_shares),
		cmocka_unit_test(an_old_image_shorter_than_a_block_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
