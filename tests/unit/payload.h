/* Payloads and sources for tests of the installing half: small, in memory. */
#ifndef SLUICE_TESTS_UNIT_PAYLOAD_H
#define SLUICE_TESTS_UNIT_PAYLOAD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "agent/source.h"
#include "agent/stored.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/codec.h"
#include "common/format/index.h"
#include "common/format/pages.h"

/* A payload with its index and its data, as a packer would make them. */
struct made {
	struct payload p;
	struct buf index, data, cuts, stored, seals;
	bool cut; /* as an image's chunks are; else there are no cuts */
	uint64_t entries, plain;
	uint64_t run; /* zero chunks waiting to become one entry */
};

/* cuts: NULL of a run. */
static inline void
made_entry(struct made *m, const struct chunk *c, const struct cuts *cuts)
{
	uint8_t entry[INDEX_ENTRY_BYTES], record[CUTS_BYTES], offset[STORED_OFFSET_BYTES],
		stored[STORED_ENTRY_BYTES];
	struct chunk whole = *c;
	struct err e = ERR_INIT;

	if (m->cut) {
		cuts_put(cuts, record);
		whole.cuts = cuts_record_seal(record);
		assert_int_equal(buf_append(&m->cuts, record, sizeof(record), &e), 0);
	}
	index_put_entry(entry, &whole);
	assert_int_equal(buf_append(&m->index, entry, sizeof(entry), &e), 0);
	pages_put_offset(offset, m->data.len);
	if (m->entries++ % PAGE_ENTRIES == 0)
		assert_int_equal(buf_append(&m->stored, offset, sizeof(offset), &e), 0);
	pages_put_entry(stored, &whole);
	assert_int_equal(buf_append(&m->stored, stored, sizeof(stored), &e), 0);
}

/* The seals of a member's pages, which are so long but for the last. */
static inline void
made_seal(struct made *m, struct span pages, size_t page)
{
	struct err e = ERR_INIT;

	for (size_t at = 0; at < pages.len; at += page) {
		struct seal seal =
			seal_of(span_of(pages.data + at, (size_t)num_min(pages.len - at, page)));

		assert_int_equal(buf_append(&m->seals, seal.b, sizeof(seal.b), &e), 0);
	}
}

static inline void
made_flush_run(struct made *m)
{
	if (m->run > 0)
		made_entry(m,
			&(struct chunk){.store = CHUNK_ZERO_RUN, .size = m->run * CHUNK_BYTES},
			NULL);
	m->run = 0;
}

/* Adds a file of a tree, or the whole of an image. */
static inline void
made_add(struct made *m, struct span plain)
{
	struct deflater *deflater = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(deflater_new(6, &deflater, &e), 0);
	for (size_t at = 0; at < plain.len;) {
		uint8_t stored[CHUNK_STORED_MAX];
		const uint8_t *stored_data;
		size_t step = (size_t)num_min(plain.len - at, CHUNK_BYTES);
		struct cuts cuts;
		struct chunk c;

		assert_int_equal(chunk_encode_cut(deflater, span_of(plain.data + at, step), stored,
					 &c, &stored_data, m->cut ? &cuts : NULL, &e),
			0);
		at += step;
		m->plain += step;
		if (c.store == CHUNK_ZERO_RUN) {
			m->run++;
			continue;
		}
		made_flush_run(m);
		made_entry(m, &c, &cuts);
		assert_int_equal(buf_append(&m->data, stored_data, c.stored_size, &e), 0);
	}
	made_flush_run(m);
	deflater_free(&deflater);
}

static inline void
made_begin(struct made *m, const char *name, const char *slot_class, enum payload_kind kind)
{
	struct err e = ERR_INIT;
	uint8_t header[INDEX_HEADER_BYTES] = {0};

	*m = (struct made){.index = BUF_INIT(1 << 24),
		.data = BUF_INIT(1 << 28),
		.cuts = BUF_INIT(1 << 24),
		.stored = BUF_INIT(1 << 24),
		.seals = BUF_INIT(1 << 24)};
	m->p.kind = kind;
	(void)snprintf(m->p.name, sizeof(m->p.name), "%s", name);
	(void)snprintf(m->p.slot_class, sizeof(m->p.slot_class), "%s", slot_class);
	assert_int_equal(buf_append(&m->index, header, sizeof(header), &e), 0);
}

static inline void
made_member(struct made *m, enum member_role role, const struct buf *bytes)
{
	m->p.members[role] = (struct member){true, bytes->len, digest_of(buf_span(bytes))};
}

static inline void
made_end(struct made *m)
{
	index_put_header(m->index.data, m->plain, m->entries);
	made_seal(m, span_of(m->index.data + INDEX_HEADER_BYTES, m->index.len - INDEX_HEADER_BYTES),
		INDEX_PAGE_BYTES);
	made_seal(m, buf_span(&m->stored), STORED_PAGE_BYTES);
	made_member(m, MEMBER_INDEX, &m->index);
	made_member(m, MEMBER_SEALS, &m->seals);
	made_member(m, MEMBER_STORED, &m->stored);
	if (m->cut)
		made_member(m, MEMBER_CUTS, &m->cuts);
	made_member(m, MEMBER_DATA, &m->data);
	m->p.size = m->plain;
}

static inline void
made_image(struct made *m, const char *name, const char *slot_class, struct span plain)
{
	made_begin(m, name, slot_class, PAYLOAD_IMAGE);
	m->cut = true;
	made_add(m, plain);
	made_end(m);
	m->p.digest = digest_of(plain);
}

static inline void
made_free(struct made *m)
{
	buf_free(&m->index);
	buf_free(&m->data);
	buf_free(&m->cuts);
	buf_free(&m->stored);
	buf_free(&m->seals);
}

/* Bytes that do not compress, different for each seed. */
static inline void
noise(uint8_t *data, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		data[i] = (uint8_t)(seed >> 56);
	}
}

/* A source over bytes in memory that counts, and fails where it is told to. */
struct memory_source {
	struct span bytes;
	uint64_t at, end;
	unsigned opens;
	uint64_t given;	    /* bytes, all in all */
	uint64_t break_at;  /* a range that reaches this many bytes given breaks off; 0: never */
	bool broken_always; /* every open range breaks before its first byte */
	enum err_class broken_as;   /* ERR_NONE: ERR_NETWORK */
	size_t step;		    /* the most that one read gives; 0: all */
	unsigned others;	    /* that may be asked elsewhere; the last of them is honest */
	bool all_spoil;		    /* but not where all do */
	uint64_t spoilt_at;	    /* this byte is wrong; 0: none */
	unsigned elsewheres;	    /* how often somebody else was asked for */
	uint64_t spoilt;	    /* bytes that were said to be */
	uint64_t spoiler_breaks_at; /* here the first one always breaks off; 0: nowhere */
	uint64_t whole_from;	    /* ranges from here on come with all before; 0: none do */
	bool only, whole;	    /* whole: one would have */
};

static inline int
memory_source_open(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	struct memory_source *m = arg;

	assert_true(len > 0 && offset <= m->bytes.len && len <= m->bytes.len - offset);
	assert_true(m->opens < 10000); /* who asks for ever is seen */
	m->at = offset;
	m->end = offset + len;
	m->opens++;
	m->whole |= m->whole_from && offset >= m->whole_from;
	return m->whole && m->only ? err_set(e, ERR_NETWORK, "no range") : 0;
}

static inline bool
memory_source_only(void *arg, bool only)
{
	struct memory_source *m = arg;

	m->only = only;
	return !m->whole;
}

static inline ssize_t
memory_source_read(void *arg, void *data, size_t len, struct err *e)
{
	struct memory_source *m = arg;
	size_t n = (size_t)num_min(len, m->end - m->at);

	if (m->step && n > m->step)
		n = m->step;
	if (m->spoiler_breaks_at && m->elsewheres == 0)
		n = (size_t)num_min(n, m->spoiler_breaks_at - m->at);
	if (n == 0 || m->broken_always || (m->break_at && m->given + n > m->break_at)) {
		m->break_at = 0;
		m->end = m->at;
		return err_set(e, m->broken_as ? m->broken_as : ERR_NETWORK, "cut by the test");
	}
	memcpy(data, m->bytes.data + m->at, n);
	if (m->spoilt_at && m->spoilt_at >= m->at && m->spoilt_at < m->at + n &&
		(m->all_spoil || m->elsewheres < m->others))
		((uint8_t *)data)[m->spoilt_at - m->at] ^= 1;
	m->at += n;
	m->given += n;
	return (ssize_t)n;
}

static inline int
memory_source_elsewhere(void *arg, unsigned tries, uint64_t spoilt, struct err *why)
{
	struct memory_source *m = arg;

	(void)why;
	m->spoilt += spoilt;
	if (tries >= m->others)
		return -1;
	m->elsewheres++;
	return 0;
}

static inline void
memory_source_close(void *arg)
{
	(void)arg;
}

static inline struct source
memory_source(struct memory_source *m)
{
	return (struct source){.arg = m,
		.open = memory_source_open,
		.read = memory_source_read,
		.close = memory_source_close,
		.elsewhere = memory_source_elsewhere,
		.only_ranges = memory_source_only};
}

/* The bytes in an unnamed file. The caller closes it. */
static inline int
memory_file(struct span bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct err e = ERR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(file_pwrite_full(fd, "test", bytes.data, bytes.len, 0, &e), 0);
	return fd;
}

/* As what a payload's chunks are stored, with a source of its own, so that nobody counts it. */
struct made_stored {
	struct memory_source memory;
	struct source source;
	int seals_fd;
	uint64_t fetched;
	struct stored *stored;
};

static inline void
made_stored_make(struct made_stored *s, const struct made *m)
{
	struct err e = ERR_INIT;

	*s = (struct made_stored){.memory.bytes = buf_span(&m->stored)};
	s->source = memory_source(&s->memory);
	s->seals_fd = memory_file(buf_span(&m->seals));
	assert_int_equal(stored_new(&(struct stored_job){.payload = &m->p,
					    .source = &s->source,
					    .head_fd = s->seals_fd,
					    .head_name = "the head",
					    .state_dir = ".",
					    .fetched = &s->fetched},
				 &s->stored, &e),
		0);
}

/* All of it is brought. */
static inline void
made_stored_bring(struct made_stored *s, struct index_reader *index)
{
	AUTO_WANTS struct wants *all = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(wants_new(index_entries(index), &all, &e), 0);
	for (uint64_t entry = 0; entry < index_entries(index); entry++)
		wants_add(all, entry);
	if (stored_bring(s->stored, index, all, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(index_rewind(index, &e), 0);
}

static inline void
made_stored_free(struct made_stored *s)
{
	if (s->stored)
		(void)close(s->seals_fd);
	stored_free(&s->stored);
}

#endif
