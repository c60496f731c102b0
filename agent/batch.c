#include "agent/batch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/crypto/digest_many.h"

/* What direct reads and writes ask of memory. */
enum { ALIGN_BYTES = 4096 };

static struct digest zero_chunk; /* of CHUNK_BYTES zeros */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
find_zero_chunk(void)
{
	static uint8_t zeros[CHUNK_BYTES];

	zero_chunk = digest_of(span_of(zeros, sizeof(zeros)));
}

void
batch_free(struct batch **b)
{
	if (!*b)
		return;
	inflater_free(&(*b)->inflater);
	free((*b)->plain);
	free((*b)->stored);
	free(*b);
	*b = NULL;
}

int
batch_new(const struct place *place, struct batch **out, struct err *e)
{
	CLEANUP(batch_free) struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return err_sys(e, ENOMEM, "installing");
	b->place = place;
	b->plain = aligned_alloc(ALIGN_BYTES, BATCH_BYTES);
	b->stored = malloc(BATCH_BYTES);
	if (!b->plain || !b->stored)
		return err_sys(e, ENOMEM, "installing");
	if (pthread_once(&once, find_zero_chunk) != 0 || inflater_new(&b->inflater, e) < 0)
		return -1;
	*out = TAKE_PTR(b);
	return 0;
}

void
batch_clear(struct batch *b)
{
	b->count = b->plain_used = b->stored_used = 0;
	b->bytes = b->written = b->spoilt = b->spoilt_entry = 0;
	b->err.class = b->why.class = ERR_NONE;
}

struct batch_item *
batch_add(struct batch *b, uint64_t entry, const struct chunk *c, bool needs_memory)
{
	struct batch_item *item = &b->item[b->count];
	size_t memory = needs_memory ? (size_t)c->size : 0;

	if (b->count == BATCH_CHUNKS || memory > BATCH_BYTES - b->plain_used ||
		c->stored_size > BATCH_BYTES - b->stored_used ||
		c->size > BATCH_ZERO_BYTES - b->bytes)
		return NULL;
	*item = (struct batch_item){.entry = entry,
		.c = *c,
		.entry_bytes = c->size,
		.last = true,
		.stored = b->stored + b->stored_used,
		.plain = b->plain + b->plain_used};
	b->count++;
	b->plain_used += memory;
	b->stored_used += c->stored_size;
	b->bytes += c->size;
	return item;
}

void
batch_drop(struct batch *b)
{
	const struct batch_item *item = &b->item[--b->count];

	b->plain_used = (size_t)(item->plain - b->plain);
	b->stored_used = (size_t)(item->stored - b->stored);
	b->bytes -= item->c.size;
}

/* Whether b follows a, in the place as in memory. */
static bool
follows(const struct batch_item *a, const struct batch_item *b)
{
	return a->c.offset + a->c.size == b->c.offset && a->plain + a->c.size == b->plain;
}

/* Items that follow each other are read at once; where that fails, one by one, for a bad block is
 * one chunk's. */
static int
read_some(struct batch *b, size_t first, size_t end)
{
	struct batch_item *item = &b->item[first], *last = &b->item[end - 1];
	uint64_t len = last->c.offset + last->c.size - item->c.offset;

	if (b->place->read(b->place->arg, item->plain, (size_t)len, item->c.offset, &b->err) == 0)
		return 0;
	if (!place_is_worn(&b->err))
		return -1;
	if (item == last) {
		item->unread = true;
		if (b->why.class == ERR_NONE) {
			b->why = b->err;
			(void)err_context(
				&b->why, "chunk at byte %llu", (unsigned long long)item->c.offset);
		}
	}
	b->err.class = ERR_NONE;
	for (size_t i = first; item != last && i < end; i++) {
		if (read_some(b, i, i + 1) < 0)
			return -1;
	}
	return 0;
}

int
batch_read(struct batch *b)
{
	for (size_t first = 0, end; first < b->count; first = end) {
		for (end = first + 1; end < b->count; end++) {
			if (!follows(&b->item[end - 1], &b->item[end]))
				break;
		}
		if (read_some(b, first, end) < 0)
			return -1;
	}
	return 0;
}

void
batch_compare(struct batch *b)
{
	struct batch_item *hashed[BATCH_CHUNKS];
	struct span in[BATCH_CHUNKS] = {0};
	struct digest now[BATCH_CHUNKS];
	size_t n = 0;

	if (batch_read(b) < 0)
		return;
	for (size_t i = 0; i < b->count; i++) {
		struct batch_item *item = &b->item[i];
		bool run = item->c.store == CHUNK_ZERO_RUN;

		if (item->unread)
			continue;
		/* A slot that is new has many of them. */
		if ((run || item->c.size == CHUNK_BYTES) &&
			span_is_zero(span_of(item->plain, (size_t)item->c.size))) {
			item->good = run || digest_equal(&item->c.plain, &zero_chunk);
		} else if (!run) {
			in[n] = span_of(item->plain, (size_t)item->c.size);
			hashed[n++] = item;
		}
	}
	digest_of_many(in, n, now);
	for (size_t i = 0; i < n; i++)
		hashed[i]->good = digest_equal(&now[i], &hashed[i]->c.plain);
}

/* From stored to plain; what is as it should be is good then. */
static void
decode_all(struct batch *b)
{
	struct chunk_job job[BATCH_CHUNKS];
	struct batch_item *item[BATCH_CHUNKS];
	struct err e = ERR_INIT;
	size_t n = 0, failed;

	for (size_t i = 0; i < b->count; i++) {
		const struct chunk *c = &b->item[i].c;

		if (c->store == CHUNK_ZERO_RUN)
			continue;
		item[n] = &b->item[i];
		job[n++] = (struct chunk_job){
			c, span_of(b->item[i].stored, c->stored_size), b->item[i].plain, ERR_NONE};
	}
	if (chunks_decode(b->inflater, job, n, &failed, &e) < 0) {
		(void)err_context(
			&e, "chunk at byte %llu", (unsigned long long)item[failed]->c.offset);
		*(e.class == ERR_UNTRUSTED ? &b->why : &b->err) = e;
		b->spoilt_entry = item[failed]->entry;
	}
	for (size_t i = 0; i < n; i++) {
		item[i]->good = job[i].class == ERR_NONE;
		b->spoilt += job[i].class == ERR_UNTRUSTED ? item[i]->c.stored_size : 0;
	}
}

static int
make_zeros(struct batch *b, struct batch_item *item)
{
	uint64_t written;

	if (b->place->zero(b->place->arg, item->c.offset, item->c.size, &written, &b->err) < 0)
		return -1;
	b->written += written;
	item->good = true;
	return 0;
}

/* Writes good chunks that follow each other, from the first on, at once. *end is behind them. */
static int
write_some(struct batch *b, size_t first, size_t *end)
{
	const struct batch_item *item = &b->item[first];
	uint64_t len = item->c.size;

	for (*end = first + 1; *end < b->count; ++*end) {
		const struct batch_item *next = &b->item[*end];

		if (!next->good || next->c.store == CHUNK_ZERO_RUN || !follows(next - 1, next))
			break;
		len += next->c.size;
	}
	if (b->place->write(b->place->arg, item->plain, (size_t)len, item->c.offset, &b->err) < 0)
		return -1;
	b->written += len;
	return 0;
}

void
batch_mend(struct batch *b)
{
	decode_all(b);
	for (size_t i = 0; i < b->count;) {
		struct batch_item *item = &b->item[i];
		size_t end = i + 1;

		if (item->c.store == CHUNK_ZERO_RUN ? make_zeros(b, item) < 0
						    : item->good && write_some(b, i, &end) < 0)
			return;
		i = end;
	}
}
