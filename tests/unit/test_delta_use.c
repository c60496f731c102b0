/* What a box does with a delta's copies and records. */
#include "tests/unit/delta_box_scene.h"
#include "tests/unit/folder.h"

#include <errno.h>

#include "agent/delta_use.h"

struct memory_place {
	uint8_t *bytes;
	uint64_t size, written;
	uint64_t bad_from, bad_to; /* cannot be read */
};

struct scene {
	struct two two;
	struct made made;
	struct told told;
	struct buf records, file;
	struct delta delta;
	struct memory_place running, target;
	struct place running_place, place;
	struct memory_source memory;
	struct source source;
	int index_fd;
	struct index_reader *index;
	struct install_stats stats;
	struct keep_going keep_going;
	unsigned asks_left;
	struct engine g;
	struct wants *wrong;
	struct delta_use *use;
	bool hopeless;
};

static int
place_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	struct memory_place *m = arg;

	assert_true(offset <= m->size && len <= m->size - offset);
	if (offset < m->bad_to && offset + len > m->bad_from)
		return err_sys(e, EIO, "a bad sector");
	memcpy(data, m->bytes + offset, len);
	return 0;
}

static int
place_write(void *arg, const void *data, size_t len, uint64_t offset, struct err *e)
{
	struct memory_place *m = arg;

	(void)e;
	assert_true(offset <= m->size && len <= m->size - offset);
	memcpy(m->bytes + offset, data, len);
	m->written += len;
	return 0;
}

static int
place_zero(void *arg, uint64_t offset, uint64_t len, uint64_t *written, struct err *e)
{
	struct place p = {arg, place_read, place_write, place_zero, false, NULL};

	*written = 0;
	return place_zero_by_writing(&p, offset, len, written, e);
}

static int
ask(void *arg, struct err *e)
{
	struct scene *s = arg;

	return s->asks_left-- == 0 ? err_set(e, ERR_STOPPED, "stopped by the test") : 0;
}

static void
scene_free(struct scene *s)
{
	delta_use_free(&s->use);
	wants_free(&s->wrong);
	index_close(&s->index);
	(void)close(s->index_fd);
	delta_drop(&s->delta);
	told_free(&s->told);
	buf_free(&s->records);
	buf_free(&s->file);
	made_free(&s->made);
	free(s->target.bytes);
	two_free(&s->two);
}

static void
scene_delta(struct scene *s)
{
	struct manifest m = {.payload_count = 1};
	struct digest none = {{0}};
	struct err e = ERR_INIT;

	two_tell(&s->two, &s->told, &s->records);
	delta_make(&s->told, &s->records, 1, "{}", &none, &s->file, &s->delta);
	m.payloads[0] = s->made.p;
	m.payloads[0].members[MEMBER_SEALS].size = 0;
	if (delta_head_place("the delta", &s->delta.head, &m, &e) < 0)
		fail_msg("%s", e.text);
}

/* The target holds nothing yet. */
static void
scene_make(struct scene *s, const char *told)
{
	struct err e = ERR_INIT;

	*s = (struct scene){
		.asks_left = UINT32_MAX, .records = BUF_INIT(1 << 28), .file = BUF_INIT(1 << 28)};
	two_make(&s->two, told);
	told_init(&s->told);
	made_image(&s->made, "rootfs", "rootfs", span_of(s->two.fresh, s->two.bytes));
	scene_delta(s);
	s->running = (struct memory_place){.bytes = s->two.old, .size = s->two.old_bytes};
	s->target = (struct memory_place){.bytes = malloc(s->two.bytes), .size = s->two.bytes};
	memset(s->target.bytes, 0x77, s->two.bytes);
	s->running_place =
		(struct place){&s->running, place_read, place_write, place_zero, false, NULL};
	s->place = (struct place){&s->target, place_read, place_write, place_zero, false, NULL};
	s->memory = (struct memory_source){.bytes = buf_span(&s->file)};
	s->source = memory_source(&s->memory);
	s->index_fd = memory_file(buf_span(&s->made.index));
	assert_int_equal(index_open(s->index_fd, "index", 0, &s->made.p, &s->index, &e), 0);
	s->keep_going = (struct keep_going){ask, s};
	s->g = (struct engine){.place = &s->place,
		.index = s->index,
		.keep_going = &s->keep_going,
		.stats = &s->stats};
}

static void
scene_look(struct scene *s)
{
	struct err e = ERR_INIT;
	struct delta_use_job j = {.g = &s->g,
		.payload = &s->made.p,
		.delta = &s->delta,
		.running = &s->running_place,
		.source = &s->source};

	delta_use_free(&s->use);
	wants_free(&s->wrong);
	assert_int_equal(engine_compare(&s->g, &s->wrong, &e), 0);
	j.wrong = s->wrong;
	s->stats = (struct install_stats){0};
	s->target.written = s->memory.given = 0;
	if (delta_use_look(&j, &s->use, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(s->target.written, 0);
	assert_int_equal(s->memory.given, 0);
}

/* Whether every chunk that is not wrong is as it should be, and no other was touched. */
static void
assert_nothing_wrong_written(const struct scene *s)
{
	uint64_t right = 0, entry = 0;

	for (size_t i = 0; i < s->two.chunks; entry++) {
		size_t n = 1;

		while (s->two.told[i] == 'Z' && i + n < s->two.chunks && s->two.told[i + n] == 'Z')
			n++;
		if (!wants_has(s->wrong, entry)) {
			assert_memory_equal(s->target.bytes + i * CHUNK_BYTES,
				s->two.fresh + i * CHUNK_BYTES, n * CHUNK_BYTES);
			right += n * CHUNK_BYTES;
		} else {
			for (size_t at = 0; at < n * CHUNK_BYTES; at++)
				assert_int_equal(s->target.bytes[i * CHUNK_BYTES + at], 0x77);
		}
		i += n;
	}
	assert_int_equal(s->target.written, right);
	assert_int_equal(s->stats.bytes_written, right);
}

static int
scene_write(struct scene *s, struct err *e)
{
	return delta_use_write(s->use, s->wrong, &s->hopeless, e);
}

static void
assert_leaves(struct scene *s, uint64_t wrong)
{
	struct err e = ERR_INIT;

	scene_look(s);
	if (scene_write(s, &e) < 0)
		fail_msg("%s", e.text);
	assert_nothing_wrong_written(s);
	assert_int_equal(wants_count(s->wrong), wrong);
}

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
