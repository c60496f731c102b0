#include "tests/unit/reuse_scene.h"

static int
make_image(void **state)
{
	noise(image, sizeof(image), 1);
	memset(image + TEXT_CHUNK * CHUNK_BYTES, 't', CHUNK_BYTES);
	memset(image + HOLED_CHUNK * CHUNK_BYTES + BLOCK, 0, 3 * BLOCK);
	memcpy(image + TWIN_CHUNK * CHUNK_BYTES, image + 2 * CHUNK_BYTES + BLOCK, CHUNK_BYTES);
	return folder_enter(state);
}

/* In the running slot, everything a block further up, or further down. */
static void
running_shift(struct bench *b, bool up)
{
	size_t len = (size_t)b->running.size - BLOCK;

	memcpy(b->running.bytes + (up ? BLOCK : 0), image + (up ? 0 : BLOCK), len);
}

static void
what_stands_in_the_running_slot_is_taken(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	memcpy(b.running.bytes, image, IMAGE_BYTES);
	assert_left(&b, 0);
	assert_int_equal(b.stats.bytes_running, IMAGE_BYTES);
	assert_int_equal(b.source.given, IMAGE_BYTES / BLOCK * HINT_BYTES);
	assert_int_equal(b.source.opens, 1);
}

/* But for the chunk whose block fell off at an end. */
static void
blocks_that_moved_in_the_running_slot_are_taken(void **state)
{
	(void)state;
	for (int up = 0; up < 2; up++) {
		CLEANUP(bench_free) struct bench b;

		bench_make(&b);
		running_shift(&b, up);
		assert_left(&b, 1);
		assert_int_equal(b.stats.bytes_running, IMAGE_BYTES - CHUNK_BYTES);
	}
}

static void
windows_smaller_than_the_image_find_the_same(void **state)
{
	(void)state;
	for (size_t blocks = REUSE_WINDOW_BLOCKS; blocks >= 16; blocks /= blocks > 200 ? 1024 : 2) {
		CLEANUP(bench_free) struct bench b;

		bench_make(&b);
		running_shift(&b, true);
		b.j.window_blocks = blocks;
		assert_left(&b, 1);
	}
}

/* Everything has to go down a block: what is needed lies ahead. */
static void
blocks_that_move_down_the_inactive_slot_are_taken(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	memcpy(b.inactive.bytes + BLOCK, image, IMAGE_BYTES - BLOCK);
	assert_left(&b, 1);
	assert_int_equal(b.stats.bytes_inactive, IMAGE_BYTES - CHUNK_BYTES);
}

/* Each chunk needs the last block of the one before: it is there for every other one, for the one
 * in between was not written. */
static void
blocks_that_move_up_the_inactive_slot_are_taken_unless_overwritten(void **state)
{
	CLEANUP(bench_free) struct bench b;
	unsigned planned = 0;

	(void)state;
	bench_make(&b);
	memcpy(b.inactive.bytes, image + BLOCK, IMAGE_BYTES - BLOCK);
	assert_left(&b, CHUNKS / 2); /* even ones, and odd ones behind that of text */
	for (uint64_t entry = 0; entry < CHUNKS; entry++)
		planned += reuse_of(b.found, entry) != REUSE_NOWHERE;
	assert_int_equal(planned, CHUNKS / 2);
	assert_int_equal(b.stats.bytes_running, 0);
}

static void
blocks_of_what_is_right_in_place_are_taken(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	memcpy(b.inactive.bytes, image, IMAGE_BYTES);
	memset(b.inactive.bytes + TWIN_CHUNK * CHUNK_BYTES, 1, CHUNK_BYTES);
	assert_left(&b, 0);
	assert_int_equal(b.stats.bytes_inactive, CHUNK_BYTES);
}

static void
chunks_are_put_together_from_both_slots(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	for (size_t i = 0; i < IMAGE_BYTES / BLOCK; i++) {
		uint8_t *to = i % 2 ? b.running.bytes : b.inactive.bytes;

		memcpy(to + (i ^ 1) * BLOCK, image + i * BLOCK, BLOCK);
	}
	assert_left(&b, 0);
	/* But for text and twin, whose blocks are in the running slot somewhere. */
	assert_int_equal(b.stats.bytes_inactive, IMAGE_BYTES - 2 * CHUNK_BYTES);
	assert_int_equal(b.stats.bytes_running, 2 * CHUNK_BYTES);
}

static void
damaged_block_of_the_running_slot_costs_one_chunk(void **state)
{
	(void)state;
	for (int shifted = 0; shifted < 2; shifted++) {
		CLEANUP(bench_free) struct bench b;

		bench_make(&b);
		if (shifted)
			running_shift(&b, true);
		else
			memcpy(b.running.bytes, image, IMAGE_BYTES);
		b.running.bytes[3 * CHUNK_BYTES + 8 * BLOCK] ^= 1;
		assert_left(&b, shifted ? 2 : 1);
	}
}

static void
slot_that_changes_under_our_hands_costs_one_chunk(void **state)
{
	(void)state;
	for (int shifted = 0; shifted < 2; shifted++) {
		CLEANUP(bench_free) struct bench b;

		bench_make(&b);
		if (shifted)
			running_shift(&b, true);
		else
			memcpy(b.running.bytes, image, IMAGE_BYTES);
		b.spoil_at = 3 * CHUNK_BYTES + 8 * BLOCK;
		assert_left(&b, shifted ? 2 : 1);
	}
}

static void
what_cannot_be_read_is_fetched(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	memcpy(b.running.bytes, image, IMAGE_BYTES);
	b.running.bad_from = 11 * CHUNK_BYTES - 1;
	b.running.bad_to = 12 * CHUNK_BYTES + 1;
	assert_left(&b, 3);
}

/* As if two blocks had the same hint, or somebody said so. */
static void
hint_that_is_a_lie_costs_one_chunk(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	running_shift(&b, true);
	memcpy(b.bundle.data + (3 * 16 + 5) * HINT_BYTES, b.bundle.data + 9 * 16 * HINT_BYTES,
		HINT_BYTES);
	num_put_le64(b.bundle.data + (4 * 16 + 2) * HINT_BYTES, HINT_OF_ZEROS);
	assert_left(&b, 3);
}

/* Noise, all alike, or all wanting one place in the table. */
static void
hints_of_an_attacker_cost_what_could_be_taken(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		CLEANUP(bench_free) struct bench b;

		bench_make(&b);
		running_shift(&b, true);
		for (size_t i = 0; i < IMAGE_BYTES / BLOCK; i++) {
			uint64_t hint = kind == 0   ? i * 0x9e3779b97f4a7c15ULL
					: kind == 1 ? num_get_le64(b.bundle.data)
						    : i << 40 | 7;

			num_put_le64(b.bundle.data + i * HINT_BYTES, hint);
		}
		assert_left(&b, CHUNKS);
	}
}

static void
hints_that_end_early_are_an_error_of_the_network(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e;

	(void)state;
	bench_make(&b);
	b.source.broken_always = true;
	assert_int_equal(bench_take(&b, &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
	assert_true(b.source.opens <= 3);
}

static void
range_of_hints_that_breaks_is_opened_again(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	running_shift(&b, true);
	b.source.step = 100;
	b.source.break_at = 1000;
	assert_left(&b, 1);
}

/* Half of the slot is looked at (of so few blocks), and then no more. */
static void
slot_that_has_nothing_is_not_searched(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	noise(b.running.bytes, IMAGE_BYTES, 99);
	assert_left(&b, CHUNKS);
	assert_true(b.running.read <= IMAGE_BYTES / 2);
}

/* Of many chunks a sample of hints is fetched, and a sixteenth of the slot is read; where it has
 * some of them, all is. */
static void
sample_decides_whether_hints_are_fetched(void **state)
{
	(void)state;
	for (int some = 0; some < 2; some++) {
		CLEANUP(bench_free) struct bench b;
		struct err e;

		bench_make_size(&b, MANY_BYTES);
		noise(b.running.bytes, MANY_BYTES, 99);
		if (some)
			memcpy(b.running.bytes + BLOCK, image, MANY_BYTES / 4);
		assert_int_equal(bench_take(&b, &e), 0);
		if (some) {
			assert_in_range(b.stats.bytes_running, MANY_BYTES / 4 - 2 * CHUNK_BYTES,
				MANY_BYTES / 4);
			assert_true(b.stats.bytes_fetched >= hints_size(MANY_BYTES));
			continue;
		}
		assert_int_equal(wants_count(b.wrong), MANY_BYTES / CHUNK_BYTES);
		assert_true(b.running.read <= MANY_BYTES / 14);
		assert_true(b.stats.bytes_fetched < hints_size(MANY_BYTES));
	}
}

/* Pieces at equal distances would all be among the others. */
static void
sample_sees_a_slot_of_which_every_other_chunk_can_be_taken(void **state)
{
	(void)state;
	for (size_t first = 0; first < 2; first++) {
		CLEANUP(bench_free) struct bench b;

		bench_make(&b);
		noise(b.running.bytes, IMAGE_BYTES, 99);
		for (size_t i = first; i < CHUNKS; i += 2)
			memcpy(b.running.bytes + i * CHUNK_BYTES, image + i * CHUNK_BYTES,
				CHUNK_BYTES);
		assert_left(&b, CHUNKS / 2);
	}
}

/* As what the one chunk that is wrong is stored is not known yet: chunks are, on an average, as
 * next to nothing. */
static void
slot_is_not_read_for_next_to_nothing(void **state)
{
	enum { BYTES = MANY_BYTES - CHUNK_BYTES };
	CLEANUP(bench_free) struct bench b;
	AUTO_FREE uint8_t *before = malloc(MANY_BYTES);

	(void)state;
	assert_non_null(before);
	memcpy(before, image, MANY_BYTES);
	memset(image, 0, MANY_BYTES);
	memset(image + TEXT_CHUNK * CHUNK_BYTES, 't', CHUNK_BYTES);
	memset(image + HOLED_CHUNK * CHUNK_BYTES, 'u', CHUNK_BYTES);
	bench_make_size(&b, BYTES);
	memcpy(b.running.bytes, image, BYTES);
	memcpy(b.inactive.bytes, image, BYTES);
	b.inactive.bytes[TEXT_CHUNK * CHUNK_BYTES] ^= 1;
	assert_left(&b, 1);
	assert_int_equal(b.running.read, 0);
	memcpy(image, before, MANY_BYTES);
}

static void
nothing_wrong_is_nothing_to_look_for(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	memcpy(b.inactive.bytes, image, IMAGE_BYTES);
	assert_left(&b, 0);
	assert_int_equal(b.running.read, 0);
	assert_int_equal(b.source.opens, 0);
	assert_int_equal(b.inactive.written, 0);
}

static void
without_hints_only_what_has_not_moved_is_taken(void **state)
{
	for (int shifted = 0; shifted < 2; shifted++) {
		CLEANUP(bench_free) struct bench b;

		(void)state;
		bench_make(&b);
		b.no_hints = true;
		if (shifted)
			running_shift(&b, true);
		else
			memcpy(b.running.bytes, image, IMAGE_BYTES);
		assert_left(&b, shifted ? CHUNKS : 0);
		assert_int_equal(b.stats.bytes_fetched, b.source.given);
	}
}

static void
without_room_for_its_files_everything_is_fetched(void **state)
{
	CLEANUP(bench_free) struct bench b;

	(void)state;
	bench_make(&b);
	memcpy(b.running.bytes, image, IMAGE_BYTES);
	b.state_dir = "nowhere";
	assert_left(&b, CHUNKS);
}

static void
stopped_anywhere_it_goes_on(void **state)
{
	unsigned stops = 0;

	(void)state;
	for (unsigned asks = 0;; asks += 29) {
		CLEANUP(bench_free) struct bench b;
		struct err e;

		bench_make(&b);
		running_shift(&b, true);
		memcpy(b.inactive.bytes + 30 * CHUNK_BYTES, image + 30 * CHUNK_BYTES, CHUNK_BYTES);
		b.asks_left = asks;
		if (bench_take(&b, &e) == 0)
			break;
		assert_int_equal(e.class, ERR_STOPPED);
		stops++;
		b.asks_left = UINT32_MAX;
		b.inactive.written = 0;
		b.stats = (struct install_stats){0};
		assert_left(&b, 1);
	}
	/* Comparing, sample, survey, windows and writing ask before each piece. */
	assert_true(stops > 4 * CHUNKS / 29);
}

static void
every_odd_size_is_put_together(void **state)
{
	static const size_t sizes[] = {1, BLOCK - 1, BLOCK, BLOCK + 1, CHUNK_BYTES - 1, CHUNK_BYTES,
		CHUNK_BYTES + 1, 3 * CHUNK_BYTES + BLOCK, 5 * CHUNK_BYTES + 77};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CLEANUP(bench_free) struct bench b;
		CLEANUP(bench_free) struct bench moved;

		bench_make_size(&b, sizes[i]);
		memcpy(b.running.bytes, image, sizes[i]);
		assert_left(&b, 0);
		bench_make_size(&moved, sizes[i]);
		if (sizes[i] > BLOCK)
			running_shift(&moved, true);
		/* A short last block is of no old one, and the last whole one fell off. */
		assert_left(&moved, sizes[i] > CHUNK_BYTES && sizes[i] % CHUNK_BYTES % BLOCK &&
						    sizes[i] % CHUNK_BYTES < BLOCK
					    ? 2
					    : 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stands_in_the_running_slot_is_taken),
		cmocka_unit_test(blocks_that_moved_in_the_running_slot_are_taken),
		cmocka_unit_test(windows_smaller_than_the_image_find_the_same),
		cmocka_unit_test(blocks_that_move_down_the_inactive_slot_are_taken),
		cmocka_unit_test(
			blocks_that_move_up_the_inactive_slot_are_taken_unless_overwritten),
		cmocka_unit_test(chunks_are_put_together_from_both_slots),
		cmocka_unit_test(damaged_block_of_the_running_slot_costs_one_chunk),
		cmocka_unit_test(slot_that_changes_under_our_hands_costs_one_chunk),
		cmocka_unit_test(what_cannot_be_read_is_fetched),
		cmocka_unit_test(hint_that_is_a_lie_costs_one_chunk),
		cmocka_unit_test(hints_of_an_attacker_cost_what_could_be_taken),
		cmocka_unit_test(hints_that_end_early_are_an_error_of_the_network),
		cmocka_unit_test(range_of_hints_that_breaks_is_opened_again),
		cmocka_unit_test(slot_that_has_nothing_is_not_searched),
		cmocka_unit_test(sample_decides_whether_hints_are_fetched),
		cmocka_unit_test(sample_sees_a_slot_of_which_every_other_chunk_can_be_taken),
		cmocka_unit_test(slot_is_not_read_for_next_to_nothing),
		cmocka_unit_test(nothing_wrong_is_nothing_to_look_for),
		cmocka_unit_test(without_hints_only_what_has_not_moved_is_taken),
		cmocka_unit_test(without_room_for_its_files_everything_is_fetched),
		cmocka_unit_test(stopped_anywhere_it_goes_on),
		cmocka_unit_test(every_odd_size_is_put_together),
		cmocka_unit_test(blocks_of_what_is_right_in_place_are_taken),
	};

	return cmocka_run_group_tests(tests, make_image, folder_leave);
}
