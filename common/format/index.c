#include "common/format/index.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/member.h"

enum { INDEX_VERSION = 2, WINDOW_ENTRIES = 512 };

#define RUN_BIT 0x80000000U

static const char magic[8] = {'S', 'L', 'U', 'I', 'C', 'E', 'I', 'X'};

struct index_reader {
	int fd;
	const char *name;
	uint64_t start; /* of the header, in fd */
	const struct payload *p;
	uint64_t entries, next;
	uint64_t offset;	  /* where the next entry's bytes stand */
	struct digest_state *sum; /* of what was read since the start; NULL once compared */
	bool good;		  /* the comparison came out well */
	size_t window_len, window_pos;
	uint8_t header[INDEX_HEADER_BYTES];
	uint8_t window[WINDOW_ENTRIES * INDEX_ENTRY_BYTES];
};

void
index_close(struct index_reader **r)
{
	if (!*r)
		return;
	digest_abandon(&(*r)->sum);
	free(*r);
	*r = NULL;
}

static int
check_header(const struct index_reader *r, struct err *e)
{
	const struct payload *p = r->p;
	const uint8_t *h = r->header;
	uint64_t bytes = p->members[MEMBER_INDEX].size - INDEX_HEADER_BYTES;

	if (memcmp(h, magic, sizeof(magic)) != 0)
		return err_set(e, ERR_MALFORMED, "it does not begin like a chunk index");
	if (num_get_le32(h + 8) != INDEX_VERSION)
		return err_set(e, ERR_MALFORMED, "version %" PRIu32 " is not known here",
			num_get_le32(h + 8));
	if (num_get_le32(h + 12) != CHUNK_BYTES)
		return err_set(e, ERR_MALFORMED, "chunks of %" PRIu32 " bytes, not %d",
			num_get_le32(h + 12), CHUNK_BYTES);
	if (num_get_le64(h + 16) != p->size)
		return err_set(e, ERR_MALFORMED,
			"it is for %" PRIu64 " plain bytes, the manifest for %" PRIu64,
			num_get_le64(h + 16), p->size);
	if (bytes % INDEX_ENTRY_BYTES != 0 || r->entries != bytes / INDEX_ENTRY_BYTES)
		return err_set(e, ERR_MALFORMED,
			"%" PRIu64 " entries do not fill its %" PRIu64 " bytes", r->entries,
			p->members[MEMBER_INDEX].size);
	return 0;
}

/* What the manifest says of it, before anything is read. */
static int
check_size(const struct member *index, struct err *e)
{
	uint64_t entries = index_entries_in(index->size);

	if (!index->present)
		return err_set(e, ERR_MALFORMED, "there is no index");
	if (index->size < INDEX_HEADER_BYTES)
		return err_set(e, ERR_MALFORMED, "%" PRIu64 " bytes are no index", index->size);
	if (entries > INDEX_ENTRIES_MAX)
		return err_set(e, ERR_LIMIT, "%" PRIu64 " entries are too many", entries);
	return 0;
}

static int
read_header(struct index_reader *r, struct err *e)
{
	if (file_pread_full(r->fd, r->name, r->header, sizeof(r->header), r->start, e) < 0)
		return -1;
	r->entries = num_get_le64(r->header + 24);
	return check_header(r, e);
}

/* What was signed makes sense or does not; what this box's disk made of it says nothing of that. */
static int
refuse(const struct index_reader *r, struct err *e)
{
	return member_refuse(r->fd, r->name, r->start, r->p, MEMBER_INDEX, e);
}

int
index_open(int fd, const char *name, uint64_t offset, const struct payload *p,
	struct index_reader **out, struct err *e)
{
	CLEANUP(index_close) struct index_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return err_sys(e, ENOMEM, "reading %s", name);
	r->fd = fd;
	r->name = name;
	r->start = offset;
	r->p = p;
	if (check_size(&p->members[MEMBER_INDEX], e) < 0)
		return err_context(e, "%s: %s.index", name, p->name);
	if (read_header(r, e) < 0) {
		(void)err_context(e, "%s: %s.index", name, p->name);
		return refuse(r, e);
	}
	if (index_rewind(r, e) < 0)
		return -1;
	*out = TAKE_PTR(r);
	return 0;
}

int
index_rewind(struct index_reader *r, struct err *e)
{
	digest_abandon(&r->sum);
	if (digest_begin(&r->sum, e) < 0)
		return -1;
	digest_add(r->sum, r->header, sizeof(r->header));
	r->next = r->offset = 0;
	r->window_len = r->window_pos = 0;
	r->good = false;
	return 0;
}

uint64_t
index_entries(const struct index_reader *r)
{
	return r->entries;
}

uint64_t
index_entries_in(uint64_t index_bytes)
{
	return index_bytes < INDEX_HEADER_BYTES
		       ? 0
		       : (index_bytes - INDEX_HEADER_BYTES) / INDEX_ENTRY_BYTES;
}

/* The bytes of the next entry, through the window. */
static int
next_bytes(struct index_reader *r, const uint8_t **out, struct err *e)
{
	if (r->window_pos == r->window_len) {
		size_t len =
			(size_t)num_min(r->entries - r->next, WINDOW_ENTRIES) * INDEX_ENTRY_BYTES;
		uint64_t at = r->start + INDEX_HEADER_BYTES + r->next * INDEX_ENTRY_BYTES;

		if (file_pread_full(r->fd, r->name, r->window, len, at, e) < 0)
			return -1;
		digest_add(r->sum, r->window, len);
		r->window_len = len;
		r->window_pos = 0;
	}
	*out = r->window + r->window_pos;
	return 0;
}

static bool
digest_is_zero(const struct digest *d)
{
	static const struct digest zero;

	return digest_equal(d, &zero);
}

int
index_take_entry(const uint8_t b[INDEX_ENTRY_BYTES], struct chunk *c, struct err *e)
{
	uint32_t size = num_get_le32(b + DIGEST_BYTES);
	bool run = size & RUN_BIT;

	memcpy(c->plain.b, b, DIGEST_BYTES);
	c->store = run ? CHUNK_ZERO_RUN : CHUNK_UNKNOWN;
	c->size = run ? (uint64_t)(size - RUN_BIT) * CHUNK_BYTES : size;
	if (c->size < 1)
		return err_set(e, ERR_MALFORMED, "it stands for no bytes");
	if (run)
		return digest_is_zero(&c->plain)
			       ? 0
			       : err_set(e, ERR_MALFORMED, "a run of zeros with a digest");
	if (size > CHUNK_BYTES)
		return err_set(e, ERR_MALFORMED, "a chunk of %" PRIu32 " bytes", size);
	if (digest_is_zero(&c->plain))
		return err_set(e, ERR_MALFORMED, "a chunk without a digest");
	return 0;
}

/* The sum cannot overflow: what came before is within the manifest's size, and an entry's own size
 * is below 2^48. */
static int
check_place(const struct index_reader *r, const struct chunk *c, struct err *e)
{
	uint64_t end = r->offset + c->size;

	if (end > r->p->size)
		return err_set(e, ERR_MALFORMED, "%" PRIu64 " bytes past the payload's end",
			end - r->p->size);
	/* Where a tree's files end is known to whoever reads its list, not here. */
	if (r->p->kind == PAYLOAD_IMAGE && end < r->p->size && c->size % CHUNK_BYTES != 0)
		return err_set(e, ERR_MALFORMED, "a short chunk in the middle of an image");
	return 0;
}

static int
check_end(struct index_reader *r, struct err *e)
{
	struct digest got;

	if (r->sum) {
		got = digest_end(&r->sum);
		r->good = digest_equal(&got, &r->p->members[MEMBER_INDEX].digest);
	}
	if (!r->good)
		return member_changed(r->name, r->p, MEMBER_INDEX, e);
	if (r->offset != r->p->size)
		return err_set(e, ERR_MALFORMED,
			"%s: %s.index: its chunks are not the whole payload", r->name, r->p->name);
	return 0;
}

int
index_next(struct index_reader *r, struct chunk *out, bool *more, struct err *e)
{
	struct chunk c = {.offset = r->offset};
	const uint8_t *bytes;

	if (r->next == r->entries) {
		if (check_end(r, e) < 0)
			return -1;
		*more = false;
		return 0;
	}
	if (next_bytes(r, &bytes, e) < 0)
		return refuse(r, e);
	if (index_take_entry(bytes, &c, e) < 0 || check_place(r, &c, e) < 0) {
		(void)err_context(e, "%s: %s.index: entry %" PRIu64, r->name, r->p->name, r->next);
		return refuse(r, e);
	}
	r->window_pos += INDEX_ENTRY_BYTES;
	r->next++;
	r->offset += c.size;
	*out = c;
	*more = true;
	return 0;
}

void
index_put_header(uint8_t out[INDEX_HEADER_BYTES], uint64_t plain_bytes, uint64_t entries)
{
	memcpy(out, magic, sizeof(magic));
	num_put_le32(out + 8, INDEX_VERSION);
	num_put_le32(out + 12, CHUNK_BYTES);
	num_put_le64(out + 16, plain_bytes);
	num_put_le64(out + 24, entries);
}

void
index_put_entry(uint8_t out[INDEX_ENTRY_BYTES], const struct chunk *c)
{
	bool run = c->store == CHUNK_ZERO_RUN;

	memcpy(out, c->plain.b, DIGEST_BYTES);
	num_put_le32(out + DIGEST_BYTES,
		run ? RUN_BIT | (uint32_t)(c->size / CHUNK_BYTES) : (uint32_t)c->size);
}
