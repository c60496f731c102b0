#include "common/format/pages.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"

enum { SEAL_AT = DIGEST_BYTES, SIZE_AT = SEAL_AT + SEAL_BYTES };

uint64_t
pages_count(uint64_t entries)
{
	return num_div_up(entries, PAGE_ENTRIES);
}

uint64_t
pages_stored_bytes(uint64_t entries)
{
	return pages_count(entries) * STORED_OFFSET_BYTES + entries * STORED_ENTRY_BYTES;
}

uint64_t
pages_seals_bytes(uint64_t entries)
{
	return 2 * pages_count(entries) * SEAL_BYTES;
}

size_t
pages_entries(uint64_t entries, uint64_t page)
{
	return (size_t)num_min(entries - page * PAGE_ENTRIES, PAGE_ENTRIES);
}

static uint64_t
entries_of(const struct pages *p)
{
	return index_entries_in(p->payload->members[MEMBER_INDEX].size);
}

uint64_t
pages_of(const struct pages *p)
{
	return pages_count(entries_of(p));
}

uint64_t
pages_at(const struct pages *p, uint64_t page, size_t *len)
{
	*len = STORED_OFFSET_BYTES + pages_entries(entries_of(p), page) * STORED_ENTRY_BYTES;
	return page * STORED_PAGE_BYTES;
}

static int
check(const struct pages *p, uint64_t number, struct span bytes, const char *what, struct err *e)
{
	struct seal want, got = seal_of(bytes);

	if (file_pread_full(p->seals_fd, p->seals_name, want.b, sizeof(want.b),
		    p->seals_offset + number * SEAL_BYTES, e) < 0)
		return -1;
	return seal_equal(&want, &got)
		       ? 0
		       : err_set(e, ERR_UNTRUSTED, "%s.%s: a page is not the one that was sealed",
				 p->payload->name, what);
}

int
pages_check(const struct pages *p, uint64_t page, struct span bytes, struct err *e)
{
	return check(p, pages_of(p) + page, bytes, "stored", e);
}

int
pages_check_index(const struct pages *p, uint64_t page, struct span bytes, struct err *e)
{
	return check(p, page, bytes, "index", e);
}

static int
load(struct pages *p, uint64_t page, struct err *e)
{
	size_t len;
	uint64_t at = pages_at(p, page, &len);

	if (p->loaded == page + 1)
		return 0;
	p->loaded = 0;
	if (file_pread_full(p->fd, p->name, p->page, len, p->offset + at, e) < 0 ||
		pages_check(p, page, span_of(p->page, len), e) < 0)
		return -1;
	p->loaded = page + 1;
	return 0;
}

static bool
digest_is_zero(const struct digest *d)
{
	static const struct digest zero;

	return digest_equal(d, &zero);
}

static int
check_run(const struct chunk *c, struct err *e)
{
	if (c->stored_size == 0 && digest_is_zero(&c->stored) && seal_is_zero(&c->cuts))
		return 0;
	return err_set(e, ERR_MALFORMED, "a run of zeros with stored bytes");
}

static int
check_chunk(const struct pages *p, const struct chunk *c, struct err *e)
{
	if (c->stored_size < 1 || c->stored_size > c->size)
		return err_set(e, ERR_MALFORMED,
			"%" PRIu64 " plain bytes in %" PRIu32 " stored ones", c->size,
			c->stored_size);
	if (digest_is_zero(&c->stored))
		return err_set(e, ERR_MALFORMED, "a chunk without a digest");
	if (c->store == CHUNK_RAW && !digest_equal(&c->plain, &c->stored))
		return err_set(e, ERR_MALFORMED, "a raw chunk with two digests");
	if (!p->payload->members[MEMBER_CUTS].present && !seal_is_zero(&c->cuts))
		return err_set(e, ERR_MALFORMED, "a seal of cuts that there are not");
	return 0;
}

/* The entry of the page that is loaded. No sum here can overflow: of at most 64 numbers of 32 bits,
 * to one that is at most the size of the data. */
static int
entry_read(const struct pages *p, size_t number, struct chunk *c, struct err *e)
{
	const uint8_t *b = p->page + STORED_OFFSET_BYTES;
	uint64_t data = p->payload->members[MEMBER_DATA].size;

	c->stored_offset = num_get_le64(p->page);
	if (c->stored_offset > data)
		return err_set(e, ERR_MALFORMED, "stored bytes past the end of the data");
	for (size_t i = 0; i < number; i++, b += STORED_ENTRY_BYTES)
		c->stored_offset += num_get_le32(b + SIZE_AT);
	memcpy(c->stored.b, b, sizeof(c->stored.b));
	memcpy(c->cuts.b, b + SEAL_AT, sizeof(c->cuts.b));
	c->stored_size = num_get_le32(b + SIZE_AT);
	if (c->stored_offset + c->stored_size > data)
		return err_set(e, ERR_MALFORMED, "stored bytes past the end of the data");
	if (c->store == CHUNK_ZERO_RUN)
		return check_run(c, e);
	c->store = c->stored_size == c->size ? CHUNK_RAW : CHUNK_ZLIB;
	return check_chunk(p, c, e);
}

int
pages_find(struct pages *p, uint64_t entry, struct chunk *c, struct err *e)
{
	struct chunk found = *c;

	if (load(p, entry / PAGE_ENTRIES, e) < 0)
		return -1;
	if (entry_read(p, (size_t)(entry % PAGE_ENTRIES), &found, e) < 0)
		return err_context(e, "%s.stored: entry %" PRIu64, p->payload->name, entry);
	*c = found;
	return 0;
}

void
pages_put_offset(uint8_t out[STORED_OFFSET_BYTES], uint64_t stored_offset)
{
	num_put_le64(out, stored_offset);
}

void
pages_put_entry(uint8_t out[STORED_ENTRY_BYTES], const struct chunk *c)
{
	memcpy(out, c->stored.b, sizeof(c->stored.b));
	memcpy(out + SEAL_AT, c->cuts.b, sizeof(c->cuts.b));
	num_put_le32(out + SIZE_AT, c->store == CHUNK_ZERO_RUN ? 0 : c->stored_size);
}
