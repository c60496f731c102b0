/* What a bundle's members say, checked to the last byte. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/codec.h"
#include "common/format/files.h"
#include "common/format/hints.h"
#include "common/format/index.h"
#include "common/format/pages.h"
#include "signer/bundle_file.h"
#include "signer/ui.h"

/* One payload on its way through. */
struct check {
	const struct bundle_file *b;
	const struct payload *p;
	const uint64_t *offset; /* of its members in the file */
	struct pages pages;
	uint64_t stored_offset; /* of the next chunk */
	struct inflater *inflater;
	struct digest_state *sum; /* of the image, or of the file */
	struct files_reader *files;
	const struct tree_entry *file; /* that is being read; NULL between files */
	uint64_t file_left;
	uint8_t stored[CHUNK_STORED_MAX], plain[CHUNK_BYTES];
};

static void
check_free(struct check **slot)
{
	struct check *c = *slot;

	if (!c)
		return;
	inflater_free(&c->inflater);
	digest_abandon(&c->sum);
	files_close(&c->files);
	free(c);
}

static int
untrusted(const struct check *c, struct err *e, const char *what)
{
	return err_set(e, ERR_UNTRUSTED, "%s: %s: %s", c->b->path, c->p->name, what);
}

static int
check_hints(
	struct check *c, const struct chunk *chunk, uint64_t at, struct span plain, struct err *e)
{
	uint8_t want[HINTS_CHUNK_BYTES], got[HINTS_CHUNK_BYTES];
	uint64_t block = (chunk->offset + at) / HINT_BLOCK_BYTES;
	size_t len = hints_of(plain, want);

	if (!c->p->members[MEMBER_HINTS].present)
		return 0;
	if (file_pread_full(c->b->fd, c->b->path, got, len,
		    c->offset[MEMBER_HINTS] + block * HINT_BYTES, e) < 0)
		return -1;
	return memcmp(want, got, len) == 0 ? 0 : untrusted(c, e, "its hints are not its blocks'");
}

/* To the next file that has bytes; *file NULL at the end of the list. */
static int
next_file(struct check *c, struct err *e)
{
	static const struct span nothing = {(const uint8_t *)"", 0};
	struct digest none = digest_of(nothing);
	bool more = true;

	for (c->file = NULL; !c->file;) {
		const struct tree_entry *t;

		if (files_next(c->files, &t, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (t->type != TREE_FILE)
			continue;
		if (t->size > 0)
			c->file = t;
		else if (!digest_equal(&t->sha256, &none))
			return err_set(e, ERR_UNTRUSTED, "%s: %s: %s is not what its list says",
				c->b->path, c->p->name, t->path);
	}
	c->file_left = c->file->size;
	return digest_begin(&c->sum, e);
}

/* The plain bytes of a tree: a chunk is of one file, and short only at that file's end. */
static int
check_tree_bytes(struct check *c, struct span plain, struct err *e)
{
	struct digest got;

	if (!c->file)
		return untrusted(c, e, "it has more bytes than its files");
	if (plain.len > c->file_left || (plain.len < CHUNK_BYTES && plain.len < c->file_left))
		return err_set(e, ERR_MALFORMED, "%s: %s: a chunk does not end with %s", c->b->path,
			c->p->name, c->file->path);
	digest_add(c->sum, plain.data, plain.len);
	c->file_left -= plain.len;
	if (c->file_left > 0)
		return 0;
	got = digest_end(&c->sum);
	if (!digest_equal(&got, &c->file->sha256))
		return err_set(e, ERR_UNTRUSTED, "%s: %s: %s is not what its list says", c->b->path,
			c->p->name, c->file->path);
	return next_file(c, e);
}

static int
check_bytes(struct check *c, const struct chunk *chunk, uint64_t at, size_t len, struct err *e)
{
	struct span plain = span_of(c->plain, len);

	if (c->files)
		return check_tree_bytes(c, plain, e);
	digest_add(c->sum, plain.data, plain.len);
	return check_hints(c, chunk, at, plain, e);
}

/* The seal of a chunk's record is that of the record, which says where the stored bytes are cut. */
static int
check_cuts(struct check *c, const struct chunk *chunk, uint64_t entry, struct err *e)
{
	uint8_t record[CUTS_BYTES];
	struct seal is;
	struct cuts cuts;

	if (!c->p->members[MEMBER_CUTS].present)
		return 0;
	if (file_pread_full(c->b->fd, c->b->path, record, sizeof(record),
		    c->offset[MEMBER_CUTS] + entry * CUTS_BYTES, e) < 0)
		return -1;
	if (chunk->store == CHUNK_ZERO_RUN) {
		is = cuts_record_seal(record);
		return seal_is_zero(&is) ? 0 : untrusted(c, e, "a run of zeros has cuts");
	}
	if (cuts_take(record, &chunk->cuts, chunk, &cuts, e) < 0 ||
		chunk_complete(c->inflater, chunk, &cuts, (1U << cuts.count) - 1,
			span_of(c->stored, chunk->stored_size), c->plain, e) < 0)
		return err_context(e, "%s: %s", c->b->path, c->p->name);
	return 0;
}

/* The index's page that begins with this entry is what was sealed. */
static int
check_page(const struct check *c, uint64_t entry, struct err *e)
{
	uint64_t page = entry / PAGE_ENTRIES, size = c->p->members[MEMBER_INDEX].size;
	size_t len = pages_entries(index_entries_in(size), page) * INDEX_ENTRY_BYTES;
	uint8_t bytes[INDEX_PAGE_BYTES];

	if (file_pread_full(c->b->fd, c->b->path, bytes, len,
		    c->offset[MEMBER_INDEX] + INDEX_HEADER_BYTES + page * INDEX_PAGE_BYTES, e) < 0)
		return -1;
	return pages_check_index(&c->pages, page, span_of(bytes, len), e);
}

/* Sets as what the chunk is stored: right behind the one before. */
static int
check_stored(struct check *c, struct chunk *chunk, uint64_t entry, struct err *e)
{
	if ((entry % PAGE_ENTRIES == 0 && check_page(c, entry, e) < 0) ||
		pages_find(&c->pages, entry, chunk, e) < 0)
		return err_context(e, "%s", c->b->path);
	if (chunk->stored_offset != c->stored_offset)
		return err_set(e, ERR_MALFORMED,
			"%s: %s.stored: entry %" PRIu64 " is not where the one before ends",
			c->b->path, c->p->name, entry);
	c->stored_offset += chunk->stored_size;
	return 0;
}

static int
check_chunk(struct check *c, struct chunk *chunk, uint64_t entry, struct err *e)
{
	if (check_stored(c, chunk, entry, e) < 0)
		return -1;
	if (chunk->store != CHUNK_ZERO_RUN) {
		if (file_pread_full(c->b->fd, c->b->path, c->stored, chunk->stored_size,
			    c->offset[MEMBER_DATA] + chunk->stored_offset, e) < 0)
			return -1;
		if (chunk_decode(c->inflater, chunk, span_of(c->stored, chunk->stored_size),
			    c->plain, e) < 0)
			return err_context(e, "%s: %s", c->b->path, c->p->name);
		if (check_bytes(c, chunk, 0, (size_t)chunk->size, e) < 0)
			return -1;
		return check_cuts(c, chunk, entry, e);
	}
	memset(c->plain, 0, CHUNK_BYTES);
	for (uint64_t at = 0; at < chunk->size; at += CHUNK_BYTES) {
		if (check_bytes(c, chunk, at, CHUNK_BYTES, e) < 0)
			return -1;
	}
	return check_cuts(c, chunk, entry, e);
}

static int
check_begin(struct check *c, struct err *e)
{
	const struct member *hints = &c->p->members[MEMBER_HINTS];

	if (hints->present && hints->size != hints_size(c->p->size))
		return untrusted(c, e, "its hints are not one a block");
	if (inflater_new(&c->inflater, e) < 0)
		return -1;
	if (c->p->kind == PAYLOAD_IMAGE)
		return digest_begin(&c->sum, e);
	if (files_open(c->b->fd, c->b->path, c->offset[MEMBER_FILES], c->p, &c->files, e) < 0)
		return -1;
	return next_file(c, e);
}

static int
check_end(struct check *c, struct err *e)
{
	struct digest got;

	if (c->stored_offset != c->p->members[MEMBER_DATA].size)
		return untrusted(c, e, "its chunks are not all of its data");
	if (c->files)
		return c->file ? untrusted(c, e, "it has fewer bytes than its files") : 0;
	got = digest_end(&c->sum);
	return digest_equal(&got, &c->p->digest) ? 0
						 : untrusted(c, e, "the image has another digest");
}

static int
check_payload(const struct bundle_file *b, size_t i, struct err *e)
{
	CLEANUP(check_free) struct check *c = calloc(1, sizeof(*c));
	AUTO_INDEX struct index_reader *index = NULL;
	struct progress progress;
	bool more = true;

	if (!c)
		return err_sys(e, ENOMEM, "checking %s", b->path);
	c->b = b;
	c->p = &b->manifest->payloads[i];
	c->offset = b->layout.offset[i];
	c->pages = bundle_file_pages(b, i);
	if (check_begin(c, e) < 0 ||
		index_open(b->fd, b->path, c->offset[MEMBER_INDEX], c->p, &index, e) < 0)
		return -1;
	progress_start(&progress, c->p->name, c->p->size);
	for (uint64_t entry = 0; more; entry++) {
		struct chunk chunk;

		if (index_next(index, &chunk, &more, e) < 0 ||
			(more && check_chunk(c, &chunk, entry, e) < 0)) {
			progress_end(&progress);
			return -1;
		}
		if (more)
			progress_set(&progress, chunk.offset);
	}
	progress_end(&progress);
	return check_end(c, e);
}

int
bundle_file_check_content(const struct bundle_file *b, struct err *e)
{
	for (size_t i = 0; i < b->manifest->payload_count; i++) {
		if (check_payload(b, i, e) < 0)
			return -1;
	}
	return 0;
}
