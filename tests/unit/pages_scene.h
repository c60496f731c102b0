/* An index of several pages that is quickly made: its chunks are nobody's bytes. */
#ifndef SLUICE_TESTS_UNIT_PAGES_SCENE_H
#define SLUICE_TESTS_UNIT_PAGES_SCENE_H

#include "tests/unit/payload.h"

#include "common/format/pages.h"

/* Three whole pages and one of eight entries. Every seventh entry is a run, every fifth of the
 * others raw. */
enum { ENTRIES = 3 * PAGE_ENTRIES + 8, PAGES = 4 };

static inline struct chunk
chunk_of_scene(uint64_t entry)
{
	struct chunk c = {.store = CHUNK_ZLIB, .size = CHUNK_BYTES};

	if (entry % 7 == 3)
		return (struct chunk){.store = CHUNK_ZERO_RUN, .size = 2 * CHUNK_BYTES};
	c.plain = digest_of(span_of((const uint8_t *)&entry, sizeof(entry)));
	c.stored = digest_of(span_of(c.plain.b, sizeof(c.plain.b)));
	c.stored_size = 100 + (uint32_t)entry;
	if (entry % 5 == 0) {
		c.store = CHUNK_RAW;
		c.stored = c.plain;
		c.stored_size = CHUNK_BYTES;
	}
	return c;
}

static inline void
scene_of_pages(struct made *m, bool cuts)
{
	static const uint8_t zeros[CHUNK_BYTES];
	struct err e = ERR_INIT;

	made_begin(m, "rootfs", "rootfs", PAYLOAD_IMAGE);
	m->cut = cuts;
	for (uint64_t entry = 0; entry < ENTRIES; entry++) {
		struct cuts one = {.count = 1, .cut = {{.size = (uint16_t)(entry + 1)}}};
		struct chunk c = chunk_of_scene(entry);

		made_entry(m, &c, c.store == CHUNK_ZERO_RUN ? NULL : &one);
		assert_int_equal(buf_append(&m->data, zeros, c.stored_size, &e), 0);
		m->plain += c.size;
	}
	made_end(m);
}

/* What the scene's payload has for an entry, as the index gives it. */
static inline struct chunk
as_in_index(uint64_t entry)
{
	struct chunk c = chunk_of_scene(entry);
	bool run = c.store == CHUNK_ZERO_RUN;

	return (struct chunk){
		.store = run ? CHUNK_ZERO_RUN : CHUNK_UNKNOWN, .plain = c.plain, .size = c.size};
}

/* The seals anew, of what the pages are now: a signer that lies. */
static inline void
scene_seal(struct made *m)
{
	m->seals.len = 0;
	made_seal(m, span_of(m->index.data + INDEX_HEADER_BYTES, m->index.len - INDEX_HEADER_BYTES),
		INDEX_PAGE_BYTES);
	made_seal(m, buf_span(&m->stored), STORED_PAGE_BYTES);
}

#endif
