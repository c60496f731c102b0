/* What a box does with a delta's copies and records. */
#include "tests/unit/delta_use_scene.h"

static void
copies_records_and_zeros_are_written_and_fresh_chunks_are_left(void **state)
{
	CLEANUP(scene_free) struct scene s;
	const char *told = "CCSSRRFRCRZZZRSSSSSSSSSSSSSSSSSSSSCFRRRC";
	uint64_t records = 9, copies = 0;

	(void)state;
	scene_make(&s, told);
	for (size_t i = 0; told[i]; i++)
		copies += told[i] == 'C' || told[i] == 'S';
	scene_look(&s);
	assert_int_equal(delta_use_of(s.use, 0), DELTA_USE_RUNNING);
	assert_int_equal(delta_use_of(s.use, 4), DELTA_USE_RECORD);
	assert_int_equal(delta_use_of(s.use, 6), DELTA_USE_NOT);
	assert_int_equal(delta_use_bytes(s.use), s.records.len);
	assert_int_equal(delta_use_ranges(s.use), 1);
	assert_leaves(&s, 2);
	assert_int_equal(s.stats.bytes_delta, (records - 1) * CHUNK_BYTES);
	assert_int_equal(s.stats.bytes_running, copies * CHUNK_BYTES);
	assert_int_equal(s.stats.bytes_fetched, s.records.len);
	assert_int_equal(s.memory.given, s.records.len);
	assert_false(s.hopeless);
}

/* As after an interruption: the chunk in the middle of the record is skipped, not written. */
static void
only_records_of_wrong_chunks_are_fetched(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "RRRRRRCC");
	memcpy(s.target.bytes, s.two.fresh, 3 * CHUNK_BYTES);
	scene_look(&s);
	assert_int_equal(wants_count(s.wrong), 5);
	assert_int_equal(delta_use_of(s.use, 2), DELTA_USE_NOT);
	assert_int_equal(delta_use_of(s.use, 3), DELTA_USE_RECORD);
	assert_true(delta_use_bytes(s.use) < s.records.len);
	assert_int_equal(scene_write(&s, &(struct err){0}), 0);
	assert_int_equal(wants_count(s.wrong), 0);
	assert_int_equal(s.memory.given, delta_use_bytes(s.use));
	assert_memory_equal(s.target.bytes, s.two.fresh, s.two.bytes);
	assert_int_equal(s.target.written, 5 * CHUNK_BYTES);
}

static void
nothing_is_used_where_nothing_is_wrong(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "CRZF");
	memcpy(s.target.bytes, s.two.fresh, s.two.bytes);
	scene_look(&s);
	assert_null(s.use);
}

/* Whoever made it compared; but nobody has to believe what cannot be. */
static void
a_record_that_is_larger_than_its_chunks_is_not_used(void **state)
{
	CLEANUP(scene_free) struct scene s;
	uint8_t large[4];
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s, "CCRR");
	scene_look(&s);
	assert_int_equal(delta_use_of(s.use, 2), DELTA_USE_RECORD);
	num_put_le32(large, 2 * CHUNK_BYTES + 1);
	assert_int_equal(file_pwrite_full(s.delta.fd, "delta", large, sizeof(large),
				 s.delta.head.parts[0].records_at, &e),
		0);
	s.delta.head.parts[0].data_size = 2 * CHUNK_BYTES + 1;
	scene_look(&s);
	assert_int_equal(delta_use_of(s.use, 0), DELTA_USE_RUNNING);
	assert_int_equal(delta_use_of(s.use, 2), DELTA_USE_NOT);
	assert_int_equal(delta_use_bytes(s.use), 0);
}

/* As of a compressed kernel in an image of text: the average chunk takes less than the record. */
static void
records_of_what_does_not_shrink_are_used(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "CCRR");
	s.made.p.members[MEMBER_DATA].size = 4;
	scene_look(&s);
	assert_int_equal(delta_use_of(s.use, 2), DELTA_USE_RECORD);
	assert_int_equal(delta_use_of(s.use, 3), DELTA_USE_RECORD);
}

/* One of its two chunks is right already, and the record is for both. */
static void
what_is_wrong_of_a_record_decides_whether_it_pays(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "RRRR");
	s.made.p.members[MEMBER_DATA].size = s.records.len + s.records.len / 2;
	memcpy(s.target.bytes, s.two.fresh, CHUNK_BYTES);
	scene_look(&s);
	assert_int_equal(delta_use_of(s.use, 1), DELTA_USE_NOT);
	assert_int_equal(delta_use_of(s.use, 2), DELTA_USE_RECORD);
	assert_int_equal(delta_use_of(s.use, 3), DELTA_USE_RECORD);
}

static void
old_bytes_that_are_damaged_cost_the_chunks_made_of_them(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "CCCCRRRRSSSSCCCCCCCCCCCC");
	s.two.old[1 * CHUNK_BYTES + 5] ^= 1;
	s.two.old[5 * CHUNK_BYTES + 5] ^= 1;
	/* In the first 4 KiB of a chunk, so that the one before is made of it. */
	s.two.old[10 * CHUNK_BYTES + 5] ^= 1;
	assert_leaves(&s, 3);
	assert_true(wants_has(s.wrong, 1) && wants_has(s.wrong, 5) && wants_has(s.wrong, 9));
	assert_false(s.hopeless);
}

static void
old_bytes_that_cannot_be_read_cost_the_chunks_made_of_them(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "CCCCSSSSRRRR");
	s.running.bad_from = 6 * CHUNK_BYTES + 100;
	s.running.bad_to = s.running.bad_from + 10;
	/* Shifted by less than a chunk: entry 5 reads up to byte 4095 of chunk 6, entry 6 the rest.
	 */
	assert_leaves(&s, 1);
	assert_true(wants_has(s.wrong, 5));
	s.running.bad_from = 9 * CHUNK_BYTES;
	s.running.bad_to = s.running.bad_from + 1;
	memset(s.target.bytes, 0x77, s.two.bytes);
	assert_leaves(&s, 1);
	assert_true(wants_has(s.wrong, 9));
}

/* A record that is not what was sealed; the walk goes on behind it. */
static void
a_spoilt_record_costs_its_chunks(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "RRRRRRCC");
	s.memory.spoilt_at = s.delta.head.size + 1;
	s.memory.all_spoil = true;
	assert_leaves(&s, 2);
	assert_true(wants_has(s.wrong, 0) && wants_has(s.wrong, 1));
	assert_int_equal(s.memory.elsewheres, 0);
	assert_in_range(s.memory.spoilt, 1, s.records.len);
	assert_false(s.hopeless);
}

static void
a_spoilt_record_is_asked_for_elsewhere(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "RRRRRRCC");
	s.memory.spoilt_at = s.delta.head.size + 1;
	s.memory.others = 2;
	assert_leaves(&s, 0);
	assert_int_equal(s.memory.elsewheres, 2);
}

/* Signed, and still nonsense: what stands in the records was sealed as it is. */
static void
records_that_are_swapped_tell_no_chunk_wrong(void **state)
{
	CLEANUP(scene_free) struct scene s;
	uint8_t *first, *second, was[DELTA_RECORD_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s, "RRRRCCCC");
	/* In the list of the head; the bytes stay where they are. */
	first = s.file.data + s.delta.head.parts[0].records_at;
	second = first + DELTA_RECORD_BYTES;
	memcpy(was, first, sizeof(was));
	memcpy(first, second, sizeof(was));
	memcpy(second, was, sizeof(was));
	assert_int_equal(file_pwrite_full(s.delta.fd, "delta", first, 2 * sizeof(was),
				 s.delta.head.parts[0].records_at, &e),
		0);
	assert_leaves(&s, 4);
}

static void
a_base_that_gives_nothing_is_given_up(void **state)
{
	CLEANUP(scene_free) struct scene s;
	char told[201];

	(void)state;
	memset(told, 'C', 200);
	told[200] = 0;
	scene_make(&s, told);
	noise(s.two.old, s.two.old_bytes, 8);
	assert_leaves(&s, 200);
	assert_true(s.hopeless);
}

static void
a_base_that_is_half_right_is_used_to_the_end(void **state)
{
	CLEANUP(scene_free) struct scene s;
	char told[201];

	(void)state;
	memset(told, 'C', 200);
	told[200] = 0;
	scene_make(&s, told);
	for (size_t i = 1; i < 100; i++)
		s.two.old[2 * i * CHUNK_BYTES] ^= 1;
	assert_leaves(&s, 99);
	assert_false(s.hopeless);
}

/* The bundle has what it has. */
static void
records_that_cannot_be_had_end_no_install(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "CCRRRRCC");
	s.memory.broken_always = true;
	assert_leaves(&s, 6);
	assert_true(s.hopeless);
}

static void
a_range_that_breaks_off_once_is_gone_on_with(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "CCRRRRRRCC");
	s.memory.step = 50;
	s.memory.break_at = 120;
	assert_leaves(&s, 0);
	assert_false(s.hopeless);
	assert_int_equal(s.stats.bytes_fetched, s.records.len);
}

static void
a_server_without_ranges_has_no_records(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "CCRRRRCC");
	s.memory.whole_from = 1;
	assert_leaves(&s, 6);
	assert_true(s.hopeless);
	assert_int_equal(s.memory.given, 0);
}

static void
a_stop_ends_it_before_the_next_chunk_and_what_was_made_is_written(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s, "CCRRRRCC");
	scene_look(&s);
	/* For the first four chunks, and the record. */
	s.asks_left = 5;
	assert_int_equal(scene_write(&s, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_nothing_wrong_written(&s);
	assert_int_equal(wants_count(s.wrong), 4);
	s.asks_left = UINT32_MAX;
	scene_look(&s);
	assert_int_equal(scene_write(&s, &e), 0);
	assert_int_equal(wants_count(s.wrong), 0);
}

static void
a_budget_that_says_no_ends_the_install(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s, "CCRRRRCC");
	scene_look(&s);
	s.memory.broken_always = true;
	s.memory.broken_as = ERR_REFUSED;
	assert_int_equal(scene_write(&s, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_nothing_wrong_written(&s);
}

/* Where the index was not made from it, and is right: the index counts. */
static void
a_delta_that_contradicts_the_index_is_refused(void **state)
{
	CLEANUP(scene_free) struct scene s, other;
	struct err e = ERR_INIT;
	struct delta_use_job j;

	(void)state;
	scene_make(&s, "CCZR");
	scene_make(&other, "CZCR");
	scene_look(&s);
	j = (struct delta_use_job){.g = &s.g,
		.wrong = s.wrong,
		.payload = &s.made.p,
		.delta = &other.delta,
		.running = &s.running_place,
		.source = &s.source};
	delta_use_free(&s.use);
	assert_int_equal(delta_use_look(&j, &s.use, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "entry 1"));
}

/* It says so for itself: what comes out is compared with the index. */
static void
digests_of_a_delta_count_for_nothing(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;
	uint8_t lie[DIGEST_BYTES] = {0};

	(void)state;
	scene_make(&s, "CCRR");
	assert_int_equal(file_pwrite_full(s.delta.fd, "delta", lie, sizeof(lie),
				 s.delta.head.parts[0].digests_at, &e),
		0);
	assert_leaves(&s, 0);
}

/* It was right when it was looked at: whatever stands there later is this box's own disk's fault,
 * condemns no release, and writes nothing wrong. */
static void
a_delta_that_changes_on_the_disk_is_the_disks_fault(void **state)
{
	size_t refused = 0;

	(void)state;
	for (uint64_t bit = 0;; bit++) {
		CLEANUP(scene_free) struct scene s;
		const struct delta_part *p;
		struct err e = ERR_INIT;
		uint8_t byte;

		scene_make(&s, "ZZSSRRSSFFRRCC");
		scene_look(&s);
		p = &s.delta.head.parts[0];
		if (bit == 8 * p->walk_stored)
			break;
		assert_int_equal(pread(s.delta.fd, &byte, 1, (off_t)(p->walk_at + bit / 8)), 1);
		byte ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(pwrite(s.delta.fd, &byte, 1, (off_t)(p->walk_at + bit / 8)), 1);
		if (scene_write(&s, &e) < 0) {
			assert_int_equal(e.class, ERR_SYSTEM);
			refused++;
		}
		assert_nothing_wrong_written(&s);
	}
	assert_true(refused > 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_records_and_zeros_are_written_and_fresh_chunks_are_left),
		cmocka_unit_test(only_records_of_wrong_chunks_are_fetched),
		cmocka_unit_test(nothing_is_used_where_nothing_is_wrong),
		cmocka_unit_test(a_record_that_is_larger_than_its_chunks_is_not_used),
		cmocka_unit_test(records_of_what_does_not_shrink_are_used),
		cmocka_unit_test(what_is_wrong_of_a_record_decides_whether_it_pays),
		cmocka_unit_test(old_bytes_that_are_damaged_cost_the_chunks_made_of_them),
		cmocka_unit_test(old_bytes_that_cannot_be_read_cost_the_chunks_made_of_them),
		cmocka_unit_test(a_spoilt_record_costs_its_chunks),
		cmocka_unit_test(a_spoilt_record_is_asked_for_elsewhere),
		cmocka_unit_test(records_that_are_swapped_tell_no_chunk_wrong),
		cmocka_unit_test(a_base_that_gives_nothing_is_given_up),
		cmocka_unit_test(a_base_that_is_half_right_is_used_to_the_end),
		cmocka_unit_test(records_that_cannot_be_had_end_no_install),
		cmocka_unit_test(a_range_that_breaks_off_once_is_gone_on_with),
		cmocka_unit_test(a_server_without_ranges_has_no_records),
		cmocka_unit_test(a_stop_ends_it_before_the_next_chunk_and_what_was_made_is_written),
		cmocka_unit_test(a_budget_that_says_no_ends_the_install),
		cmocka_unit_test(a_delta_that_contradicts_the_index_is_refused),
		cmocka_unit_test(digests_of_a_delta_count_for_nothing),
		cmocka_unit_test(a_delta_that_changes_on_the_disk_is_the_disks_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
