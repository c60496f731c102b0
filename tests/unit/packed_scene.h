/* What was packed, read as a box reads it. */
#ifndef SLUICE_TESTS_UNIT_PACKED_SCENE_H
#define SLUICE_TESTS_UNIT_PACKED_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/codec.h"
#include "common/format/hints.h"
#include "common/format/index.h"
#include "common/format/pages.h"
#include "signer/packer.h"

static inline struct pages
pages_of_packed(const struct packed *p)
{
	return (struct pages){.payload = &p->payload,
		.fd = p->fd[MEMBER_STORED],
		.name = "stored",
		.seals_fd = p->fd[MEMBER_SEALS],
		.seals_name = "seals"};
}

/* What a box would write: every chunk decoded and checked, one after the other. */
static inline size_t
unpack(const struct packed *p, uint8_t *out, size_t room, uint64_t *zeros)
{
	static uint8_t stored[CHUNK_STORED_MAX];
	AUTO_INDEX struct index_reader *r = NULL;
	CLEANUP(inflater_free) struct inflater *inflater = NULL;
	struct pages pages = pages_of_packed(p);
	uint64_t entry = 0, stored_offset = 0;
	struct err e = ERR_INIT;
	struct chunk c;
	bool more = true;
	size_t len = 0;

	assert_int_equal(inflater_new(&inflater, &e), 0);
	if (index_open(p->fd[MEMBER_INDEX], "index", 0, &p->payload, &r, &e) < 0)
		fail_msg("%s", e.text);
	while (index_next(r, &c, &more, &e) == 0 && more) {
		assert_true(len + c.size <= room);
		if (pages_find(&pages, entry++, &c, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(c.stored_offset, stored_offset);
		stored_offset += c.stored_size;
		if (c.store == CHUNK_ZERO_RUN) {
			memset(out + len, 0, c.size);
			*zeros += 1;
		} else {
			assert_int_equal(file_pread_full(p->fd[MEMBER_DATA], "data", stored,
						 c.stored_size, c.stored_offset, &e),
				0);
			if (chunk_decode(inflater, &c, span_of(stored, c.stored_size), out + len,
				    &e) < 0)
				fail_msg("%s", e.text);
		}
		len += c.size;
	}
	if (more)
		fail_msg("%s", e.text);
	return len;
}

static inline void
member_is_as_it_says(const struct packed *p, enum member_role role)
{
	const struct member *m = &p->payload.members[role];
	struct digest got;
	struct stat s;

	assert_int_equal(m->present, p->fd[role] >= 0);
	if (!m->present)
		return;
	assert_int_equal(fstat(p->fd[role], &s), 0);
	assert_int_equal(s.st_size, m->size);
	assert_int_equal(digest_fd(p->fd[role], "member", 0, m->size, &got, NULL), 0);
	assert_true(digest_equal(&got, &m->digest));
}

static inline void
same_packed(const struct packed *a, const struct packed *b)
{
	assert_memory_equal(&a->payload, &b->payload, sizeof(a->payload));
}

static inline void
hints_are_right(const struct packed *p, const uint8_t *data, size_t len)
{
	size_t blocks = (size_t)num_div_up(len, 4096);
	AUTO_FREE uint8_t *hints = calloc(blocks + 1, 8);

	assert_int_equal(p->payload.members[MEMBER_HINTS].size, blocks * 8);
	assert_int_equal(hints_size(len), blocks * 8);
	assert_int_equal(
		file_pread_full(p->fd[MEMBER_HINTS], "hints", hints, blocks * 8, 0, NULL), 0);
	for (size_t at = 0; at < len; at += CHUNK_BYTES) {
		uint8_t want[HINTS_CHUNK_BYTES];
		size_t n = hints_of(span_of(data + at, len - at), want);

		assert_memory_equal(hints + at / 512, want, n);
	}
}

/* An entry's chunk comes out of its blocks. */
static inline void
chunk_survives_in_blocks(
	const struct packed *p, const struct chunk *c, uint64_t entry, const uint8_t *plain)
{
	static uint8_t stored[CHUNK_STORED_MAX], back[CHUNK_BYTES];
	CLEANUP(inflater_free) struct inflater *inflater = NULL;
	uint8_t record[CUTS_BYTES];
	struct err e = ERR_INIT;
	struct cuts cuts;

	assert_int_equal(pread(p->fd[MEMBER_CUTS], record, CUTS_BYTES, (off_t)(entry * CUTS_BYTES)),
		CUTS_BYTES);
	if (c->store == CHUNK_ZERO_RUN) {
		memset(back, 0, sizeof(back));
		assert_memory_equal(record, back, CUTS_BYTES);
		assert_true(seal_is_zero(&c->cuts));
		return;
	}
	if (cuts_take(record, &c->cuts, c, &cuts, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(file_pread_full(p->fd[MEMBER_DATA], "data", stored, c->stored_size,
				 c->stored_offset, &e),
		0);
	assert_int_equal(inflater_new(&inflater, &e), 0);
	if (chunk_complete(inflater, c, &cuts, (1U << cuts.count) - 1,
		    span_of(stored, c->stored_size), back, &e) < 0)
		fail_msg("%s", e.text);
	assert_memory_equal(back, plain, c->size);
}

static inline void
cuts_are_right(const struct packed *p, const uint8_t *data)
{
	AUTO_INDEX struct index_reader *r = NULL;
	struct pages pages = pages_of_packed(p);
	uint64_t entries = index_entries_in(p->payload.members[MEMBER_INDEX].size), entry = 0;
	struct err e = ERR_INIT;
	struct chunk c;
	bool more = true;

	assert_int_equal(p->payload.members[MEMBER_CUTS].size, entries * CUTS_BYTES);
	assert_int_equal(index_open(p->fd[MEMBER_INDEX], "index", 0, &p->payload, &r, &e), 0);
	for (; index_next(r, &c, &more, &e) == 0 && more; entry++) {
		assert_int_equal(pages_find(&pages, entry, &c, &e), 0);
		chunk_survives_in_blocks(p, &c, entry, data + c.offset);
	}
	assert_int_equal(entry, entries);
}

/* So many that there are two pages, and then some. */
static inline void
seals_are_right(const struct packed *p)
{
	uint64_t entries = index_entries_in(p->payload.members[MEMBER_INDEX].size);
	struct pages pages = pages_of_packed(p);
	uint8_t bytes[INDEX_PAGE_BYTES];
	struct err e = ERR_INIT;

	assert_int_equal(p->payload.members[MEMBER_STORED].size, pages_stored_bytes(entries));
	assert_int_equal(p->payload.members[MEMBER_SEALS].size, pages_seals_bytes(entries));
	for (uint64_t n = 0; n < pages_count(entries); n++) {
		size_t len = pages_entries(entries, n) * INDEX_ENTRY_BYTES;

		assert_int_equal(file_pread_full(p->fd[MEMBER_INDEX], "index", bytes, len,
					 INDEX_HEADER_BYTES + n * INDEX_PAGE_BYTES, &e),
			0);
		if (pages_check_index(&pages, n, span_of(bytes, len), &e) < 0)
			fail_msg("%s", e.text);
	}
}

#endif
