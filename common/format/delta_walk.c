/* Going through a payload's entries, by what a delta says of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/digest.h"
#include "common/format/delta_parts.h"
#include "common/format/varint.h"

struct delta_walk {
	int fd;
	const char *name;
	struct delta_part part;
	uint64_t payload_bytes;
	struct inflow *flow;
	struct section items;
	uint64_t entry, offset; /* of what comes next */
	/* The item that is being gone through. */
	enum delta_kind kind;
	uint64_t count, chunk_bytes; /* chunks left of it, and how large each is */
	uint64_t item_left;	     /* bytes of it for which no run was read */
	/* The run, and by how much further on it lies in the old payload. */
	uint64_t run_left, shift;
	bool run_zeros;
	uint64_t digests; /* taken so far */
	struct delta_record record;
	uint32_t told; /* chunks of the record so far */
	uint64_t record_end;
};

static int
malformed(const struct delta_walk *w, const char *what, struct err *e)
{
	return err_set(
		e, ERR_MALFORMED, "%s: entry %llu %s", w->name, (unsigned long long)w->entry, what);
}

int
delta_walk_rewind(struct delta_walk *w, struct err *e)
{
	const struct delta_part *p = &w->part;
	struct inflow_feed feed = {section_more, &w->items};

	w->items.at = p->walk_at;
	w->items.left = p->walk_stored;
	w->entry = w->offset = w->count = w->item_left = w->run_left = w->shift = w->digests = 0;
	w->run_zeros = false;
	w->record = (struct delta_record){0};
	w->told = 0;
	w->record_end = p->data_at;
	return inflow_begin(w->flow, &feed, true, p->walk_bytes, e);
}

int
delta_walk_open(int fd, const char *name, const struct delta_head *h, size_t part,
	const struct payload *p, struct delta_walk **out, struct err *e)
{
	AUTO_DELTA_WALK struct delta_walk *w = calloc(1, sizeof(*w));

	if (!w)
		return err_sys(e, ENOMEM, "reading a delta");
	w->fd = fd;
	w->name = name;
	w->part = h->parts[part];
	w->payload_bytes = p->size;
	w->items.fd = fd;
	w->items.name = name;
	if (inflow_new(INFLOW_ZLIB, &w->flow, e) < 0 || delta_walk_rewind(w, e) < 0)
		return -1;
	*out = TAKE_PTR(w);
	return 0;
}

void
delta_walk_close(struct delta_walk **w)
{
	if (*w)
		inflow_free(&(*w)->flow);
	free(*w);
	*w = NULL;
}

static int
item_begin(struct delta_walk *w, struct err *e)
{
	uint64_t item, left = w->payload_bytes - w->offset;

	if (inflow_varint(w->flow, &item, e) < 0)
		return err_context(e, "%s", w->name);
	w->kind = (enum delta_kind)(item & ((1U << ITEM_KIND_BITS) - 1));
	if (item & ITEM_SHORT) {
		w->chunk_bytes = item >> ITEM_BITS;
		w->count = 1;
		if (w->kind == DELTA_ZEROS || w->chunk_bytes == 0 || w->chunk_bytes >= CHUNK_BYTES)
			return malformed(w, "has a size that no short chunk has", e);
	} else {
		w->chunk_bytes = CHUNK_BYTES;
		w->count = (item >> ITEM_BITS) + 1;
	}
	if (w->count > left / w->chunk_bytes)
		return malformed(w, "goes on behind the end of the payload", e);
	w->item_left = w->kind == DELTA_COPY ? w->count * w->chunk_bytes : 0;
	w->run_left = 0;
	return 0;
}

static int
run_begin(struct delta_walk *w, struct err *e)
{
	uint64_t bytes, distance;

	if (inflow_varint(w->flow, &bytes, e) < 0)
		return err_context(e, "%s", w->name);
	w->run_zeros = bytes & 1;
	w->run_left = bytes >> 1;
	if (w->run_left == 0 || w->run_left > w->item_left)
		return malformed(w, "has a run that is longer than its item, or empty", e);
	w->item_left -= w->run_left;
	if (w->run_zeros)
		return 0;
	if (inflow_varint(w->flow, &distance, e) < 0)
		return err_context(e, "%s", w->name);
	w->shift += (uint64_t)zigzag_unfold(distance);
	return 0;
}

/* A piece of the run: this many bytes of the new payload at new_at. */
static int
run_take(struct delta_walk *w, uint64_t new_at, uint32_t size, struct delta_run *out, struct err *e)
{
	uint64_t old_at = new_at + w->shift, old_bytes = w->part.old_bytes;

	*out = (struct delta_run){.size = size, .zeros = w->run_zeros};
	w->run_left -= size;
	if (w->run_zeros)
		return 0;
	if (old_at > old_bytes || size > old_bytes - old_at)
		return malformed(w, "lies where the old payload has ended", e);
	out->old_at = old_at;
	return 0;
}

static int
copy_take(struct delta_walk *w, struct delta_entry *out, struct err *e)
{
	for (uint64_t done = 0; done < out->size;) {
		uint32_t size;

		if (w->run_left == 0 && run_begin(w, e) < 0)
			return -1;
		if (out->runs == DELTA_RUNS_MAX)
			return malformed(w, "is in more pieces than a chunk may be", e);
		size = (uint32_t)num_min(w->run_left, out->size - done);
		if (run_take(w, out->offset + done, size, &out->run[out->runs], e) < 0)
			return -1;
		out->runs++;
		done += size;
	}
	return 0;
}

static int
digest_take(struct delta_walk *w, struct delta_entry *out, struct err *e)
{
	if (w->digests == w->part.digests)
		return malformed(w, "has no digest", e);
	if (file_pread_full(w->fd, w->name, out->plain.b, DIGEST_BYTES,
		    w->part.digests_at + w->digests * DIGEST_BYTES, e) < 0)
		return err_own(e);
	w->digests++;
	return 0;
}

bool
delta_record_is(const struct delta_record *r, struct span stored)
{
	struct seal got = seal_of(stored);

	return stored.len == r->stored && seal_equal(&got, &r->seal);
}

static int
record_begin(struct delta_walk *w, struct err *e)
{
	uint64_t number = w->record.chunks > 0 ? w->record.number + 1 : 0;
	uint8_t bytes[DELTA_RECORD_BYTES];
	struct delta_record r = {.number = number, .offset = w->record_end};

	if (number == w->part.records)
		return malformed(w, "has no record", e);
	if (file_pread_full(w->fd, w->name, bytes, sizeof(bytes),
		    w->part.records_at + number * sizeof(bytes), e) < 0)
		return err_own(e);
	r.stored = num_get_le32(bytes);
	r.chunks = num_get_le32(bytes + 4);
	memcpy(r.seal.b, bytes + 8, sizeof(r.seal.b));
	if (r.stored == 0 || r.stored > PATCH_STORED_MAX || r.chunks == 0 ||
		r.chunks > DELTA_RECORD_CHUNKS_MAX ||
		r.stored > w->part.data_at + w->part.data_size - r.offset)
		return malformed(w, "has a record of a size that none may have", e);
	w->record = r;
	w->record_end += r.stored;
	w->told = 0;
	return 0;
}

static int
record_take(struct delta_walk *w, struct delta_entry *out, struct err *e)
{
	if (w->told == w->record.chunks && record_begin(w, e) < 0)
		return -1;
	out->record = w->record;
	out->in_record = w->told++;
	return 0;
}

static int
entry_take(struct delta_walk *w, struct delta_entry *out, struct err *e)
{
	if (w->kind == DELTA_ZEROS) {
		out->size = w->count * CHUNK_BYTES;
		w->count = 0;
		return 0;
	}
	out->size = w->chunk_bytes;
	w->count--;
	if (w->kind == DELTA_COPY)
		return copy_take(w, out, e);
	if (digest_take(w, out, e) < 0)
		return -1;
	return w->kind == DELTA_RECORD ? record_take(w, out, e) : 0;
}

/* All that the head has for this payload was used. */
static int
walk_end(struct delta_walk *w, struct err *e)
{
	uint64_t records = w->record.chunks > 0 ? w->record.number + 1 : 0;

	if (w->digests != w->part.digests || records != w->part.records ||
		w->told != w->record.chunks || w->record_end != w->part.data_at + w->part.data_size)
		return malformed(w, "is the end, and digests or records are left", e);
	return inflow_end(w->flow, e) < 0 ? err_context(e, "%s", w->name) : 0;
}

int
delta_walk_next(struct delta_walk *w, struct delta_entry *out, bool *more, struct err *e)
{
	if (w->offset == w->payload_bytes) {
		if (walk_end(w, e) < 0)
			return -1;
		*more = false;
		return 0;
	}
	if (w->count == 0 && item_begin(w, e) < 0)
		return -1;
	out->kind = w->kind;
	out->offset = w->offset;
	out->plain = (struct digest){{0}};
	out->record = (struct delta_record){0};
	out->in_record = 0;
	out->runs = 0;
	if (entry_take(w, out, e) < 0)
		return -1;
	w->offset += out->size;
	w->entry++;
	*more = true;
	return 0;
}
