#include "tests/unit/cuts_scene.h"

static struct sample other;

static void
chunk_that_is_cut_is_a_chunk_like_any_other(void **state)
{
	static const size_t sizes[] = {1, 2, 100, 4095, 4096, 4097, 8192, 20580, 65535, 65536};
	static void (*const fills[])(uint8_t *, size_t) = {fill_text, fill_mixed};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
		size_t len = sizes[i / 2], sum = 0;

		fills[i % 2](s.plain, len);
		encode(&s, len);
		assert_int_equal(s.cuts.count, num_div_up(len, BLOCK));
		for (size_t b = 0; b < s.cuts.count; b++)
			sum += s.cuts.cut[b].size;
		assert_int_equal(sum, s.c.stored_size);
		back[len] = GUARD;
		assert_int_equal(
			chunk_decode(inflater, &s.c, span_of(s.stored, s.c.stored_size), back, &e),
			0);
		assert_memory_equal(back, s.plain, len);
		assert_int_equal(back[len], GUARD);
	}
}

static void
chunk_of_zeros_is_a_run_without_cuts(void **state)
{
	uint8_t record[CUTS_BYTES], zeros[CUTS_BYTES] = {0};
	struct seal none = {{0}}, seal;

	(void)state;
	memset(s.plain, 0, sizeof(s.plain));
	encode(&s, CHUNK_BYTES);
	assert_int_equal(s.c.store, CHUNK_ZERO_RUN);
	memset(record, JUNK, sizeof(record));
	cuts_put(NULL, record);
	assert_memory_equal(record, zeros, sizeof(record));
	seal = cuts_record_seal(record);
	assert_memory_equal(&seal, &none, sizeof(seal));
}

static void
chunk_is_cut_alike_in_a_used_and_in_a_new_deflater(void **state)
{
	CLEANUP(deflater_free) struct deflater *fresh = NULL;
	struct err e = ERR_INIT;
	const uint8_t *data;

	(void)state;
	encode_raw(&s);
	encode_mixed(&s);
	memcpy(other.plain, s.plain, sizeof(s.plain));
	assert_int_equal(deflater_new(6, &fresh, &e), 0);
	assert_int_equal(chunk_encode_cut(fresh, span_of(other.plain, (size_t)s.c.size),
				 other.stored, &other.c, &data, &other.cuts, &e),
		0);
	assert_int_equal(other.c.stored_size, s.c.stored_size);
	assert_memory_equal(other.stored, s.stored, s.c.stored_size);
	assert_memory_equal(other.cuts.cut, s.cuts.cut, s.cuts.count * sizeof(s.cuts.cut[0]));
}

/* The record of a chunk, as it was signed. */
static int
take(const struct sample *p, const uint8_t record[CUTS_BYTES], struct err *e)
{
	struct seal seal = cuts_record_seal(record);
	struct cuts got;
	int rc;

	memset(&got, JUNK, sizeof(got));
	rc = cuts_take(record, &seal, &p->c, &got, e);
	if (rc < 0)
		assert_int_equal(*(uint8_t *)&got, JUNK);
	else
		assert_memory_equal(got.cut, p->cuts.cut, got.count * sizeof(got.cut[0]));
	return rc;
}

static void
assert_record_refused(const struct sample *p, const uint8_t record[CUTS_BYTES], const char *says)
{
	struct err e = ERR_INIT;

	assert_int_equal(take(p, record, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	if (!strstr(e.text, says))
		fail_msg("'%s' lacks '%s'", e.text, says);
}

static void
record_of_cuts_comes_back(void **state)
{
	static const size_t sizes[] = {1, 4096, 4097, 20580, CHUNK_BYTES};
	uint8_t record[CUTS_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		fill_mixed(s.plain, sizes[i]);
		encode(&s, sizes[i]);
		cuts_put(&s.cuts, record);
		assert_int_equal(take(&s, record, &e), 0);
		fill_noise(s.plain, sizes[i], 5);
		encode(&s, sizes[i]);
		cuts_put(&s.cuts, record);
		assert_int_equal(take(&s, record, &e), 0);
	}
}

static void
record_with_any_byte_other_than_sealed_is_untrusted(void **state)
{
	uint8_t record[CUTS_BYTES];
	struct seal seal;
	struct cuts got;

	(void)state;
	encode_mixed(&s);
	cuts_put(&s.cuts, record);
	seal = cuts_record_seal(record);
	for (size_t i = 0; i < CUTS_BYTES + SEAL_BYTES; i++) {
		uint8_t *byte = i < CUTS_BYTES ? record + i : seal.b + i - CUTS_BYTES;
		struct err e = ERR_INIT;

		*byte ^= 0x80;
		assert_int_equal(cuts_take(record, &seal, &s.c, &got, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		*byte ^= 0x80;
	}
}

static void
record_of_another_chunk_is_refused_with_or_without_its_seal(void **state)
{
	uint8_t record[CUTS_BYTES], others[CUTS_BYTES];
	struct seal seal;
	struct err e = ERR_INIT;
	struct cuts got;

	(void)state;
	encode_mixed(&s);
	fill_text(other.plain, 5 * BLOCK + 100);
	encode(&other, 5 * BLOCK + 100);
	cuts_put(&s.cuts, record);
	cuts_put(&other.cuts, others);
	seal = cuts_record_seal(record);
	assert_int_equal(cuts_take(others, &seal, &s.c, &got, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_record_refused(&s, others, "a chunk's blocks are");
	encode_raw(&other);
	cuts_put(&other.cuts, others);
	assert_record_refused(&s, others, "a chunk's blocks are");
	assert_record_refused(&other, record, "a chunk's block 0 has");
}

static void
record_whose_sizes_are_not_the_chunks_is_refused(void **state)
{
	uint8_t record[CUTS_BYTES];

	(void)state;
	for (size_t b = 0; b < 6; b++) {
		for (int more = -1; more <= 1; more += 2) {
			encode_mixed(&s);
			s.cuts.cut[b].size = (uint16_t)(s.cuts.cut[b].size + more);
			cuts_put(&s.cuts, record);
			assert_record_refused(&s, record, "a chunk's blocks are");
			encode_raw(&s);
			s.cuts.cut[b].size = (uint16_t)(s.cuts.cut[b].size + more);
			cuts_put(&s.cuts, record);
			assert_record_refused(&s, record, "stored bytes");
		}
		/* The sum stays, and a block has nothing. */
		encode_mixed(&s);
		s.cuts.cut[(b + 1) % 6].size =
			(uint16_t)(s.cuts.cut[(b + 1) % 6].size + s.cuts.cut[b].size);
		s.cuts.cut[b].size = 0;
		cuts_put(&s.cuts, record);
		assert_record_refused(&s, record, "has 0 stored bytes");
	}
	/* In 16 bits they would add up to what the chunk has. */
	fill_text(s.plain, CHUNK_BYTES);
	encode(&s, CHUNK_BYTES);
	s.cuts.cut[0].size = (uint16_t)(s.cuts.cut[0].size + 32768);
	s.cuts.cut[1].size = (uint16_t)(s.cuts.cut[1].size + 32768);
	cuts_put(&s.cuts, record);
	assert_record_refused(&s, record, "a chunk's blocks are");
}

static void
record_of_a_raw_chunk_whose_cuts_are_not_its_blocks_is_refused(void **state)
{
	uint8_t record[CUTS_BYTES];

	(void)state;
	encode_raw(&s);
	s.cuts.cut[1].size++;
	s.cuts.cut[2].size--;
	cuts_put(&s.cuts, record);
	assert_record_refused(&s, record, "a chunk's block 1 has 4097 stored bytes");
}

static void
record_with_more_cuts_than_blocks_is_refused(void **state)
{
	uint8_t record[CUTS_BYTES];

	(void)state;
	encode_mixed(&s);
	cuts_put(&s.cuts, record);
	for (size_t at = 6 * CUT_BYTES; at < CUTS_BYTES; at++) {
		record[at] = 1;
		assert_record_refused(&s, record, "blocks that a chunk has not");
		record[at] = 0;
	}
}

static void
record_of_zeros_is_for_no_chunk_and_no_record_is_for_a_run(void **state)
{
	uint8_t record[CUTS_BYTES];

	(void)state;
	encode_mixed(&s);
	cuts_put(NULL, record);
	assert_record_refused(&s, record, "has 0 stored bytes");
	cuts_put(&s.cuts, record);
	s.c = (struct chunk){.store = CHUNK_ZERO_RUN, .size = CHUNK_BYTES};
	assert_record_refused(&s, record, "a run of zeros");
	s.c.size = PAYLOAD_BYTES_MAX;
	assert_record_refused(&s, record, "a run of zeros");
	cuts_put(NULL, record);
	assert_record_refused(&s, record, "a run of zeros");
}

static void
cut_is_its_own_bytes_and_no_others(void **state)
{
	struct span first;

	(void)state;
	encode_mixed(&s);
	first = span_of(s.stored, s.cuts.cut[0].size);
	assert_true(cut_is(&s.cuts.cut[0], first));
	assert_false(cut_is(&s.cuts.cut[1], first));
	assert_false(cut_is(&s.cuts.cut[0], span_of(s.stored, first.len - 1)));
	assert_false(cut_is(&s.cuts.cut[0], span_of(s.stored, first.len + 1)));
	assert_false(cut_is(&s.cuts.cut[0], span_of(s.stored, 0)));
	s.stored[first.len - 1] ^= 1;
	assert_false(cut_is(&s.cuts.cut[0], first));
	s.stored[first.len - 1] ^= 1;
	s.cuts.cut[0].size++;
	assert_false(cut_is(&s.cuts.cut[0], first));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunk_that_is_cut_is_a_chunk_like_any_other),
		cmocka_unit_test(chunk_of_zeros_is_a_run_without_cuts),
		cmocka_unit_test(chunk_is_cut_alike_in_a_used_and_in_a_new_deflater),
		cmocka_unit_test(record_of_cuts_comes_back),
		cmocka_unit_test(record_with_any_byte_other_than_sealed_is_untrusted),
		cmocka_unit_test(record_of_another_chunk_is_refused_with_or_without_its_seal),
		cmocka_unit_test(record_whose_sizes_are_not_the_chunks_is_refused),
		cmocka_unit_test(record_of_a_raw_chunk_whose_cuts_are_not_its_blocks_is_refused),
		cmocka_unit_test(record_with_more_cuts_than_blocks_is_refused),
		cmocka_unit_test(record_of_zeros_is_for_no_chunk_and_no_record_is_for_a_run),
		cmocka_unit_test(cut_is_its_own_bytes_and_no_others),
	};

	return cmocka_run_group_tests(tests, cuts_setup, cuts_teardown);
}
