#include "tests/unit/cuts_scene.h"

static void
chunk_is_completed_whatever_of_its_blocks_are_lacking(void **state)
{
	(void)state;
	encode_mixed(&s);
	assert_all_completed(&s);
	fill_text(s.plain, 7 * BLOCK);
	encode(&s, 7 * BLOCK);
	assert_all_completed(&s);
	encode_raw(&s);
	assert_all_completed(&s);
}

static void
chunk_of_16_blocks_is_completed_from_any_one_or_two_of_them(void **state)
{
	(void)state;
	fill_mixed(s.plain, CHUNK_BYTES);
	encode(&s, CHUNK_BYTES);
	assert_int_equal(s.cuts.count, CHUNK_BLOCKS);
	for (unsigned a = 0; a < CHUNK_BLOCKS; a++) {
		for (unsigned b = a; b < CHUNK_BLOCKS; b++) {
			assert_completed(&s, 1U << a | 1U << b);
			assert_completed(&s, ALL & ~(1U << a | 1U << b));
		}
	}
	assert_completed(&s, 0);
	assert_completed(&s, ALL);
	assert_completed(&s, 0x5555);
	assert_completed(&s, 0xaaaa);
}

static void
chunk_of_one_block_is_completed(void **state)
{
	static const size_t sizes[] = {1, 50, 4095, 4096};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		fill_text(s.plain, sizes[i]);
		encode(&s, sizes[i]);
		assert_int_equal(s.cuts.count, 1);
		assert_all_completed(&s);
		fill_noise(s.plain, sizes[i], 3);
		encode(&s, sizes[i]);
		assert_int_equal(s.c.store, CHUNK_RAW);
		assert_int_equal(s.cuts.cut[0].size, sizes[i]);
		assert_all_completed(&s);
	}
}

static void
block_may_have_more_stored_bytes_than_plain_ones(void **state)
{
	(void)state;
	encode_mixed(&s);
	assert_true(s.cuts.cut[1].size > BLOCK);
	assert_completed(&s, 2);
}

/* Noise with ever more zeros: the stream comes to be as long as the bytes, one more, one less, at
 * the end and at a flush. */
static void
chunk_whose_stream_barely_fits_its_room_is_completed(void **state)
{
	size_t stored[CHUNK_ZLIB + 1] = {0};

	(void)state;
	for (size_t len = BLOCK + 1; len < BLOCK + 24; len++) {
		for (size_t zeros = 0; zeros < 400; zeros += 10) {
			fill_noise(s.plain, len, 11);
			memset(s.plain, 0, zeros);
			encode(&s, len);
			stored[s.c.store]++;
			assert_true(s.c.stored_size <= len);
			assert_completed(&s, 1);
			assert_completed(&s, 2);
			assert_completed(&s, 3);
		}
	}
	assert_true(stored[CHUNK_RAW] > 0 && stored[CHUNK_ZLIB] > 0);
}

static void
nothing_lacking_is_still_compared_with_the_index(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	encode_mixed(&s);
	spoil(&s, 1);
	assert_int_equal(complete_with(&s, 0, 0, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	spoil(&s, 0);
	assert_int_equal(complete_with(&s, 0, 1, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

/* Nothing comes out of a block of which a byte is wrong, nor of those before it. */
static void
assert_flips_refused(const struct sample *p, unsigned lacking, size_t step)
{
	size_t len = gather(p, lacking), first = 0;

	while (!(lacking >> first & 1))
		first++;
	for (size_t i = 0; i < len; i += step) {
		struct err e = ERR_INIT;

		spoil(p, lacking);
		lack[i] ^= 0x10;
		assert_int_equal(complete_with(p, lacking, len, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		assert_non_null(strstr(e.text, "not those that were sealed"));
		assert_int_equal(back[first * BLOCK], JUNK);
		lack[i] ^= 0x10;
	}
}

static void
block_with_any_stored_byte_flipped_is_untrusted_before_it_is_inflated(void **state)
{
	(void)state;
	encode_mixed(&s);
	assert_flips_refused(&s, 1, 1);
	assert_flips_refused(&s, 0x20, 1);
	assert_flips_refused(&s, 0x3f, 37);
	encode_raw(&s);
	assert_flips_refused(&s, 0x2a, 37);
}

static void
blocks_in_another_order_are_untrusted(void **state)
{
	struct err e = ERR_INIT;
	size_t len;

	(void)state;
	encode_raw(&s);
	len = gather(&s, 6);
	memcpy(lack, s.stored + 2 * BLOCK, BLOCK);
	memcpy(lack + BLOCK, s.stored + BLOCK, BLOCK);
	spoil(&s, 6);
	assert_int_equal(complete_with(&s, 6, len, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

static void
stored_bytes_that_are_too_few_or_too_many_are_refused(void **state)
{
	struct err e = ERR_INIT;
	size_t len;

	(void)state;
	encode_mixed(&s);
	len = gather(&s, 0x24);
	for (size_t n = 0; n < len; n++) {
		spoil(&s, 0x24);
		assert_int_equal(complete_with(&s, 0x24, n, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
	}
	lack[len] = 0;
	spoil(&s, 0x24);
	assert_int_equal(complete_with(&s, 0x24, len + 1, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "1 bytes stand behind"));
}

/* A hint may collide: what a box took for a block is another, and is the dictionary of the rest. */
static void
assert_neighbours_refused(const struct sample *p)
{
	for (unsigned lacking = 0; lacking + 1 < 1U << p->cuts.count; lacking++) {
		for (size_t b = 0; b < p->cuts.count; b++) {
			struct err e = ERR_INIT;

			if (lacking >> b & 1)
				continue;
			spoil(p, lacking);
			back[b * BLOCK + 99] ^= 1;
			assert_int_equal(complete_with(p, lacking, gather(p, lacking), &e), -1);
			assert_int_equal(e.class, ERR_UNTRUSTED);
			assert_non_null(strstr(e.text, "a block of it was another"));
		}
	}
}

static void
chunk_with_a_block_that_is_another_is_untrusted(void **state)
{
	(void)state;
	encode_mixed(&s);
	assert_neighbours_refused(&s);
	encode_raw(&s);
	assert_neighbours_refused(&s);
}

/* The stored bytes are what was sealed, and the index is of another chunk. */
static void
chunk_with_another_plain_digest_is_untrusted(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	encode_mixed(&s);
	s.c.plain.b[31] ^= 1;
	assert_int_equal(complete(&s, 0x3f, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	encode_raw(&s);
	s.c.plain.b[0] ^= 1;
	assert_int_equal(complete(&s, 0x3f, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

static void
assert_malformed(const struct sample *p, unsigned lacking)
{
	struct err e = ERR_INIT;

	if (complete(p, lacking, &e) == 0)
		fail_msg("%x lacking is completed", lacking);
	assert_int_equal(e.class, ERR_MALFORMED);
}

/* Signed and sealed, and cut a byte beside where it was flushed: refused whatever else is lacking.
 */
static void
stream_that_is_cut_beside_its_flushes_is_refused(void **state)
{
	(void)state;
	for (int move = -1; move <= 1; move += 2) {
		for (size_t b = 0; b < 5; b++) {
			encode_mixed(&s);
			s.cuts.cut[b].size = (uint16_t)(s.cuts.cut[b].size + move);
			s.cuts.cut[b + 1].size = (uint16_t)(s.cuts.cut[b + 1].size - move);
			sign(&s);
			for (unsigned lacking = 1; lacking < 0x40; lacking++) {
				if (lacking >> b & 1)
					assert_malformed(&s, lacking);
			}
		}
	}
}

/* A zlib stream of deflate's stored blocks, one for each of these many plain bytes; last is the one
 * that says that it ends the stream. The Adler-32 is any. */
static void
make_stream(const size_t *sizes, size_t n, size_t last)
{
	size_t at = 0, len = 2;

	s.stored[0] = 0x78;
	s.stored[1] = 0x01;
	for (size_t i = 0; i < n; i++) {
		uint16_t size = (uint16_t)sizes[i];

		s.stored[len] = i == last;
		num_put_le16(s.stored + len + 1, size);
		num_put_le16(s.stored + len + 3, (uint16_t)~size);
		memcpy(s.stored + len + 5, s.plain + at, size);
		at += size;
		len += 5 + size;
	}
	memset(s.stored + len, 0, 4);
	s.c = (struct chunk){
		.store = CHUNK_ZLIB, .size = 2 * BLOCK, .stored_size = (uint32_t)len + 4};
	s.cuts.count = 2;
}

/* The stream, cut where its first block of so many plain bytes ends. */
static void
make_cut_stream(const size_t *sizes, size_t n, size_t last, size_t first)
{
	make_stream(sizes, n, last);
	s.cuts.cut[0].size = (uint16_t)(2 + 5 + first);
	s.cuts.cut[1].size = (uint16_t)(s.c.stored_size - s.cuts.cut[0].size);
	sign(&s);
}

static void
stream_that_does_not_end_with_its_last_block_is_refused(void **state)
{
	static const size_t two[] = {BLOCK, BLOCK}, three[] = {BLOCK, BLOCK, 0};

	(void)state;
	fill_noise(s.plain, 2 * BLOCK, 5);
	make_cut_stream(two, 2, 1, BLOCK);
	assert_all_completed(&s);
	/* It ends too soon, never, or with something behind it. */
	make_cut_stream(two, 2, 0, BLOCK);
	assert_malformed(&s, 1);
	assert_malformed(&s, 2);
	assert_malformed(&s, 3);
	make_cut_stream(two, 2, 2, BLOCK);
	assert_completed(&s, 1);
	assert_malformed(&s, 2);
	assert_malformed(&s, 3);
	make_cut_stream(three, 3, 1, BLOCK);
	assert_malformed(&s, 2);
	assert_malformed(&s, 3);
}

static void
stream_of_blocks_of_another_size_is_refused(void **state)
{
	static const size_t sizes[][2] = {
		{BLOCK - 1, BLOCK + 1}, {BLOCK + 1, BLOCK - 1}, {BLOCK, BLOCK + 1}, {0, 2 * BLOCK}};

	(void)state;
	fill_noise(s.plain, 2 * BLOCK + 1, 5);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		make_cut_stream(sizes[i], 2, 1, sizes[i][0]);
		assert_malformed(&s, 3);
		assert_malformed(&s, 2);
	}
}

/* One of deflate's blocks goes on through the cut: as a whole it is a good stream. */
static void
stream_that_is_cut_within_a_block_of_its_own_is_refused(void **state)
{
	static const size_t one[] = {2 * BLOCK};

	(void)state;
	fill_noise(s.plain, 2 * BLOCK, 5);
	make_cut_stream(one, 1, 0, BLOCK);
	assert_malformed(&s, 1);
	assert_malformed(&s, 2);
	assert_malformed(&s, 3);
}

static void
stream_with_a_first_or_last_block_of_no_deflated_bytes_is_refused(void **state)
{
	static const size_t one[] = {2 * BLOCK};

	(void)state;
	fill_noise(s.plain, 2 * BLOCK, 5);
	make_stream(one, 1, 0);
	for (uint16_t size = 1; size <= 4; size++) {
		s.cuts.cut[0].size = size;
		s.cuts.cut[1].size = (uint16_t)(s.c.stored_size - size);
		sign(&s);
		assert_malformed(&s, 1);
		s.cuts.cut[0].size = s.cuts.cut[1].size;
		s.cuts.cut[1].size = size;
		sign(&s);
		assert_malformed(&s, 2);
	}
}

/* What cuts_take makes sure of; asked again where it bounds what is read and written. */
static void
chunks_that_cuts_are_not_of_are_refused(void **state)
{
	(void)state;
	encode_raw(&s);
	s.cuts.cut[4].size--;
	s.cuts.cut[5].size++;
	sign(&s);
	assert_malformed(&s, 0x10);
	assert_malformed(&s, 0x20);
	encode_raw(&s);
	s.cuts.count--;
	assert_malformed(&s, 1);
	encode_raw(&s);
	s.c.size -= 100;
	assert_malformed(&s, 1);
	encode_raw(&s);
	s.c.store = CHUNK_ZERO_RUN;
	assert_malformed(&s, 1);
	fill_noise(s.plain, CHUNK_BYTES, 9);
	encode(&s, CHUNK_BYTES);
	s.c.size = CHUNK_BYTES + 1;
	s.cuts.count = CHUNK_BLOCKS + 1;
	s.c.store = CHUNK_ZLIB;
	{
		struct err e = ERR_INIT;

		assert_int_equal(complete_with(&s, 0, 0, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
	}
}

static void
inflater_serves_whole_chunks_and_blocks_in_turn(void **state)
{
	CLEANUP(inflater_free) struct inflater *plain_zlib = NULL;
	struct err e = ERR_INIT;

	(void)state;
	encode_mixed(&s);
	assert_int_equal(inflater_new_zlib(&plain_zlib, &e), 0);
	for (int i = 0; i < 3; i++) {
		spoil(&s, 0x14);
		assert_int_equal(chunk_complete(plain_zlib, &s.c, &s.cuts, 0x14,
					 span_of(lack, gather(&s, 0x14)), back, &e),
			0);
		back[0] ^= 1;
		assert_int_equal(chunk_complete(plain_zlib, &s.c, &s.cuts, 0x14,
					 span_of(lack, gather(&s, 0x14)), back, &e),
			-1);
		assert_int_equal(chunk_decode(plain_zlib, &s.c, span_of(s.stored, s.c.stored_size),
					 back, &e),
			0);
		assert_memory_equal(back, s.plain, s.c.size);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunk_is_completed_whatever_of_its_blocks_are_lacking),
		cmocka_unit_test(chunk_of_16_blocks_is_completed_from_any_one_or_two_of_them),
		cmocka_unit_test(chunk_of_one_block_is_completed),
		cmocka_unit_test(block_may_have_more_stored_bytes_than_plain_ones),
		cmocka_unit_test(chunk_whose_stream_barely_fits_its_room_is_completed),
		cmocka_unit_test(nothing_lacking_is_still_compared_with_the_index),
		cmocka_unit_test(
			block_with_any_stored_byte_flipped_is_untrusted_before_it_is_inflated),
		cmocka_unit_test(blocks_in_another_order_are_untrusted),
		cmocka_unit_test(stored_bytes_that_are_too_few_or_too_many_are_refused),
		cmocka_unit_test(chunk_with_a_block_that_is_another_is_untrusted),
		cmocka_unit_test(chunk_with_another_plain_digest_is_untrusted),
		cmocka_unit_test(stream_that_is_cut_beside_its_flushes_is_refused),
		cmocka_unit_test(stream_that_does_not_end_with_its_last_block_is_refused),
		cmocka_unit_test(stream_of_blocks_of_another_size_is_refused),
		cmocka_unit_test(stream_that_is_cut_within_a_block_of_its_own_is_refused),
		cmocka_unit_test(stream_with_a_first_or_last_block_of_no_deflated_bytes_is_refused),
		cmocka_unit_test(chunks_that_cuts_are_not_of_are_refused),
		cmocka_unit_test(inflater_serves_whole_chunks_and_blocks_in_turn),
	};

	return cmocka_run_group_tests(tests, cuts_setup, cuts_teardown);
}
