#include "tests/unit/engine_scene.h"

/* Mended in the second round, from somebody else; what stood beside it was right and is not fetched
 * again. */
static void
spoilt_chunks_among_good_ones_are_mended(void **state)
{
	static const uint64_t spoilt_at[] = {70000, CHUNK_BYTES + 70, 2 * CHUNK_BYTES + 200};
	AUTO_FREE uint8_t *before = other_bytes();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spoilt_at); i++) {
		CLEANUP(bench_free) struct bench b;
		struct err e;
		bool changed;

		bench_make(&b, before);
		b.source.others = 1;
		b.source.spoilt_at = spoilt_at[i];
		assert_int_equal(bench_fill(&b, &changed, &e), 0);
		assert_int_equal(b.source.elsewheres, 1);
		assert_true(b.source.spoilt > 0 && b.source.spoilt <= CHUNK_BYTES);
		assert_int_equal(b.stats.bytes_fetched, b.made.data.len + b.source.spoilt);
		assert_int_equal(b.stats.bytes_written, IMAGE_BYTES);
		assert_equal_and_checked(&b);
	}
}

/* One that is gone, or does not take what it is given. */
static void
a_place_that_fails_ends_it(void **state)
{
	static const int errnums[] = {ENXIO, ENODEV, 0};
	AUTO_FREE uint8_t *before = other_bytes();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(errnums); i++) {
		CLEANUP(bench_free) struct bench b;
		struct engine g;
		struct err e;
		bool changed;

		bench_make(&b, before);
		b.memory.read_errnum = errnums[i];
		b.memory.fails_to_write = errnums[i] == 0;
		assert_int_equal(bench_fill(&b, &changed, &e), -1);
		assert_int_equal(e.class, ERR_SYSTEM);
		assert_int_equal(e.errnum, errnums[i] ? errnums[i] : EIO);
		if (errnums[i])
			assert_int_equal(b.memory.reads, 1);
		assert_int_equal(b.source.opens, errnums[i] == 0);
		assert_memory_equal(b.memory.bytes, before, IMAGE_BYTES);
		g = bench_engine(&b);
		b.memory.read_errnum = EIO;
		e = ERR_INIT;
		assert_int_equal(engine_check(&g, NULL, NULL, &e), -1);
		assert_int_equal(e.errnum, EIO);
	}
}

/* Every set of worn chunks there is, in a place that is right otherwise: those are written, which
 * mends them, and no others, though all are read at once. */
static void
what_cannot_be_read_is_written_anew(void **state)
{
	static const int errnums[] = {EIO, ENODATA, EILSEQ, EREMOTEIO, EBADMSG};

	(void)state;
	for (unsigned set = 0; set < 256; set++) {
		CLEANUP(bench_free) struct bench b;
		uint64_t worn_bytes = 0;
		struct err e;
		bool changed;

		bench_make(&b, image);
		for (unsigned i = 0; i < 8; i++) {
			if (set >> i & 1)
				worn_bytes += i < 7 ? CHUNK_BYTES : 1234;
		}
		b.memory.worn = set;
		b.memory.worn_errnum = errnums[set % ARRAY_LEN(errnums)];
		assert_int_equal(bench_fill(&b, &changed, &e), 0);
		assert_int_equal(changed, set != 0);
		assert_int_equal(b.memory.worn, 0);
		assert_int_equal(b.memory.written, worn_bytes);
		assert_int_equal(b.stats.bytes_written, worn_bytes);
		assert_equal_and_checked(&b);
	}
}

/* A retry finds it, and may have it on another block. */
static void
what_cannot_be_read_back_ends_it(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct engine g;
	struct err e = ERR_INIT;

	(void)state;
	bench_make(&b, image);
	b.memory.worn = 1 << 6;
	b.memory.worn_errnum = ENODATA;
	g = bench_engine(&b);
	assert_int_equal(engine_check(&g, NULL, NULL, &e), -1);
	assert_int_equal(e.errnum, ENODATA);
	assert_non_null(strstr(e.text, "chunk at byte 393216: reading the test's place"));
}

/* What is wrong otherwise is no matter of zeros. */
static void
zeros_that_are_none_are_told_from_what_reads_back_wrong(void **state)
{
	CLEANUP(bench_free) struct bench b;
	AUTO_WANTS struct wants *lost = NULL;
	struct engine g;
	struct err e = ERR_INIT;

	(void)state;
	bench_make(&b, image);
	g = bench_engine(&b);
	assert_int_equal(wants_new(index_entries(b.index), &lost, &e), 0);
	assert_int_equal(engine_check(&g, NULL, lost, &e), 0);
	assert_int_equal(wants_count(lost), 0);
	b.memory.bytes[3 * CHUNK_BYTES + 7] = 1;
	assert_int_equal(engine_check(&g, NULL, lost, &e), 0);
	assert_int_equal(wants_count(lost), 1);
	assert_true(wants_has(lost, 2));
	assert_int_equal(engine_check(&g, NULL, NULL, &e), -1);
	b.memory.bytes[4 * CHUNK_BYTES] ^= 1;
	assert_int_equal(engine_check(&g, NULL, lost, &e), -1);
	assert_non_null(strstr(e.text, "bytes 262144 to"));
}

/* Whoever mends it later by other means goes by that. */
static void
what_was_not_written_stays_wanted(void **state)
{
	CLEANUP(bench_free) struct bench b;
	AUTO_FREE uint8_t *before = other_bytes();
	AUTO_WANTS struct wants *wrong = NULL;
	struct engine g;
	struct err e = ERR_INIT;
	uint64_t all;

	(void)state;
	bench_make(&b, before);
	b.memory.fails_to_write = true;
	g = bench_engine(&b);
	assert_int_equal(engine_compare(&g, &wrong, &e), 0);
	all = wants_count(wrong);
	assert_int_equal(all, index_entries(b.index));
	assert_int_equal(engine_mend(&g, wrong, &e), -1);
	assert_int_equal(wants_count(wrong), all);
	assert_int_equal(b.stats.bytes_written, 0);
}

/* What the comparison found right has been read already. */
static void
only_what_was_written_is_read_back(void **state)
{
	CLEANUP(bench_free) struct bench b;
	AUTO_FREE uint8_t *before = malloc(IMAGE_BYTES);
	AUTO_WANTS struct wants *changed = NULL;
	struct engine g;
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(before);
	memcpy(before, image, IMAGE_BYTES);
	before[5 * CHUNK_BYTES] ^= 1;
	bench_make(&b, before);
	g = bench_engine(&b);
	assert_int_equal(engine_fill(&g, &changed, &e), 0);
	assert_int_equal(wants_count(changed), 1);
	b.memory.bytes[0] ^= 1;
	assert_int_equal(engine_check(&g, changed, NULL, &e), 0);
	b.memory.bytes[5 * CHUNK_BYTES + 9] ^= 1;
	assert_int_equal(engine_check(&g, changed, NULL, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
}

/* More than all batches hold, of which every third chunk is right already. */
static void
many_batches_are_worked_on_in_turn(void **state)
{
	enum { CHUNKS = 16 * 13 + 5, BYTES = CHUNKS * CHUNK_BYTES - 77 };
	AUTO_FREE uint8_t *large = malloc(BYTES);
	AUTO_FREE uint8_t *held = malloc(BYTES);
	AUTO_WANTS struct wants *changed = NULL;
	struct bench b;
	struct engine g;
	struct err e = ERR_INIT;

	(void)state;
	assert_true(large && held);
	bench_make(&b, image);
	index_close(&b.index);
	index_close(&b.scout);
	(void)close(b.index_fd);
	made_free(&b.made);
	noise(large, BYTES, 5);
	memcpy(held, large, BYTES);
	for (size_t i = 0; i < CHUNKS; i++) {
		if (i % 5 == 0)
			memset(large + i * CHUNK_BYTES, (int)i, CHUNK_BYTES / 2);
		if (i % 3 != 0)
			held[i * CHUNK_BYTES + i] ^= 1;
	}
	for (size_t i = 0; i < CHUNKS; i += 15)
		memcpy(held + i * CHUNK_BYTES, large + i * CHUNK_BYTES, CHUNK_BYTES / 2);
	made_image(&b.made, "rootfs", "rootfs", span_of(large, BYTES));
	b.index_fd = memory_file(buf_span(&b.made.index));
	b.source.bytes = buf_span(&b.made.data);
	assert_int_equal(index_open(b.index_fd, "index", 0, &b.made.p, &b.index, &e), 0);
	assert_int_equal(index_open(b.index_fd, "index", 0, &b.made.p, &b.scout, &e), 0);
	made_stored_make(&b.stored, &b.made);
	free(b.memory.bytes);
	b.memory = (struct memory_place){.bytes = held, .size = BYTES};
	b.source.step = 50000;
	g = bench_engine(&b);
	assert_int_equal(engine_fill(&g, &changed, &e), 0);
	assert_int_equal(wants_count(changed), CHUNKS - (CHUNKS + 2) / 3);
	assert_memory_equal(held, large, BYTES);
	assert_int_equal(engine_check(&g, NULL, NULL, &e), 0);
	b.memory.bytes = NULL;
	bench_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spoilt_chunks_among_good_ones_are_mended),
		cmocka_unit_test(a_place_that_fails_ends_it),
		cmocka_unit_test(what_cannot_be_read_is_written_anew),
		cmocka_unit_test(what_cannot_be_read_back_ends_it),
		cmocka_unit_test(zeros_that_are_none_are_told_from_what_reads_back_wrong),
		cmocka_unit_test(what_was_not_written_stays_wanted),
		cmocka_unit_test(only_what_was_written_is_read_back),
		cmocka_unit_test(many_batches_are_worked_on_in_turn),
	};

	return run_both_ways("engine_batches", tests, ARRAY_LEN(tests));
}
