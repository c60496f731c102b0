/* Which pages of PAYLOAD.stored are brought, and that none is believed but those that were sealed.
 */
#include "tests/unit/pages_scene.h"

#include "agent/engine.h"
#include "agent/ranges.h"
#include "agent/stored.h"
#include "tests/unit/folder.h"

struct scene {
	struct made made;
	int index_fd, seals_fd;
	struct index_reader *index;
	struct memory_source memory;
	struct source source;
	struct stored_job j;
	struct stored *stored;
	uint64_t fetched;
	unsigned asks_left;
	struct keep_going keep_going;
};

static int
ask(void *arg, struct err *e)
{
	struct scene *s = arg;

	return s->asks_left-- == 0 ? err_set(e, ERR_STOPPED, "stopped by the test") : 0;
}

static void
scene_free(struct scene *s)
{
	stored_free(&s->stored);
	index_close(&s->index);
	(void)close(s->index_fd);
	(void)close(s->seals_fd);
	made_free(&s->made);
}

/* The payload as it is now. */
static void
scene_open(struct scene *s)
{
	struct err e = ERR_INIT;

	s->index_fd = memory_file(buf_span(&s->made.index));
	s->seals_fd = memory_file(buf_span(&s->made.seals));
	assert_int_equal(index_open(s->index_fd, "index", 0, &s->made.p, &s->index, &e), 0);
	s->memory = (struct memory_source){.bytes = buf_span(&s->made.stored)};
	s->source = memory_source(&s->memory);
	s->asks_left = UINT32_MAX;
	s->keep_going = (struct keep_going){ask, s};
	s->j = (struct stored_job){.payload = &s->made.p,
		.source = &s->source,
		.head_fd = s->seals_fd,
		.head_name = "the head",
		.state_dir = ".",
		.keep_going = &s->keep_going,
		.fetched = &s->fetched};
	assert_int_equal(stored_new(&s->j, &s->stored, &e), 0);
}

static void
scene_make(struct scene *s)
{
	*s = (struct scene){0};
	scene_of_pages(&s->made, true);
	scene_open(s);
}

/* Brings what these entries need; -1 ends the list. */
static int
bring(struct scene *s, const int *entries, struct err *e)
{
	AUTO_WANTS struct wants *wants = NULL;

	assert_int_equal(wants_new(ENTRIES, &wants, e), 0);
	for (; *entries >= 0; entries++)
		wants_add(wants, (uint64_t)*entries);
	return stored_bring(s->stored, s->index, wants, e);
}

#define BRING(s, e, ...) bring(s, (const int[]){__VA_ARGS__, -1}, e)

static void
assert_found(struct scene *s, uint64_t entry)
{
	struct chunk c = as_in_index(entry), want = chunk_of_scene(entry);
	struct err e = ERR_INIT;

	if (stored_find(s->stored, entry, &c, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(c.store, want.store);
	assert_int_equal(c.stored_size, want.stored_size);
	assert_true(digest_equal(&c.stored, &want.stored));
}

static void
assert_unknown(struct scene *s, uint64_t entry)
{
	struct chunk c = as_in_index(entry), before = c;
	struct err e = ERR_INIT;

	assert_int_equal(stored_find(s->stored, entry, &c, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_memory_equal(&c, &before, sizeof(c));
}

static void
only_the_pages_that_are_needed_are_brought_and_once(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s);
	assert_unknown(&s, 70);
	assert_int_equal(BRING(&s, &e, 70), 0);
	assert_int_equal(s.fetched, STORED_PAGE_BYTES);
	assert_int_equal(s.memory.given, STORED_PAGE_BYTES);
	assert_found(&s, 64);
	assert_found(&s, 127);
	assert_unknown(&s, 63);
	assert_unknown(&s, 128);
	assert_int_equal(BRING(&s, &e, 71, 100), 0);
	assert_int_equal(s.memory.opens, 1);
	assert_int_equal(BRING(&s, &e, 0, 71, ENTRIES - 2), 0);
	assert_int_equal(s.memory.opens, 3);
	assert_int_equal(s.fetched, 2 * STORED_PAGE_BYTES + 8 + 8 * STORED_ENTRY_BYTES);
	assert_found(&s, 0);
	assert_found(&s, 64);
	assert_found(&s, ENTRIES - 2);
	assert_unknown(&s, 128);
}

static void
pages_side_by_side_are_one_range(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s);
	s.memory.step = 1000;
	assert_int_equal(BRING(&s, &e, 5, 70, 130, ENTRIES - 2), 0);
	assert_int_equal(s.memory.opens, 1);
	assert_int_equal(s.fetched, s.made.stored.len);
	for (uint64_t entry = 0; entry < ENTRIES; entry++)
		assert_found(&s, entry);
}

static void
runs_of_zeros_and_nothing_need_no_page(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s);
	assert_int_equal(BRING(&s, &e, 3, 66, 136), 0);
	assert_int_equal(BRING(&s, &e, -1), 0);
	assert_int_equal(s.memory.opens, 0);
}

static void
a_page_that_was_tampered_with_is_asked_for_elsewhere(void **state)
{
	(void)state;
	for (uint64_t at = STORED_PAGE_BYTES; at < 2 * STORED_PAGE_BYTES; at += 91) {
		CLEANUP(scene_free) struct scene s;
		struct err e = ERR_INIT;

		scene_make(&s);
		s.memory.spoilt_at = at;
		s.memory.others = 1;
		assert_int_equal(BRING(&s, &e, 0, 70, 130), 0);
		assert_int_equal(s.memory.elsewheres, 1);
		assert_int_equal(s.memory.spoilt, STORED_PAGE_BYTES);
		/* What came right is not asked for again. */
		assert_int_equal(s.fetched, 4 * STORED_PAGE_BYTES);
		assert_found(&s, 0);
		assert_found(&s, 70);
		assert_found(&s, 130);
	}
}

static void
a_page_that_nobody_has_as_it_was_sealed_is_not_believed(void **state)
{
	(void)state;
	for (unsigned others = 0; others < 4; others++) {
		CLEANUP(scene_free) struct scene s;
		struct err e = ERR_INIT;

		scene_make(&s);
		s.memory.spoilt_at = STORED_PAGE_BYTES + 1;
		s.memory.all_spoil = true;
		s.memory.others = others;
		if (others == 3)
			s.source.elsewhere = NULL;
		assert_int_equal(BRING(&s, &e, 0, 70, 130), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		assert_non_null(strstr(e.text, "a page is not the one that was sealed"));
		assert_int_equal(s.memory.elsewheres, others == 3 ? 0 : others);
		assert_found(&s, 0);
		assert_unknown(&s, 70);
		assert_unknown(&s, 130);
	}
}

static void
swapped_pages_are_not_believed(void **state)
{
	CLEANUP(scene_free) struct scene s = {0};
	uint8_t first[STORED_PAGE_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	scene_of_pages(&s.made, true);
	memcpy(first, s.made.stored.data, STORED_PAGE_BYTES);
	memcpy(s.made.stored.data, s.made.stored.data + STORED_PAGE_BYTES, STORED_PAGE_BYTES);
	memcpy(s.made.stored.data + STORED_PAGE_BYTES, first, STORED_PAGE_BYTES);
	scene_open(&s);
	assert_int_equal(BRING(&s, &e, 0), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(BRING(&s, &e, 70), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_unknown(&s, 0);
	assert_unknown(&s, 70);
}

/* Signed and sealed, and past the end of the data. */
static void
signed_nonsense_is_refused_when_it_is_looked_at(void **state)
{
	CLEANUP(scene_free) struct scene s = {0};
	struct chunk c = as_in_index(70);
	struct err e = ERR_INIT;

	(void)state;
	scene_of_pages(&s.made, true);
	pages_put_offset(s.made.stored.data + STORED_PAGE_BYTES, s.made.data.len - 1);
	scene_seal(&s.made);
	scene_open(&s);
	assert_int_equal(BRING(&s, &e, 0, 70), 0);
	assert_int_equal(stored_find(s.stored, 70, &c, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "stored bytes past the end of the data"));
	assert_found(&s, 0);
}

static void
a_range_that_breaks_off_goes_on(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s);
	s.memory.step = 700;
	s.memory.break_at = STORED_PAGE_BYTES + 1000;
	assert_int_equal(BRING(&s, &e, 0, 70, 130), 0);
	assert_int_equal(s.memory.opens, 2);
	assert_int_equal(s.fetched, 3 * STORED_PAGE_BYTES);
	assert_found(&s, 130);
}

static void
what_ends_it_keeps_what_has_come(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s);
	s.asks_left = 1;
	assert_int_equal(BRING(&s, &e, 0, 130), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_found(&s, 0);
	assert_unknown(&s, 130);
	s.asks_left = UINT32_MAX;
	s.memory.broken_always = true;
	assert_int_equal(BRING(&s, &e, 0, 130), -1);
	assert_int_equal(e.class, ERR_NETWORK);
	s.memory.broken_always = false;
	assert_int_equal(BRING(&s, &e, 0, 130), 0);
	assert_int_equal(s.fetched, 2 * STORED_PAGE_BYTES);
	assert_found(&s, 130);
}

static void
what_is_forgotten_is_brought_anew(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s);
	assert_int_equal(BRING(&s, &e, 70), 0);
	assert_found(&s, 70);
	stored_forget(s.stored);
	assert_unknown(&s, 70);
	assert_int_equal(BRING(&s, &e, 70), 0);
	assert_found(&s, 70);
	assert_int_equal(s.fetched, 2 * STORED_PAGE_BYTES);
}

static void
without_a_state_folder_nothing_is_asked_for(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s);
	stored_free(&s.stored);
	s.j.state_dir = "no-such-folder";
	assert_int_equal(stored_new(&s.j, &s.stored, &e), 0);
	assert_int_equal(BRING(&s, &e, 70), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(s.memory.opens, 0);
}

static void
an_empty_range_is_asked_of_nobody(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct chunk c = as_in_index(70);
	struct err e = ERR_INIT;
	uint8_t byte;

	(void)state;
	scene_make(&s);
	{
		struct ranges r = {.source = &s.source, .fetched = &s.fetched};

		assert_int_equal(ranges_read(&r, range_of(&c), &byte, &e), -1);
	}
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(s.memory.opens, 0);
}

/* A slot in memory. */
enum { SLOT_CHUNKS = 2 * PAGE_ENTRIES + 8, SLOT_BYTES = SLOT_CHUNKS * CHUNK_BYTES };

static int
slot_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	(void)e;
	memcpy(data, (const uint8_t *)arg + offset, len);
	return 0;
}

static int
slot_write(void *arg, const void *data, size_t len, uint64_t offset, struct err *e)
{
	(void)e;
	memcpy((uint8_t *)arg + offset, data, len);
	return 0;
}

/* Every chunk a page of its own text. */
static uint8_t *
slot_image(void)
{
	uint8_t *image = malloc(SLOT_BYTES);

	assert_non_null(image);
	for (size_t i = 0; i < SLOT_CHUNKS; i++)
		memset(image + i * CHUNK_BYTES, (int)i + 1, CHUNK_BYTES);
	return image;
}

static void
a_slot_that_has_all_but_one_chunk_costs_one_page_and_that_chunk(void **state)
{
	AUTO_FREE uint8_t *image = slot_image(), *slot = slot_image();
	CLEANUP(made_free) struct made made;
	CLEANUP(made_stored_free) struct made_stored stored;
	AUTO_INDEX struct index_reader *index = NULL, *scout = NULL;
	AUTO_WANTS struct wants *changed = NULL;
	struct memory_source memory = {0};
	struct install_stats stats = {0};
	struct place place = {slot, slot_read, slot_write, NULL, false, NULL};
	struct source source = memory_source(&memory);
	struct engine g = {.place = &place, .source = &source, .stats = &stats};
	struct err e = ERR_INIT;
	int fd;

	(void)state;
	made_image(&made, "rootfs", "rootfs", span_of(image, SLOT_BYTES));
	fd = memory_file(buf_span(&made.index));
	assert_int_equal(index_open(fd, "index", 0, &made.p, &index, &e), 0);
	assert_int_equal(index_open(fd, "index", 0, &made.p, &scout, &e), 0);
	made_stored_make(&stored, &made);
	memory.bytes = buf_span(&made.data);
	g.index = index;
	g.scout = scout;
	g.stored = stored.stored;
	slot[(PAGE_ENTRIES + 3) * CHUNK_BYTES] ^= 1;
	assert_int_equal(engine_fill(&g, &changed, &e), 0);
	assert_memory_equal(slot, image, SLOT_BYTES);
	assert_int_equal(stored.fetched, STORED_PAGE_BYTES);
	assert_int_equal(memory.opens, 1);
	assert_int_equal(stats.bytes_fetched, memory.given);
	assert_true(memory.given > 0 && memory.given < 2 * made.data.len / SLOT_CHUNKS);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_pages_that_are_needed_are_brought_and_once),
		cmocka_unit_test(pages_side_by_side_are_one_range),
		cmocka_unit_test(runs_of_zeros_and_nothing_need_no_page),
		cmocka_unit_test(a_page_that_was_tampered_with_is_asked_for_elsewhere),
		cmocka_unit_test(a_page_that_nobody_has_as_it_was_sealed_is_not_believed),
		cmocka_unit_test(swapped_pages_are_not_believed),
		cmocka_unit_test(signed_nonsense_is_refused_when_it_is_looked_at),
		cmocka_unit_test(a_range_that_breaks_off_goes_on),
		cmocka_unit_test(what_ends_it_keeps_what_has_come),
		cmocka_unit_test(what_is_forgotten_is_brought_anew),
		cmocka_unit_test(without_a_state_folder_nothing_is_asked_for),
		cmocka_unit_test(an_empty_range_is_asked_of_nobody),
		cmocka_unit_test(a_slot_that_has_all_but_one_chunk_costs_one_page_and_that_chunk),
	};

	return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
