/* Chunks of which the box has some blocks, and blocks that have moved by other than whole ones. */
#include "tests/unit/reuse_scene.h"

#include "agent/haul.h"
#include "agent/reuse_parts.h"

enum { BLOCKS = CHUNKS * CHUNK_BLOCKS };

/* Noise is stored raw; of every other chunk only half of each byte is. */
static int
make_image(void **state)
{
	noise(image, sizeof(image), 1);
	for (size_t i = 0; i < sizeof(image); i++) {
		if (i / CHUNK_BYTES % 2)
			image[i] &= 0x0f;
	}
	memset(image + TEXT_CHUNK * CHUNK_BYTES, 't', CHUNK_BYTES);
	return folder_enter(state);
}

/* The running slot has the image, but for one block in each chunk: the n-th of the n-th. */
static void
running_lacks_blocks(struct bench *b)
{
	memcpy(b->running.bytes, image, IMAGE_BYTES);
	for (size_t i = 0; i < CHUNKS; i++)
		memset(b->running.bytes + i * CHUNK_BYTES + i % CHUNK_BLOCKS * BLOCK, (int)i + 1,
			BLOCK);
}

/* What the scene's chunks are stored as, and one block of each. */
static uint64_t
stored_of_lacking(const struct bench *b)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < CHUNKS; i++) {
		const uint8_t *cut =
			b->made->cuts.data + i * CUTS_BYTES + i % CHUNK_BLOCKS * CUT_BYTES;

		if (i != TEXT_CHUNK)
			sum += num_get_le16(cut);
	}
	return sum;
}

/* Where the block that lacks of a chunk is stored in the source. */
static uint64_t
lacking_at(struct bench *b, unsigned chunk)
{
	const uint8_t *record = b->made->cuts.data + chunk * CUTS_BYTES;
	uint64_t at = b->g.data_offset;
	struct err e = ERR_INIT;
	struct chunk c;
	bool more;

	assert_int_equal(index_rewind(b->index, &e), 0);
	for (unsigned i = 0; i <= chunk; i++)
		assert_int_equal(index_next(b->index, &c, &more, &e), 0);
	made_stored_bring(&b->stored, b->index);
	assert_int_equal(stored_find(b->stored.stored, chunk, &c, &e), 0);
	at += c.stored_offset;
	for (unsigned i = 0; i < chunk % CHUNK_BLOCKS; i++)
		at += num_get_le16(record + i * CUT_BYTES);
	return at;
}

static void
of_a_chunk_that_lacks_a_block_only_that_is_fetched(void **state)
{
	CLEANUP(bench_free) struct bench b;
	uint64_t before;
	struct err e;

	(void)state;
	bench_make(&b);
	b.cuts = true;
	running_lacks_blocks(&b);
	assert_int_equal(bench_take(&b, &e), 0);
	assert_int_equal(wants_count(b.wrong), 0);
	assert_int_equal(b.stats.bytes_fetched, b.source.given);
	before = BLOCKS * HINT_BYTES + CHUNKS * CUTS_BYTES;
	assert_in_range(b.stats.bytes_fetched, before - CUTS_BYTES + stored_of_lacking(&b),
		before + stored_of_lacking(&b));
	/* Blocks of text are all alike. */
	assert_int_equal(b.stats.bytes_running, CHUNKS * CHUNK_BYTES - (CHUNKS - 1) * BLOCK);
	assert_int_equal(b.stats.bytes_written, CHUNKS * CHUNK_BYTES);
	assert_memory_equal(b.inactive.bytes, image, IMAGE_BYTES);
}

static void
the_haul_counts_what_is_fetched(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct haul haul = {0};
	struct err e;

	(void)state;
	bench_make(&b);
	b.cuts = true;
	running_lacks_blocks(&b);
	assert_int_equal(bench_take(&b, &e), 0);
	assert_int_equal(wants_count(b.wrong), 0);
	for (uint64_t entry = 0; entry < CHUNKS; entry++)
		wants_add(b.wrong, entry);
	assert_int_equal(
		haul_add(&haul, &(struct haul_part){b.index, b.g.stored, b.wrong, b.found, NULL},
			&e),
		0);
	assert_int_equal(haul.in_place + haul.zeros + haul.inactive, 0);
	assert_int_equal(haul.running, b.stats.bytes_running);
	assert_int_equal(haul.running + haul.network, IMAGE_BYTES);
	/* The rest are hints and cuts. */
	assert_in_range(b.stats.bytes_fetched - haul.stored,
		BLOCKS * HINT_BYTES + (CHUNKS - 1) * CUTS_BYTES,
		BLOCKS * HINT_BYTES + CHUNKS * CUTS_BYTES);
	assert_in_range(haul.ranges, CHUNKS / 2, CHUNKS);
}

/* Any blocks that there are, of a chunk that is compressed and of one that is not. */
static void
chunks_are_completed_whatever_they_lack(void **state)
{
	(void)state;
	for (unsigned lacking = 1; lacking < 1U << CHUNK_BLOCKS; lacking = lacking * 3 + 1) {
		CLEANUP(bench_free) struct bench b;

		bench_make(&b);
		b.cuts = true;
		memcpy(b.running.bytes, image, IMAGE_BYTES);
		for (size_t i = 0; i < CHUNK_BLOCKS; i++) {
			if (!(lacking >> i & 1))
				continue;
			memset(b.running.bytes + 2 * CHUNK_BYTES + i * BLOCK, 1, BLOCK);
			memset(b.running.bytes + 5 * CHUNK_BYTES + i * BLOCK, 2, BLOCK);
		}
		assert_left(&b, 0);
	}
}

static void
a_block_that_comes_other_than_it_was_sealed_costs_its_chunk(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e;

	(void)state;
	bench_make(&b);
	b.cuts = true;
	running_lacks_blocks(&b);
	b.source.spoilt_at = lacking_at(&b, 3);
	b.source.others = 1;
	assert_int_equal(bench_take(&b, &e), 0);
	assert_int_equal(wants_count(b.wrong), 1);
	assert_true(wants_has(b.wrong, 3));
	b.source.elsewheres = 1;
	assert_int_equal(engine_mend(&b.g, b.wrong, &e), 0);
	assert_memory_equal(b.inactive.bytes, image, IMAGE_BYTES);
}

static void
cuts_that_are_not_what_was_sealed_cost_their_chunk(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e;

	(void)state;
	bench_make(&b);
	b.cuts = true;
	running_lacks_blocks(&b);
	/* As which bytes the block that lacks is stored. */
	b.bundle.data[b.j.cuts_offset + 9 * CUTS_BYTES + 9 * CUT_BYTES + 2] ^= 1;
	assert_int_equal(bench_take(&b, &e), 0);
	assert_int_equal(wants_count(b.wrong), 1);
	assert_true(wants_has(b.wrong, 9));
	assert_true(reuse_of(b.found, 9) == REUSE_NOWHERE && !reuse_is_partly(b.found, 9));
}

/* They were right when they came: so the signer is not to blame, nor whoever sent them. */
static void
cuts_that_the_disk_spoilt_are_its_own_fault(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct haul haul = {0};
	uint8_t byte;
	struct err e;

	(void)state;
	bench_make(&b);
	b.cuts = true;
	running_lacks_blocks(&b);
	assert_int_equal(bench_take(&b, &e), 0);
	for (uint64_t entry = 0; entry < CHUNKS; entry++)
		wants_add(b.wrong, entry);
	assert_int_equal(pread(b.found->cuts_fd, &byte, 1, 9 * CUTS_BYTES), 1);
	byte ^= 1;
	assert_int_equal(pwrite(b.found->cuts_fd, &byte, 1, 9 * CUTS_BYTES), 1);
	assert_int_equal(
		haul_add(&haul, &(struct haul_part){b.index, b.g.stored, b.wrong, b.found, NULL},
			&e),
		-1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(reuse_write(b.found, b.wrong, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
}

/* The state folder is small, and pages have to go into it once it is known which. */
static void
lists_that_were_looked_through_are_let_go(void **state)
{
	(void)state;
	for (int with = 0; with < 2; with++) {
		CLEANUP(bench_free) struct bench b;
		struct err e;

		bench_make(&b);
		b.cuts = true;
		if (with)
			running_lacks_blocks(&b);
		assert_int_equal(bench_take(&b, &e), 0);
		assert_int_equal(wants_count(b.wrong), with ? 0 : CHUNKS);
		assert_int_equal(b.found->hints_fd, -1);
		for (size_t i = 0; i < REUSE_OLDS; i++)
			assert_int_equal(b.found->old_fd[i], -1);
	}
}

/* What is wasted is bounded: after sixteen chunks that come to nothing no more are tried. */
static void
a_slot_that_changed_under_our_hands_is_given_up(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e;

	(void)state;
	bench_make(&b);
	b.cuts = true;
	running_lacks_blocks(&b);
	b.spoil_all = true;
	assert_int_equal(bench_take(&b, &e), 0);
	assert_int_equal(wants_count(b.wrong), CHUNKS);
	assert_int_equal(b.inactive.written, 0);
	assert_true(b.stats.bytes_fetched <
		    BLOCKS * HINT_BYTES + CHUNKS * CUTS_BYTES + 16 * (BLOCK + 100));
	assert_int_equal(engine_mend(&b.g, b.wrong, &e), 0);
	assert_memory_equal(b.inactive.bytes, image, IMAGE_BYTES);
}

static void
a_range_of_blocks_that_breaks_for_good_is_an_error_of_the_network(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e;

	(void)state;
	bench_make(&b);
	b.cuts = true;
	running_lacks_blocks(&b);
	b.source.spoiler_breaks_at = lacking_at(&b, 3) + 10;
	assert_int_equal(bench_take(&b, &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
}

/* From such a server all before a range comes along: the bundle is gone through once, and upwards.
 */
static void
of_a_source_without_ranges_no_hints_and_no_blocks_are_asked(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	b.cuts = true;
	b.source.whole_from = 1;
	running_lacks_blocks(&b);
	b.j.hints_offset = 8; /* other than where the first byte is */
	assert_left(&b, CHUNKS);
	/* But for the one that was refused. */
	assert_int_equal(b.source.opens, 2);
	assert_false(b.source.only);
}

static void
a_source_that_ends_to_give_ranges_is_asked_for_whole_chunks(void **state)
{
	(void)state;
	for (unsigned at = 0; at < CHUNKS; at++) {
		CLEANUP(bench_free) struct bench b;
		unsigned left = CHUNKS - at - (at < TEXT_CHUNK);
		struct err e;

		bench_make(&b);
		b.cuts = true;
		running_lacks_blocks(&b);
		b.source.whole_from = lacking_at(&b, at);
		if (at == TEXT_CHUNK)
			continue;
		assert_int_equal(bench_take(&b, &e), 0);
		/* Two that lie near each other are one range. */
		assert_in_range(wants_count(b.wrong), left - 1, left);
		assert_false(b.source.only);
		assert_int_equal(engine_mend(&b.g, b.wrong, &e), 0);
		assert_memory_equal(b.inactive.bytes, image, IMAGE_BYTES);
	}
}

static void
without_cuts_the_whole_chunk_is_fetched(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	running_lacks_blocks(&b);
	assert_left(&b, CHUNKS - 1);
}

/* By other than whole blocks: an insertion in a file, or a program that was linked anew. */
static void
blocks_are_found_at_every_byte(void **state)
{
	static const size_t by[] = {1, 100, 4095, 4097, 70001};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(by); i++) {
		CLEANUP(bench_free) struct bench b;

		bench_make(&b);
		b.cuts = true;
		/* The sample looks where blocks begin. */
		memcpy(b.running.bytes, image, IMAGE_BYTES / 2);
		memcpy(b.running.bytes + IMAGE_BYTES / 2 + by[i], image + IMAGE_BYTES / 2,
			IMAGE_BYTES / 2 - by[i]);
		/* What fell off at the end is fetched; of a chunk that lacks some, some. */
		assert_left(&b, by[i] / CHUNK_BYTES);
	}
}

static void
blocks_behind_a_bad_sector_are_found_at_every_byte(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	b.cuts = true;
	memcpy(b.running.bytes, image, IMAGE_BYTES / 2);
	memcpy(b.running.bytes + IMAGE_BYTES / 2 + 10, image + IMAGE_BYTES / 2,
		IMAGE_BYTES / 2 - 10);
	b.running.bad_from = 30 * CHUNK_BYTES;
	b.running.bad_to = 31 * CHUNK_BYTES;
	assert_left(&b, 1);
}

static void
a_slide_asks_whether_to_go_on(void **state)
{
	struct err e;
	unsigned all;

	(void)state;
	for (unsigned turn = 0;; turn++) {
		CLEANUP(bench_free) struct bench b;

		bench_make(&b);
		b.cuts = true;
		memcpy(b.running.bytes + 10, image, IMAGE_BYTES - 10);
		memcpy(b.running.bytes, image, IMAGE_BYTES / 2);
		if (turn > 0)
			b.asks_left = all - turn * 20;
		assert_int_equal(bench_take(&b, &e), turn > 0 ? -1 : 0);
		if (turn == 0)
			all = b.asked;
		else
			assert_int_equal(e.class, ERR_STOPPED);
		if (turn > 0 && b.asks_left < 20 && all <= (turn + 1) * 20)
			break;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_chunk_that_lacks_a_block_only_that_is_fetched),
		cmocka_unit_test(the_haul_counts_what_is_fetched),
		cmocka_unit_test(chunks_are_completed_whatever_they_lack),
		cmocka_unit_test(a_block_that_comes_other_than_it_was_sealed_costs_its_chunk),
		cmocka_unit_test(cuts_that_are_not_what_was_sealed_cost_their_chunk),
		cmocka_unit_test(cuts_that_the_disk_spoilt_are_its_own_fault),
		cmocka_unit_test(lists_that_were_looked_through_are_let_go),
		cmocka_unit_test(a_slot_that_changed_under_our_hands_is_given_up),
		cmocka_unit_test(a_range_of_blocks_that_breaks_for_good_is_an_error_of_the_network),
		cmocka_unit_test(of_a_source_without_ranges_no_hints_and_no_blocks_are_asked),
		cmocka_unit_test(a_source_that_ends_to_give_ranges_is_asked_for_whole_chunks),
		cmocka_unit_test(without_cuts_the_whole_chunk_is_fetched),
		cmocka_unit_test(blocks_are_found_at_every_byte),
		cmocka_unit_test(blocks_behind_a_bad_sector_are_found_at_every_byte),
		cmocka_unit_test(a_slide_asks_whether_to_go_on),
	};

	return cmocka_run_group_tests_name("reuse_cuts", tests, make_image, folder_leave);
}
