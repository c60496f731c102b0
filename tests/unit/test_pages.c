#include "tests/unit/pages_scene.h"

struct scene {
	struct made made;
	int stored_fd, seals_fd;
	struct pages pages;
};

static void
scene_free(struct scene *s)
{
	(void)close(s->stored_fd);
	(void)close(s->seals_fd);
	made_free(&s->made);
}

/* The files as the members are now. */
static void
scene_write(struct scene *s)
{
	if (s->pages.payload) {
		(void)close(s->stored_fd);
		(void)close(s->seals_fd);
	}
	s->stored_fd = memory_file(buf_span(&s->made.stored));
	s->seals_fd = memory_file(buf_span(&s->made.seals));
	s->pages = (struct pages){.payload = &s->made.p,
		.fd = s->stored_fd,
		.name = "x.ota",
		.seals_fd = s->seals_fd,
		.seals_name = "the head"};
}

static void
scene_make(struct scene *s, bool cuts)
{
	*s = (struct scene){0};
	scene_of_pages(&s->made, cuts);
	scene_write(s);
}

static void
assert_refused(struct scene *s, uint64_t entry, enum err_class class, const char *why)
{
	struct chunk c = as_in_index(entry), before = c;
	struct err e = ERR_INIT;

	assert_int_equal(pages_find(&s->pages, entry, &c, &e), -1);
	assert_int_equal(e.class, class);
	if (!strstr(e.text, why))
		fail_msg("'%s' lacks '%s'", e.text, why);
	assert_memory_equal(&c, &before, sizeof(c));
}

static void
page_is_of_64_entries_of_36_and_of_52_bytes(void **state)
{
	size_t len;

	(void)state;
	assert_int_equal(INDEX_PAGE_BYTES, 64 * 36);
	assert_int_equal(STORED_PAGE_BYTES, 8 + 64 * 52);
	assert_int_equal(pages_count(0), 0);
	assert_int_equal(pages_stored_bytes(0) + pages_seals_bytes(0), 0);
	assert_int_equal(pages_count(64), 1);
	assert_int_equal(pages_count(65), 2);
	assert_int_equal(pages_stored_bytes(65), 2 * 8 + 65 * 52);
	assert_int_equal(pages_seals_bytes(65), 4 * 16);
	assert_int_equal(pages_entries(65, 0), 64);
	assert_int_equal(pages_entries(65, 1), 1);
	{
		CLEANUP(scene_free) struct scene s;

		scene_make(&s, true);
		assert_int_equal(pages_of(&s.pages), PAGES);
		assert_int_equal(s.made.stored.len, pages_stored_bytes(ENTRIES));
		assert_int_equal(s.made.seals.len, pages_seals_bytes(ENTRIES));
		assert_int_equal(pages_at(&s.pages, 1, &len), 3336);
		assert_int_equal(len, 3336);
		assert_int_equal(pages_at(&s.pages, 3, &len), 3 * 3336);
		assert_int_equal(len, 8 + 8 * 52);
	}
}

static void
chunk_is_found_as_it_was_put_in_any_order(void **state)
{
	(void)state;
	for (int cuts = 0; cuts < 2; cuts++) {
		CLEANUP(scene_free) struct scene s;
		uint64_t offset[ENTRIES + 1] = {0};

		scene_make(&s, cuts);
		for (uint64_t entry = 0; entry < ENTRIES; entry++)
			offset[entry + 1] = offset[entry] + chunk_of_scene(entry).stored_size;
		for (uint64_t n = 0; n < ENTRIES; n++) {
			uint64_t entry = n * 73 % ENTRIES;
			struct chunk c = as_in_index(entry), want = chunk_of_scene(entry);
			struct err e = ERR_INIT;

			if (pages_find(&s.pages, entry, &c, &e) < 0)
				fail_msg("%s", e.text);
			assert_int_equal(c.store, want.store);
			assert_int_equal(c.stored_size, want.stored_size);
			assert_int_equal(c.stored_offset, offset[entry]);
			assert_true(digest_equal(&c.stored, &want.stored));
			assert_int_equal(
				seal_is_zero(&c.cuts), !cuts || want.store == CHUNK_ZERO_RUN);
		}
	}
}

static void
page_with_any_byte_flipped_is_untrusted(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, true);
	for (size_t at = 0; at < s.made.stored.len; at += 13) {
		s.made.stored.data[at] ^= 1;
		scene_write(&s);
		assert_refused(&s, at / STORED_PAGE_BYTES * PAGE_ENTRIES + 7, ERR_UNTRUSTED,
			"rootfs.stored: a page is not the one that was sealed");
		s.made.stored.data[at] ^= 1;
	}
}

static void
page_of_another_place_is_untrusted(void **state)
{
	CLEANUP(scene_free) struct scene s;
	uint8_t first[STORED_PAGE_BYTES];

	(void)state;
	scene_make(&s, true);
	memcpy(first, s.made.stored.data, STORED_PAGE_BYTES);
	memcpy(s.made.stored.data, s.made.stored.data + STORED_PAGE_BYTES, STORED_PAGE_BYTES);
	memcpy(s.made.stored.data + STORED_PAGE_BYTES, first, STORED_PAGE_BYTES);
	scene_write(&s);
	assert_refused(&s, 0, ERR_UNTRUSTED, "not the one that was sealed");
	assert_refused(&s, PAGE_ENTRIES, ERR_UNTRUSTED, "not the one that was sealed");
	{
		struct chunk c = as_in_index(2 * PAGE_ENTRIES);
		struct err e = ERR_INIT;

		assert_int_equal(pages_find(&s.pages, 2 * PAGE_ENTRIES, &c, &e), 0);
	}
}

static void
page_that_ends_early_is_refused(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_make(&s, true);
	s.made.stored.len--;
	scene_write(&s);
	assert_refused(&s, ENTRIES - 1, ERR_MALFORMED, "x.ota");
}

/* Sealed all the same. */
static void
assert_lie_refused(
	bool cuts, uint64_t entry, size_t field, size_t len, const void *lie, const char *why)
{
	CLEANUP(scene_free) struct scene s;
	uint64_t at = entry / PAGE_ENTRIES * STORED_PAGE_BYTES;

	scene_make(&s, cuts);
	if (field != SIZE_MAX)
		at += STORED_OFFSET_BYTES + entry % PAGE_ENTRIES * STORED_ENTRY_BYTES + field;
	memcpy(s.made.stored.data + at, lie, len);
	scene_seal(&s.made);
	scene_write(&s);
	assert_refused(&s, entry, ERR_MALFORMED, why);
}

static void
what_is_sealed_and_cannot_be_is_refused(void **state)
{
	enum { DIGEST = 0, SEAL = 32, SIZE = 48 };
	static const uint8_t zeros[DIGEST_BYTES],
		ones[] = {1, 1, 1, 1, 1, 1, 1, 1}, large[] = {1, 0, 1, 0},
		largest[] = {255, 255, 255, 255, 255, 255, 255, 255};

	(void)state;
	assert_lie_refused(true, 70, SIZE_MAX, 8, largest, "entry 70: stored bytes past the end");
	assert_lie_refused(true, 70, SIZE_MAX, 8, ones, "entry 70: stored bytes past the end");
	assert_lie_refused(true, 71, SIZE, 4, large, "65536 plain bytes in 65537 stored ones");
	assert_lie_refused(true, 71, SIZE, 4, largest, "stored bytes past the end");
	assert_lie_refused(true, 71, SIZE, 4, zeros, "65536 plain bytes in 0 stored ones");
	assert_lie_refused(true, 71, DIGEST, DIGEST_BYTES, zeros, "a chunk without a digest");
	assert_lie_refused(true, 70, DIGEST, 1, ones, "a raw chunk with two digests");
	assert_lie_refused(false, 71, SEAL, 1, ones, "a seal of cuts that there are not");
	assert_lie_refused(true, 73, SIZE, 1, ones, "a run of zeros with stored bytes");
	assert_lie_refused(true, 73, SEAL, 1, ones, "a run of zeros with stored bytes");
	assert_lie_refused(true, 73, DIGEST, 1, ones, "a run of zeros with stored bytes");
}

/* Sizes before it in its page take a chunk past the end, and round it never comes back. */
static void
sizes_before_a_chunk_cannot_take_it_elsewhere(void **state)
{
	CLEANUP(scene_free) struct scene s;
	static const uint8_t largest[] = {255, 255, 255, 255};

	(void)state;
	scene_make(&s, true);
	for (size_t i = 0; i < PAGE_ENTRIES - 1; i++)
		memcpy(s.made.stored.data + STORED_OFFSET_BYTES + i * STORED_ENTRY_BYTES + 48,
			largest, sizeof(largest));
	scene_seal(&s.made);
	scene_write(&s);
	assert_refused(&s, PAGE_ENTRIES - 1, ERR_MALFORMED, "stored bytes past the end");
}

static void
page_of_an_index_is_known_by_its_seal(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;
	uint8_t *entries;

	(void)state;
	scene_make(&s, true);
	entries = s.made.index.data + INDEX_HEADER_BYTES;
	for (uint64_t page = 0; page < PAGES; page++) {
		size_t len = pages_entries(ENTRIES, page) * INDEX_ENTRY_BYTES;
		struct span bytes = span_of(entries + page * INDEX_PAGE_BYTES, len);

		assert_int_equal(pages_check_index(&s.pages, page, bytes, &e), 0);
		assert_int_equal(pages_check_index(&s.pages, (page + 1) % PAGES, bytes, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		entries[page * INDEX_PAGE_BYTES + 5] ^= 1;
		assert_int_equal(pages_check_index(&s.pages, page, bytes, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		assert_non_null(strstr(e.text, "rootfs.index"));
		entries[page * INDEX_PAGE_BYTES + 5] ^= 1;
		assert_int_equal(pages_check(&s.pages, page, bytes, &e), -1);
	}
}

/* Nobody takes what an index has for a chunk of no stored bytes. */
static void
chunk_of_which_only_the_index_is_known_is_decoded_by_nobody(void **state)
{
	static uint8_t plain[CHUNK_BYTES];
	CLEANUP(inflater_free) struct inflater *inflater = NULL;
	struct span nothing = span_of(plain, 0);
	uint8_t record[CUTS_BYTES] = {0};
	struct chunk c = {.size = CHUNK_BYTES};
	struct cuts cuts = {.count = CHUNK_BLOCKS};
	struct err e = ERR_INIT;

	(void)state;
	c.plain = digest_of(span_of(plain, sizeof(plain)));
	c.stored = digest_of(nothing);
	assert_int_equal(inflater_new(&inflater, &e), 0);
	assert_int_equal(chunk_decode(inflater, &c, nothing, plain, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(chunk_complete(inflater, &c, &cuts, 0, nothing, plain, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(cuts_take(record, &c.cuts, &c, &cuts, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	c.stored_size = CHUNK_BYTES;
	assert_int_equal(chunk_decode(inflater, &c, span_of(plain, sizeof(plain)), plain, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_is_of_64_entries_of_36_and_of_52_bytes),
		cmocka_unit_test(chunk_is_found_as_it_was_put_in_any_order),
		cmocka_unit_test(page_with_any_byte_flipped_is_untrusted),
		cmocka_unit_test(page_of_another_place_is_untrusted),
		cmocka_unit_test(page_that_ends_early_is_refused),
		cmocka_unit_test(what_is_sealed_and_cannot_be_is_refused),
		cmocka_unit_test(sizes_before_a_chunk_cannot_take_it_elsewhere),
		cmocka_unit_test(page_of_an_index_is_known_by_its_seal),
		cmocka_unit_test(chunk_of_which_only_the_index_is_known_is_decoded_by_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
