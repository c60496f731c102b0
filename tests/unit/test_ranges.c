/* Which ranges are asked for, and what the source hears of them beforehand. */
#include "tests/unit/payload.h"

#include "agent/ranges.h"

/* Of one chunk each: noise, so that it is stored as it is; and text, which shrinks to next to
 * nothing. */
enum { CHUNKS = 16, IMAGE_BYTES = CHUNKS * CHUNK_BYTES };

/* What the source was told: "o2" is a range opened at chunk 2, "e4" one expected at chunk 4, and
 * what follows is where it ends. */
struct scene {
	struct made made;
	int index_fd;
	struct index_reader *index, *scout;
	struct made_stored stored;
	struct memory_source memory;
	struct source source;
	struct wants *wants;
	struct ranges ranges;
	struct range_feed feed;
	struct chunk chunks[CHUNKS];
	uint64_t fetched;
	unsigned count, room;
	char heard[200];
};

/* The chunk that a byte of the data belongs to. */
static unsigned
chunk_at(const struct scene *s, uint64_t at)
{
	unsigned i = 0;

	while (i < s->count && s->chunks[i].stored_offset < at)
		i++;
	return i;
}

static void
hear(struct scene *s, char what, uint64_t offset, uint64_t len)
{
	size_t used = strlen(s->heard);

	(void)snprintf(s->heard + used, sizeof(s->heard) - used, "%s%c%u-%u", used ? " " : "", what,
		chunk_at(s, offset), chunk_at(s, offset + len));
}

static struct scene *scene;

static int
open_and_hear(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	hear(scene, 'o', offset, len);
	return memory_source_open(arg, offset, len, e);
}

static bool
expect_and_hear(void *arg, uint64_t offset, uint64_t len)
{
	(void)arg;
	if (scene->room == 0)
		return false;
	scene->room--;
	hear(scene, 'e', offset, len);
	return true;
}

static void
scene_free(struct scene *s)
{
	index_close(&s->index);
	index_close(&s->scout);
	made_stored_free(&s->stored);
	(void)close(s->index_fd);
	wants_free(&s->wants);
	made_free(&s->made);
}

/* A letter for each chunk: capitals are noise, small ones text; those behind '+' are wanted. */
static void
scene_make(struct scene *s, const char *chunks, unsigned room)
{
	AUTO_FREE uint8_t *image = malloc(IMAGE_BYTES);
	struct err e = ERR_INIT;
	unsigned count = 0;

	assert_non_null(image);
	*s = (struct scene){.room = room};
	assert_int_equal(wants_new(CHUNKS, &s->wants, &e), 0);
	for (const char *at = chunks; *at; at++) {
		if (*at == '+') {
			wants_add(s->wants, count);
			continue;
		}
		if (*at <= 'Z')
			noise(image + count * CHUNK_BYTES, CHUNK_BYTES, (uint64_t)*at);
		else
			memset(image + count * CHUNK_BYTES, *at, CHUNK_BYTES);
		count++;
	}
	s->count = count;
	made_image(&s->made, "rootfs", "rootfs", span_of(image, count * CHUNK_BYTES));
	s->index_fd = memory_file(buf_span(&s->made.index));
	assert_int_equal(index_open(s->index_fd, "index", 0, &s->made.p, &s->index, &e), 0);
	assert_int_equal(index_open(s->index_fd, "index", 0, &s->made.p, &s->scout, &e), 0);
	made_stored_make(&s->stored, &s->made);
	made_stored_bring(&s->stored, s->index);
	for (size_t i = 0; i < count; i++) {
		bool more;

		assert_int_equal(index_next(s->index, &s->chunks[i], &more, &e), 0);
		assert_int_equal(stored_find(s->stored.stored, i, &s->chunks[i], &e), 0);
	}
	s->memory.bytes = buf_span(&s->made.data);
	s->source = memory_source(&s->memory);
	s->source.open = open_and_hear;
	s->source.expect = expect_and_hear;
	s->feed = (struct range_feed){
		.scout = s->scout, .stored = s->stored.stored, .wanted = s->wants};
	s->ranges = (struct ranges){.source = &s->source,
		.next = range_feed_next,
		.arg = &s->feed,
		.fetched = &s->fetched};
	scene = s;
}

static void
take(struct scene *s, unsigned i)
{
	AUTO_FREE uint8_t *stored = malloc(CHUNK_STORED_MAX);
	const struct chunk *c = &s->chunks[i];
	struct err e = ERR_INIT;

	assert_non_null(stored);
	if (ranges_read(&s->ranges, range_of(c), stored, &e) < 0)
		fail_msg("chunk %u: %s", i, e.text);
	assert_memory_equal(stored, s->made.data.data + c->stored_offset, c->stored_size);
}

static void
take_wanted(struct scene *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (wants_has(s->wants, i))
			take(s, i);
	}
}

static void
neighbours_are_one_range(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "A+B+CDE+F", 0);
	take_wanted(&s);
	assert_string_equal(s.heard, "o1-3 o5-6");
	assert_int_equal(s.fetched, 3 * CHUNK_BYTES);
}

static void
a_gap_that_costs_less_than_a_request_is_fetched_and_counted(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "+Ab+Cd+E", 0);
	assert_in_range(s.chunks[1].stored_size, 1, RANGES_GAP_BYTES);
	take_wanted(&s);
	assert_string_equal(s.heard, "o0-5");
	assert_int_equal(s.fetched, s.made.data.len);
}

static void
a_gap_behind_the_last_chunk_is_not_fetched(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "+Ab+CdEf+Gh", 0);
	take_wanted(&s);
	assert_string_equal(s.heard, "o0-3 o6-7");
}

static void
the_next_ranges_are_named_as_far_as_there_is_room(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "+AB+C+DE+FG+HI+JK+LM+N", 2);
	take(&s, 0);
	assert_string_equal(s.heard, "o0-1 e2-4 e5-6");
	take(&s, 2);
	take(&s, 3);
	s.room = 100;
	take(&s, 5);
	/* No more than so many, whatever room there is. */
	assert_string_equal(s.heard, "o0-1 e2-4 e5-6 o2-4 o5-6 e7-8 e9-10 e11-12 e13-14");
	s.heard[0] = 0;
	take(&s, 7);
	take(&s, 9);
	take(&s, 11);
	take(&s, 13);
	assert_string_equal(s.heard, "o7-8 o9-10 o11-12 o13-14");
}

static void
a_chunk_that_is_not_wanted_after_all_is_passed_over(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "+A+B+CD+EF+G", 100);
	take(&s, 0);
	/* B and E came from elsewhere meanwhile. */
	take(&s, 2);
	take(&s, 6);
	assert_string_equal(s.heard, "o0-3 e4-5 e6-7 o2-3 o6-7");
}

static void
a_chunk_that_came_to_be_wanted_is_fetched_by_itself(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "+ABC+DE+F", 100);
	take(&s, 0);
	wants_add(s.wants, 2);
	take_wanted(&s);
	assert_string_equal(s.heard, "o0-1 e3-4 e5-6 o0-1 o2-3 o3-4 o5-6");
}

static void
what_broke_off_goes_on_from_there_and_forgets_nothing(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, "+A+BC+D", 100);
	s.memory.break_at = CHUNK_BYTES + 100;
	s.memory.step = 50;
	take_wanted(&s);
	/* From within B to its end. */
	assert_string_equal(s.heard, "o0-2 e3-4 o2-2 o3-4");
	assert_int_equal(s.fetched, 3 * CHUNK_BYTES);
}

/* Signed pages may say so, though nobody packs such a bundle. */
static int
back_and_forth_next(void *arg, struct range *out, bool *more, struct err *e)
{
	static const struct range spans[] = {{0, 100}, {9000, 9500}, {5000, 5600}, {9100, 9200}};
	size_t *next = arg;

	(void)e;
	*more = *next < ARRAY_LEN(spans);
	if (*more)
		*out = spans[(*next)++];
	return 0;
}

static bool
expect_a_range(void *arg, uint64_t offset, uint64_t len)
{
	(void)arg;
	scene->count++;
	assert_in_range(len, 1, 600);
	assert_in_range(offset, 5000, 9100);
	return true;
}

static void
ranges_that_go_back_are_never_longer_than_what_is_asked_for(void **state)
{
	CLEANUP(scene_free) struct scene s;
	uint8_t stored[600];
	size_t next = 0;
	struct err e;

	(void)state;
	scene_make(&s, "+AB", 0);
	s.source.expect = expect_a_range;
	s.ranges.next = back_and_forth_next;
	s.ranges.arg = &next;
	s.count = 0;
	assert_int_equal(ranges_read(&s.ranges, (struct range){0, 100}, stored, &e), 0);
	assert_int_equal(s.count, 3);
	assert_int_equal(ranges_read(&s.ranges, (struct range){9000, 9500}, stored, &e), 0);
	assert_memory_equal(stored, s.made.data.data + 9000, 500);
	assert_int_equal(ranges_read(&s.ranges, (struct range){5000, 5600}, stored, &e), 0);
	assert_memory_equal(stored, s.made.data.data + 5000, 600);
	assert_int_equal(ranges_read(&s.ranges, (struct range){9100, 9200}, stored, &e), 0);
	assert_memory_equal(stored, s.made.data.data + 9100, 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_are_one_range),
		cmocka_unit_test(a_gap_that_costs_less_than_a_request_is_fetched_and_counted),
		cmocka_unit_test(a_gap_behind_the_last_chunk_is_not_fetched),
		cmocka_unit_test(the_next_ranges_are_named_as_far_as_there_is_room),
		cmocka_unit_test(a_chunk_that_is_not_wanted_after_all_is_passed_over),
		cmocka_unit_test(a_chunk_that_came_to_be_wanted_is_fetched_by_itself),
		cmocka_unit_test(what_broke_off_goes_on_from_there_and_forgets_nothing),
		cmocka_unit_test(ranges_that_go_back_are_never_longer_than_what_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
