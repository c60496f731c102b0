#include "signer/delta_unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "signer/delta_steps.h"

/* A record has 16 chunks, so that one that is lost takes few others with it, or ends where it costs
 * so much, more or less: with one chunk more it stays far below PATCH_STORED_MAX. */
enum {
	RECORD_CHUNKS = 16,
	RECORD_COST = 64 * 1024,
	FULL_BYTES =
		100, /* what a stored chunk takes besides: a share of its page, and a request */
	UNIT_ROOM = 64 << 20
};

struct delta_worker {
	struct delta_matcher *matcher;
	struct patch_writer *record, *alone;
	struct buf scratch;
};

/* A unit on its way. */
struct telling {
	struct delta_worker *w;
	const struct delta_between *b;
	struct delta_unit *u;
	struct delta_steps steps; /* of the record */
	uint32_t chunks, cost;	  /* of it, so far */
	uint64_t ahead;		  /* where the next byte would be, if the last ones went on */
};

void
delta_unit_free(struct delta_unit *u)
{
	buf_free(&u->told);
	buf_free(&u->runs);
	buf_free(&u->stored);
}

void
delta_worker_free(struct delta_worker *w)
{
	if (!w)
		return;
	delta_matcher_free(&w->matcher);
	patch_writer_free(&w->record);
	patch_writer_free(&w->alone);
	buf_free(&w->scratch);
	free(w);
}

int
delta_worker_new(struct delta_worker **out, struct err *e)
{
	struct delta_worker *w = calloc(1, sizeof(*w));

	if (!w)
		return err_sys(e, ENOMEM, "making a delta");
	w->scratch = BUF_INIT(UNIT_ROOM);
	if (delta_matcher_new(&w->matcher, e) < 0 || patch_writer_new(&w->record, e) < 0 ||
		patch_writer_new(&w->alone, e) < 0) {
		delta_worker_free(w);
		return -1;
	}
	*out = w;
	return 0;
}

static bool
is_image(const struct delta_between *b)
{
	return b->to->payload->kind == PAYLOAD_IMAGE;
}

static struct span
chunk_bytes(const struct delta_between *b, const struct delta_chunk *c)
{
	return span_of(b->to->plain.data + c->offset, (size_t)c->size);
}

bool
delta_unit_is_plain(const struct delta_between *b, const struct delta_chunk *c)
{
	struct span bytes = chunk_bytes(b, c);
	uint64_t at;

	if (c->stored == 0 || !b->from)
		return true;
	if (!is_image(b))
		return delta_side_find(b->from, c, 0, &at);
	if (bytes.len % DELTA_BLOCK_BYTES != 0)
		return false;
	for (size_t i = 0; i < bytes.len; i += DELTA_BLOCK_BYTES) {
		if (delta_blocks_find(b->old.blocks, bytes.data + i, DELTA_NOWHERE) ==
				DELTA_NOWHERE &&
			!span_is_zero(span_of(bytes.data + i, DELTA_BLOCK_BYTES)))
			return false;
	}
	return true;
}

static int
tell(struct telling *t, enum delta_kind kind, uint32_t runs, struct err *e)
{
	struct delta_told told = {kind, runs};

	return buf_append(&t->u->told, &told, sizeof(told), e);
}

/* The runs of one chunk. */
struct runs {
	size_t count;
	struct delta_run run[DELTA_RUNS_MAX];
};

static bool
lies_at(struct span old, struct span bytes, uint64_t at)
{
	return at <= old.len && old.len - at >= bytes.len &&
	       memcmp(old.data + at, bytes.data, bytes.len) == 0;
}

/* Bytes that lie at old_at, or zeros, where they need not: so *ahead is left alone there. False
 * where there would be too many runs. */
static bool
run_add(struct runs *r, uint64_t old_at, size_t size, uint64_t *ahead)
{
	bool zeros = old_at == DELTA_NOWHERE;
	struct delta_run *last = r->count > 0 ? &r->run[r->count - 1] : NULL;

	if (!zeros || *ahead != DELTA_NOWHERE)
		*ahead = (zeros ? *ahead : old_at) + size;
	if (last && last->zeros == zeros && (zeros || last->old_at + last->size == old_at)) {
		last->size += (uint32_t)size;
		return true;
	}
	if (r->count == DELTA_RUNS_MAX)
		return false;
	r->run[r->count++] = (struct delta_run){
		.old_at = zeros ? 0 : old_at, .size = (uint32_t)size, .zeros = zeros};
	return true;
}

/* An image's chunk, each of whose blocks lies somewhere or is zeros. */
static bool
copy_blocks(const struct delta_between *b, struct span chunk, struct runs *r, uint64_t *ahead)
{
	if (chunk.len % DELTA_BLOCK_BYTES != 0)
		return false;
	for (size_t i = 0; i < chunk.len; i += DELTA_BLOCK_BYTES) {
		struct span block = span_of(chunk.data + i, DELTA_BLOCK_BYTES);
		uint64_t at = delta_blocks_find(b->old.blocks, block.data, *ahead);

		if (at == DELTA_NOWHERE && !span_is_zero(block))
			return false;
		if (at == DELTA_NOWHERE && r->count > 0 && !r->run[r->count - 1].zeros &&
			lies_at(b->old.bytes, block, *ahead))
			at = *ahead;
		if (!run_add(r, at, block.len, ahead))
			return false;
	}
	return true;
}

/* A chunk that lies in the old image byte by byte, wherever that is. */
static bool
copy_stretches(const struct delta_between *b, struct span chunk, const struct delta_match *m,
	struct runs *r)
{
	uint64_t ahead = DELTA_NOWHERE;

	for (size_t i = 0; i < m->count; i++) {
		const struct delta_stretch *s = &m->stretches[i];
		struct span bytes = span_of(chunk.data + s->at, s->size);

		if (s->old_at == DELTA_NOWHERE ? !span_is_zero(bytes)
					       : !lies_at(b->old.bytes, bytes, s->old_at))
			return false;
		if (!run_add(r, s->old_at, s->size, &ahead))
			return false;
	}
	return true;
}

static int
tell_copy(struct telling *t, const struct runs *r, struct err *e)
{
	if (buf_append(&t->u->runs, r->run, r->count * sizeof(*r->run), e) < 0)
		return -1;
	return tell(t, DELTA_COPY, (uint32_t)r->count, e);
}

static int
record_end(struct telling *t, struct err *e)
{
	struct delta_unit *u = t->u;
	size_t before = u->stored.len;

	if (t->chunks == 0)
		return 0;
	if (delta_steps_finish(&t->steps, &u->stored, e) < 0)
		return -1;
	u->record[u->records++] = (struct delta_unit_record){u->stored.len - before, t->chunks};
	t->chunks = t->cost = 0;
	return 0;
}

/* Whether a patch of this chunk would take more than it takes in the bundle: only where it may be
 * so is it made. */
static int
costs_more(struct telling *t, const struct delta_chunk *c, const struct delta_match *m, bool *more,
	struct err *e)
{
	struct delta_steps alone = {.old = t->b->old.bytes, .writer = t->w->alone};

	*more = false;
	if (m->cost + m->cost / 2 < c->stored)
		return 0;
	buf_clear(&t->w->scratch);
	if (delta_steps_add(&alone, chunk_bytes(t->b, c), m, e) < 0 ||
		delta_steps_finish(&alone, &t->w->scratch, e) < 0)
		return -1;
	*more = t->w->scratch.len > c->stored + (size_t)FULL_BYTES;
	return 0;
}

/* Where what comes behind a chunk would be, if its last old bytes went on. */
static uint64_t
ahead_of(const struct delta_match *m, size_t len, uint64_t ahead)
{
	for (size_t i = m->count; i-- > 0;) {
		if (m->stretches[i].old_at != DELTA_NOWHERE)
			return m->stretches[i].old_at + (len - m->stretches[i].at);
	}
	return ahead == DELTA_NOWHERE ? DELTA_NOWHERE : ahead + len;
}

static int
tell_patched(struct telling *t, const struct delta_chunk *c, struct err *e)
{
	struct span bytes = chunk_bytes(t->b, c);
	struct runs runs = {0};
	struct delta_match m;
	bool full;

	delta_match(t->w->matcher, &t->b->old, bytes, t->ahead, &m);
	t->ahead = ahead_of(&m, bytes.len, t->ahead);
	if (is_image(t->b) && copy_stretches(t->b, bytes, &m, &runs))
		return tell_copy(t, &runs, e);
	if (costs_more(t, c, &m, &full, e) < 0)
		return -1;
	if (full)
		return tell(t, DELTA_FULL, 0, e);
	if (delta_steps_add(&t->steps, bytes, &m, e) < 0 || tell(t, DELTA_RECORD, 0, e) < 0)
		return -1;
	t->chunks++;
	t->cost += m.cost;
	return t->chunks == RECORD_CHUNKS || t->cost >= RECORD_COST ? record_end(t, e) : 0;
}

static int
tell_entry(struct telling *t, const struct delta_chunk *c, struct err *e)
{
	struct runs runs = {0};
	uint64_t at, ahead = t->ahead;

	if (c->stored == 0) {
		if (t->ahead != DELTA_NOWHERE)
			t->ahead += c->size;
		return tell(t, DELTA_ZEROS, 0, e);
	}
	if (!t->b->from)
		return tell(t, DELTA_FULL, 0, e);
	if (is_image(t->b) && copy_blocks(t->b, chunk_bytes(t->b, c), &runs, &ahead)) {
		t->ahead = ahead;
		return tell_copy(t, &runs, e);
	}
	if (!is_image(t->b) && delta_side_find(t->b->from, c, t->ahead, &at)) {
		(void)run_add(&runs, at, (size_t)c->size, &t->ahead);
		return tell_copy(t, &runs, e);
	}
	return tell_patched(t, c, e);
}

int
delta_unit_tell(struct delta_worker *w, const struct delta_between *b, size_t first, size_t count,
	struct delta_unit *u, struct err *e)
{
	struct telling t = {.w = w,
		.b = b,
		.u = u,
		.steps = {.old = b->old.bytes, .writer = w->record},
		.ahead = DELTA_NOWHERE};

	delta_unit_free(u);
	*u = (struct delta_unit){.first = first,
		.count = count,
		.told = BUF_INIT(UNIT_ROOM),
		.runs = BUF_INIT(UNIT_ROOM),
		.stored = BUF_INIT(UNIT_ROOM)};
	for (size_t i = first; i < first + count; i++) {
		if (tell_entry(&t, &b->to->chunks[i], e) < 0)
			return -1;
	}
	return record_end(&t, e);
}

static int
entries_put(const struct delta_unit *u, const struct delta_between *b, struct delta_writer *w,
	struct delta_sum *sum, struct err *e)
{
	size_t run = 0;

	for (size_t i = 0; i < u->count; i++) {
		const struct delta_chunk *c = &b->to->chunks[u->first + i];
		struct delta_entry entry = {.size = c->size};
		struct delta_told told;

		memcpy(&told, u->told.data + i * sizeof(told), sizeof(told));
		entry.kind = told.kind;
		entry.runs = told.runs;
		if (told.runs > 0)
			memcpy(entry.run, u->runs.data + run * sizeof(*entry.run),
				told.runs * sizeof(*entry.run));
		run += told.runs;
		if (told.kind == DELTA_RECORD || told.kind == DELTA_FULL)
			entry.plain = c->plain;
		sum->full += told.kind == DELTA_FULL ? c->stored : 0;
		if (delta_put(w, &entry, e) < 0)
			return -1;
	}
	return 0;
}

int
delta_unit_put(const struct delta_unit *u, const struct delta_between *b, struct delta_writer *w,
	int fd, struct delta_sum *sum, struct err *e)
{
	size_t offset = 0;

	if (entries_put(u, b, w, sum, e) < 0)
		return -1;
	for (size_t i = 0; i < u->records; i++) {
		struct span stored = span_of(u->stored.data + offset, u->record[i].stored);

		if (delta_put_record(w, stored, u->record[i].chunks, e) < 0)
			return -1;
		offset += stored.len;
	}
	if (file_pwrite_full(
		    fd, "a temporary file", u->stored.data, u->stored.len, sum->records, e) < 0)
		return -1;
	sum->records += u->stored.len;
	return 0;
}
