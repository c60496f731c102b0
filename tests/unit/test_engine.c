#include "tests/unit/engine_scene.h"

#include "agent/ranges.h"

static void
all_wrong_is_fetched_as_one_range(void **state)
{
	CLEANUP(bench_free) struct bench b;
	AUTO_FREE uint8_t *before = other_bytes();
	struct err e;
	bool changed;

	(void)state;
	bench_make(&b, before);
	assert_int_equal(bench_fill(&b, &changed, &e), 0);
	assert_true(changed);
	assert_int_equal(b.source.opens, 1);
	assert_int_equal(b.stats.bytes_fetched, b.made.data.len);
	assert_int_equal(b.stats.bytes_written, IMAGE_BYTES);
	assert_int_equal(b.stats.bytes_in_place, 0);
	assert_int_equal(b.stats.chunks, 7);
	assert_equal_and_checked(&b);
}

static void
all_right_is_neither_fetched_nor_written(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e;
	bool changed = true;

	(void)state;
	bench_make(&b, image);
	assert_int_equal(bench_fill(&b, &changed, &e), 0);
	assert_false(changed);
	assert_int_equal(b.source.opens, 0);
	assert_int_equal(b.memory.written, 0);
	assert_int_equal(b.stats.bytes_in_place, IMAGE_BYTES);
	assert_equal_and_checked(&b);
}

/* How many ranges a set of wrong chunks makes: a gap that costs less than another request is none.
 */
static unsigned
ranges_of(struct bench *b, unsigned set)
{
	/* Two chunks of zeros are one entry. */
	static const unsigned chunk_of[] = {0, 1, 2, 4, 5, 6, 7};
	uint64_t end = 0;
	unsigned count = 0;

	for (size_t i = 0; i < ARRAY_LEN(chunk_of); i++) {
		struct err e = ERR_INIT;
		struct chunk c;
		bool more;

		assert_int_equal(index_next(b->index, &c, &more, &e), 0);
		if (c.store == CHUNK_ZERO_RUN || !(set >> chunk_of[i] & 1))
			continue;
		assert_int_equal(stored_find(b->stored.stored, i, &c, &e), 0);
		count += count == 0 || c.stored_offset > end + RANGES_GAP_BYTES;
		end = c.stored_offset + c.stored_size;
	}
	return count;
}

/* Every set of wrong chunks there is: exactly those are written, and ranges are as few as can be.
 */
static void
exactly_what_is_wrong_is_mended(void **state)
{
	(void)state;
	for (unsigned set = 0; set < 256; set++) {
		CLEANUP(bench_free) struct bench b;
		AUTO_FREE uint8_t *before = malloc(IMAGE_BYTES);
		uint64_t wrong_bytes = 0;
		unsigned ranges;
		bool changed;
		struct err e;

		assert_non_null(before);
		memcpy(before, image, IMAGE_BYTES);
		for (unsigned i = 0; i < 8; i++) {
			size_t size = i < 7 ? CHUNK_BYTES : 1234;

			if (set >> i & 1) {
				before[i * CHUNK_BYTES + size - 1] ^= 0x40;
				wrong_bytes += size;
			}
		}
		bench_make(&b, before);
		ranges = ranges_of(&b, set);
		assert_int_equal(bench_fill(&b, &changed, &e), 0);
		assert_int_equal(changed, set != 0);
		assert_int_equal(b.memory.written, wrong_bytes);
		assert_int_equal(b.stats.bytes_written, wrong_bytes);
		assert_int_equal(b.source.opens, ranges);
		assert_equal_and_checked(&b);
	}
}

static void
flipped_stored_byte_is_refused_and_not_written(void **state)
{
	AUTO_FREE uint8_t *before = other_bytes();

	(void)state;
	/* The second chunk is deflated, so a flip there could mislead an inflater. */
	for (size_t at = CHUNK_BYTES; at < CHUNK_BYTES + 8; at++) {
		CLEANUP(bench_free) struct bench b;
		struct err e;
		bool changed;

		bench_make(&b, before);
		b.made.data.data[at] ^= 1;
		assert_int_equal(bench_fill(&b, &changed, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		assert_int_equal(b.memory.written, IMAGE_BYTES - CHUNK_BYTES);
		assert_memory_equal(b.memory.bytes + CHUNK_BYTES, before, CHUNK_BYTES);
	}
}

static void
broken_range_is_opened_again_where_it_broke(void **state)
{
	CLEANUP(bench_free) struct bench b;
	AUTO_FREE uint8_t *before = other_bytes();
	struct err e;
	bool changed;

	(void)state;
	bench_make(&b, before);
	b.source.step = 1000;
	b.source.break_at = 70000;
	assert_int_equal(bench_fill(&b, &changed, &e), 0);
	assert_int_equal(b.source.opens, 2);
	assert_int_equal(b.source.given, b.made.data.len);
	assert_equal_and_checked(&b);
}

static void
range_that_brings_nothing_twice_is_given_up(void **state)
{
	CLEANUP(bench_free) struct bench b;
	AUTO_FREE uint8_t *before = other_bytes();
	struct err e;
	bool changed;

	(void)state;
	bench_make(&b, before);
	b.source.broken_always = true;
	assert_int_equal(bench_fill(&b, &changed, &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
	assert_true(b.source.opens <= 3);
}

/* A stop that comes while a range is read, or a limit: asking again would not mend it. */
static void
range_that_ends_for_another_reason_is_not_opened_again(void **state)
{
	CLEANUP(bench_free) struct bench b;
	AUTO_FREE uint8_t *before = other_bytes();
	struct err e;
	bool changed;

	(void)state;
	bench_make(&b, before);
	b.source.step = 1000;
	b.source.break_at = 70000;
	b.source.broken_as = ERR_STOPPED;
	assert_int_equal(bench_fill(&b, &changed, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_int_equal(b.source.opens, 1);
}

/* Stopped after any number of chunks, it goes on from there without fetching anything twice. */
static void
stopped_anywhere_it_resumes(void **state)
{
	AUTO_FREE uint8_t *before = other_bytes();

	(void)state;
	for (unsigned asks = 0; asks < 20; asks++) {
		CLEANUP(bench_free) struct bench b;
		struct err e;
		bool changed;

		bench_make(&b, before);
		b.asks_left = asks;
		if (bench_fill(&b, &changed, &e) < 0)
			assert_int_equal(e.class, ERR_STOPPED);
		b.asks_left = UINT32_MAX;
		assert_int_equal(bench_fill(&b, &changed, &e), 0);
		assert_int_equal(b.source.given, b.made.data.len);
		assert_equal_and_checked(&b);
	}
}

static void
every_chunk_is_asked_for(void **state)
{
	CLEANUP(bench_free) struct bench b;
	AUTO_FREE uint8_t *before = other_bytes();
	struct engine g;
	struct err e;
	bool changed;

	(void)state;
	bench_make(&b, before);
	assert_int_equal(bench_fill(&b, &changed, &e), 0);
	assert_true(b.asked >= 14);
	g = bench_engine(&b);
	b.asked = 0;
	assert_int_equal(engine_check(&g, NULL, NULL, &e), 0);
	assert_true(b.asked >= 7);
	b.asks_left = 0;
	assert_int_equal(engine_check(&g, NULL, NULL, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
}

/* Two servers of three, or all of them. */
static void
chunks_that_a_server_spoils_are_asked_for_elsewhere(void **state)
{
	AUTO_FREE uint8_t *before = other_bytes();

	(void)state;
	for (int all_spoil = 0; all_spoil < 2; all_spoil++) {
		CLEANUP(bench_free) struct bench b;
		struct err e;
		bool changed;
		int rc;

		bench_make(&b, before);
		b.source.others = 2;
		b.source.all_spoil = all_spoil;
		b.source.spoilt_at = CHUNK_BYTES / 2;
		rc = bench_fill(&b, &changed, &e);
		assert_int_equal(b.source.elsewheres, 2);
		if (!all_spoil) {
			assert_int_equal(rc, 0);
			assert_equal_and_checked(&b);
			assert_int_equal(b.source.spoilt, 2 * CHUNK_BYTES);
			continue;
		}
		assert_int_equal(rc, -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		assert_non_null(strstr(e.text, "chunk at byte 0"));
		assert_memory_equal(b.memory.bytes, before, CHUNK_BYTES);
	}
}

static void
what_reads_back_wrong_is_found(void **state)
{
	AUTO_FREE uint8_t *before = other_bytes();

	(void)state;
	for (size_t at = 0; at < IMAGE_BYTES; at += CHUNK_BYTES / 2 + 7) {
		CLEANUP(bench_free) struct bench b;
		struct engine g;
		struct err e;
		bool changed;

		bench_make(&b, before);
		assert_int_equal(bench_fill(&b, &changed, &e), 0);
		b.memory.bytes[at] ^= 4;
		g = bench_engine(&b);
		assert_int_equal(engine_check(&g, NULL, NULL, &e), -1);
		assert_int_equal(e.class, ERR_SYSTEM);
		assert_non_null(strstr(e.text, "read back"));
	}
}

static void
place_that_forgets_is_found(void **state)
{
	CLEANUP(bench_free) struct bench b;
	AUTO_FREE uint8_t *before = other_bytes();
	struct engine g;
	struct err e;
	bool changed;

	(void)state;
	bench_make(&b, before);
	b.memory.forgets = true;
	assert_int_equal(bench_fill(&b, &changed, &e), 0);
	g = bench_engine(&b);
	assert_int_equal(engine_check(&g, NULL, NULL, &e), -1);
}

static void
index_that_changed_since_it_was_checked_writes_nothing(void **state)
{
	CLEANUP(bench_free) struct bench b;
	AUTO_FREE uint8_t *before = other_bytes();
	uint8_t other = 0x55;
	struct err e;
	bool changed;

	(void)state;
	bench_make(&b, before);
	assert_int_equal(file_pwrite_full(b.index_fd, "index", &other, 1,
				 INDEX_HEADER_BYTES + INDEX_ENTRY_BYTES, &e),
		0);
	assert_int_equal(bench_fill(&b, &changed, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(b.memory.written, 0);
	assert_int_equal(b.source.opens, 0);
}

/* Sizes around chunks and blocks: nothing, a byte, a block and its neighbours, a chunk likewise. */
enum { LONG_RUN_BYTES = 9 << 20 };

/* A place that holds anything but zeros, and counts what is asked of it. */
struct dirty_place {
	unsigned zeroed;
	uint64_t next, longest;
};

static int
dirty_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	(void)arg;
	(void)offset;
	(void)e;
	memset(data, 1, len);
	return 0;
}

static int
dirty_zero(void *arg, uint64_t offset, uint64_t len, uint64_t *written, struct err *e)
{
	struct dirty_place *d = arg;

	(void)e;
	assert_int_equal(offset, d->next);
	d->next += len;
	d->longest = num_max(d->longest, len);
	d->zeroed++;
	*written = len;
	return 0;
}

/* Where it has to be written it takes minutes, in which a stop comes and a watchdog waits. */
static void
a_long_run_of_zeros_is_asked_for_in_pieces(void **state)
{
	static const uint8_t zeros[LONG_RUN_BYTES];
	struct dirty_place d = {0};
	struct bench b;
	struct err e = ERR_INIT;
	AUTO_WANTS struct wants *wrong = NULL;
	struct engine g;
	bool changed;

	(void)state;
	bench_make(&b, image);
	index_close(&b.index);
	index_close(&b.scout);
	(void)close(b.index_fd);
	made_free(&b.made);
	made_image(&b.made, "rootfs", "rootfs", span_of(zeros, sizeof(zeros)));
	b.index_fd = memory_file(buf_span(&b.made.index));
	assert_int_equal(index_open(b.index_fd, "index", 0, &b.made.p, &b.index, &e), 0);
	assert_int_equal(index_open(b.index_fd, "index", 0, &b.made.p, &b.scout, &e), 0);
	b.place = (struct place){&d, dirty_read, NULL, dirty_zero, false, NULL};
	assert_int_equal(bench_fill(&b, &changed, &e), 0);
	assert_int_equal(d.next, LONG_RUN_BYTES);
	assert_true(d.longest <= 4 << 20);
	assert_int_equal(b.stats.bytes_written, LONG_RUN_BYTES);

	d = (struct dirty_place){0};
	g = bench_engine(&b);
	assert_int_equal(engine_compare(&g, &wrong, &e), 0);
	b.asks_left = 1; /* the first piece, not the second */
	assert_int_equal(engine_mend(&g, wrong, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_int_equal(d.zeroed, 1);
	bench_free(&b);
}

static void
every_odd_size_is_filled_and_checked(void **state)
{
	static const size_t sizes[] = {
		0, 1, 4095, 4096, 4097, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, IMAGE_BYTES};
	AUTO_FREE uint8_t *before = other_bytes();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CLEANUP(bench_free) struct bench b;
		struct engine g;
		struct err e;
		bool changed;

		bench_make_size(&b, before, sizes[i]);
		assert_int_equal(bench_fill(&b, &changed, &e), 0);
		assert_int_equal(changed, sizes[i] > 0);
		assert_memory_equal(b.memory.bytes, image, sizes[i]);
		assert_memory_equal(
			b.memory.bytes + sizes[i], before + sizes[i], IMAGE_BYTES - sizes[i]);
		g = bench_engine(&b);
		assert_int_equal(engine_check(&g, NULL, NULL, &e), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_wrong_is_fetched_as_one_range),
		cmocka_unit_test(all_right_is_neither_fetched_nor_written),
		cmocka_unit_test(exactly_what_is_wrong_is_mended),
		cmocka_unit_test(flipped_stored_byte_is_refused_and_not_written),
		cmocka_unit_test(broken_range_is_opened_again_where_it_broke),
		cmocka_unit_test(range_that_brings_nothing_twice_is_given_up),
		cmocka_unit_test(range_that_ends_for_another_reason_is_not_opened_again),
		cmocka_unit_test(stopped_anywhere_it_resumes),
		cmocka_unit_test(every_chunk_is_asked_for),
		cmocka_unit_test(chunks_that_a_server_spoils_are_asked_for_elsewhere),
		cmocka_unit_test(what_reads_back_wrong_is_found),
		cmocka_unit_test(place_that_forgets_is_found),
		cmocka_unit_test(a_long_run_of_zeros_is_asked_for_in_pieces),
		cmocka_unit_test(every_odd_size_is_filled_and_checked),
		cmocka_unit_test(index_that_changed_since_it_was_checked_writes_nothing),
	};

	return run_both_ways("engine", tests, ARRAY_LEN(tests));
}
