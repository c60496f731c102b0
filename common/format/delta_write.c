/* Making a payload's part of a delta's head. */
#include <errno.h>
#include <stdlib.h>

#include "common/base/num.h"
#include "common/format/delta_parts.h"
#include "common/format/varint.h"

struct delta_writer {
	struct buf walk, digests, records;
	uint64_t entries, data_size, record_count;
	/* The item that is being put together, and its runs so far. */
	enum delta_kind kind;
	uint64_t count;
	struct buf runs;
	uint64_t offset; /* in the new payload */
	uint64_t run_at, run_size, run_shift;
	bool run_zeros;
	uint64_t shift; /* of the last run that was written */
};

int
delta_writer_new(struct delta_writer **out, struct err *e)
{
	struct delta_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return err_sys(e, ENOMEM, "making a delta");
	w->walk = w->digests = w->records = w->runs = BUF_INIT(HEAD_BYTES_MAX);
	*out = w;
	return 0;
}

void
delta_writer_free(struct delta_writer **w)
{
	if (!*w)
		return;
	buf_free(&(*w)->walk);
	buf_free(&(*w)->digests);
	buf_free(&(*w)->records);
	buf_free(&(*w)->runs);
	free(*w);
	*w = NULL;
}

static int
run_flush(struct delta_writer *w, struct err *e)
{
	uint64_t size = w->run_size;

	w->run_size = 0;
	if (size == 0)
		return 0;
	if (varint_append(&w->runs, size << 1 | w->run_zeros, e) < 0)
		return -1;
	if (w->run_zeros)
		return 0;
	if (varint_append(&w->runs, zigzag_fold((int64_t)(w->run_shift - w->shift)), e) < 0)
		return -1;
	w->shift = w->run_shift;
	return 0;
}

static int
run_put(struct delta_writer *w, const struct delta_run *r, struct err *e)
{
	uint64_t shift = r->zeros ? 0 : r->old_at - w->run_at;

	if (w->run_size > 0 && (r->zeros != w->run_zeros || shift != w->run_shift) &&
		run_flush(w, e) < 0)
		return -1;
	w->run_zeros = r->zeros;
	w->run_shift = shift;
	w->run_size += r->size;
	w->run_at += r->size;
	return 0;
}

static int
item_flush(struct delta_writer *w, struct err *e)
{
	uint64_t count = w->count;

	w->count = 0;
	if (count == 0)
		return 0;
	if (varint_append(&w->walk, (uint64_t)w->kind | (count - 1) << ITEM_BITS, e) < 0 ||
		run_flush(w, e) < 0 || buf_append(&w->walk, w->runs.data, w->runs.len, e) < 0)
		return -1;
	buf_clear(&w->runs);
	return 0;
}

static int
runs_put(struct delta_writer *w, const struct delta_entry *entry, struct err *e)
{
	w->run_at = w->offset;
	for (size_t i = 0; i < entry->runs; i++) {
		if (run_put(w, &entry->run[i], e) < 0)
			return -1;
	}
	return 0;
}

/* A short chunk is an item of its own. */
static int
short_put(struct delta_writer *w, const struct delta_entry *entry, struct err *e)
{
	uint64_t item = (uint64_t)entry->kind | ITEM_SHORT | entry->size << ITEM_BITS;

	if (varint_append(&w->walk, item, e) < 0 || runs_put(w, entry, e) < 0 ||
		run_flush(w, e) < 0 || buf_append(&w->walk, w->runs.data, w->runs.len, e) < 0)
		return -1;
	buf_clear(&w->runs);
	return 0;
}

static int
whole_put(struct delta_writer *w, const struct delta_entry *entry, struct err *e)
{
	/* Each run of zeros is an entry. */
	if (w->count > 0 && (w->kind != entry->kind || entry->kind == DELTA_ZEROS) &&
		item_flush(w, e) < 0)
		return -1;
	w->kind = entry->kind;
	w->count += entry->size / CHUNK_BYTES;
	return runs_put(w, entry, e);
}

int
delta_put(struct delta_writer *w, const struct delta_entry *entry, struct err *e)
{
	bool listed = entry->kind == DELTA_RECORD || entry->kind == DELTA_FULL;

	if (entry->size % CHUNK_BYTES != 0) {
		if (item_flush(w, e) < 0 || short_put(w, entry, e) < 0)
			return -1;
	} else if (whole_put(w, entry, e) < 0) {
		return -1;
	}
	w->offset += entry->size;
	return listed ? buf_append(&w->digests, entry->plain.b, DIGEST_BYTES, e) : 0;
}

int
delta_put_record(struct delta_writer *w, struct span stored, uint32_t chunks, struct err *e)
{
	uint8_t bytes[8];
	struct seal seal = seal_of(stored);

	if (stored.len == 0 || stored.len > PATCH_STORED_MAX || chunks == 0 ||
		chunks > DELTA_RECORD_CHUNKS_MAX)
		return err_set(
			e, ERR_LIMIT, "a record of %zu bytes for %u chunks", stored.len, chunks);
	num_put_le32(bytes, (uint32_t)stored.len);
	num_put_le32(bytes + 4, chunks);
	if (buf_append(&w->records, bytes, sizeof(bytes), e) < 0 ||
		buf_append(&w->records, seal.b, SEAL_BYTES, e) < 0)
		return -1;
	w->data_size += stored.len;
	w->record_count++;
	return 0;
}

int
delta_writer_finish(struct delta_writer *w, struct buf *out, struct delta_part *part, struct err *e)
{
	size_t before = out->len;

	if (item_flush(w, e) < 0 || inflow_pack(buf_span(&w->walk), out, e) < 0)
		return -1;
	part->walk_bytes = w->walk.len;
	part->walk_stored = out->len - before;
	part->digests = w->digests.len / DIGEST_BYTES;
	part->records = w->record_count;
	part->data_size = w->data_size;
	if (buf_append(out, w->digests.data, w->digests.len, e) < 0)
		return -1;
	return buf_append(out, w->records.data, w->records.len, e);
}
