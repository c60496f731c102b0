#include "agent/survey.h"

#include <errno.h>
#include <stdbool.h>

#include "agent/crew.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/digest_many.h"
#include "common/format/hints.h"

enum { BLOCKS_PER_CHUNK = CHUNK_BYTES / HINT_BLOCK_BYTES };

/* Where the walk is. A piece is an item of a batch: c is where it lies, and what the chunk is that
 * is wanted there, whose size is entry_bytes (0: none is); stored is for its hints. */
struct look {
	struct survey *s;
	struct crew *crew;
	uint64_t pieces; /* that it came to */
};

static void
look_free(struct look *l)
{
	crew_end(&l->crew);
}

/* Which of the pieces are the chunks that are wanted. */
static void
pieces_compare(struct batch *b)
{
	struct batch_item *wanted[BATCH_CHUNKS];
	struct span in[BATCH_CHUNKS] = {0};
	struct digest now[BATCH_CHUNKS];
	size_t n = 0;

	for (size_t i = 0; i < b->count; i++) {
		struct batch_item *item = &b->item[i];

		if (item->unread || item->entry_bytes == 0)
			continue;
		in[n] = span_of(item->plain, (size_t)item->entry_bytes);
		wanted[n++] = item;
	}
	digest_of_many(in, n, now);
	for (size_t i = 0; i < n; i++)
		wanted[i]->good = digest_equal(&now[i], &wanted[i]->c.plain);
}

/* Whole blocks of a piece have hints. */
static size_t
hinted_bytes(const struct batch_item *item)
{
	return (size_t)(item->c.size - item->c.size % HINT_BLOCK_BYTES);
}

static void
pieces_work(struct batch *b)
{
	if (batch_read(b) < 0)
		return;
	pieces_compare(b);
	for (size_t i = 0; i < b->count; i++) {
		const struct batch_item *item = &b->item[i];

		if (!item->unread && !item->good && item->c.stored_size > 0)
			(void)hints_of(span_of(item->plain, hinted_bytes(item)), item->stored);
	}
}

static int
hints_note(struct survey *s, const struct batch_item *item, struct err *e)
{
	size_t size = hinted_bytes(item) / HINT_BLOCK_BYTES * HINT_BYTES;

	for (size_t at = 0; at < size; at += HINT_BYTES) {
		uint64_t *where = hint_table_find(s->sample, num_get_le64(item->stored + at));

		if (!where || *where != HINT_NOWHERE)
			continue;
		*where = 0;
		s->hits++;
	}
	return s->fd < 0 ? 0
			 : file_pwrite_full(s->fd, "the list of old blocks", item->stored, size,
				   item->c.offset / HINT_BLOCK_BYTES * HINT_BYTES, e);
}

static int
pieces_note(void *arg, const struct batch *b, struct err *e)
{
	struct survey *s = ((const struct look *)arg)->s;

	for (size_t i = 0; i < b->count && b->err.class == ERR_NONE; i++) {
		const struct batch_item *item = &b->item[i];

		if (item->good) {
			wants_add(s->seen, item->entry);
			s->hits += BLOCKS_PER_CHUNK;
		} else if (!item->unread && item->c.stored_size > 0 && hints_note(s, item, e) < 0) {
			return -1;
		}
	}
	return 0;
}

/* One piece of so many, and not always the same of them: images have patterns, too. */
static bool
is_looked_at(const struct survey *s, uint64_t piece)
{
	uint64_t scattered = piece / s->every * 0x9e3779b97f4a7c15ULL >> 32;

	return piece % s->every == scattered % s->every;
}

/* c: the chunk that begins here and is wanted, or NULL. */
static int
piece_look(struct look *l, uint64_t offset, size_t len, uint64_t entry, const struct chunk *c,
	struct err *e)
{
	struct survey *s = l->s;
	struct chunk piece = {
		.offset = offset, .size = len, .stored_size = s->sample ? HINTS_CHUNK_BYTES : 0};
	struct batch_item *item;
	struct batch *b;

	if (!is_looked_at(s, l->pieces++) || (!c && !s->sample))
		return 0;
	if (keep_going_ask(s->keep_going, e) < 0)
		return -1;
	if (c)
		piece.plain = c->plain;
	for (;;) {
		if (crew_batch(l->crew, &b, e) < 0)
			return -1;
		item = batch_add(b, entry, &piece, true);
		if (item)
			break;
		crew_give(l->crew);
	}
	item->entry_bytes = c && c->size <= len ? c->size : 0;
	/* Pieces apart from each other are nothing that the kernel reads ahead. */
	if (s->every > 1 && s->place->soon)
		s->place->soon(s->place->arg, offset, len);
	return 0;
}

/* One piece, or a run of zeros piece by piece: something else may stand there. */
static int
range_look(struct look *l, uint64_t offset, uint64_t size, uint64_t entry, const struct chunk *c,
	struct err *e)
{
	for (uint64_t done = 0; done < size && offset + done < l->s->bytes; done += CHUNK_BYTES) {
		/* Old blocks may go on where the last chunk ends. */
		uint64_t most = l->s->sample ? CHUNK_BYTES : num_min(size - done, CHUNK_BYTES);
		size_t len = (size_t)num_min(most, l->s->bytes - offset - done);

		if (piece_look(l, offset + done, len, entry, c, e) < 0)
			return -1;
	}
	return 0;
}

static int
look_walk(struct look *l, struct err *e)
{
	const struct survey *s = l->s;
	uint64_t end = 0;

	if (index_rewind(s->index, e) < 0)
		return -1;
	for (uint64_t entry = 0;; entry++) {
		struct chunk c;
		bool more, wanted;

		if (index_next(s->index, &c, &more, e) < 0)
			return -1;
		if (!more)
			break;
		end = c.offset + c.size;
		wanted = s->wanted && c.store != CHUNK_ZERO_RUN && wants_has(s->wanted, entry);
		if (range_look(l, c.offset, c.size, entry, wanted ? &c : NULL, e) < 0)
			return -1;
	}
	/* What was longer than the new one. */
	end = num_div_up(end, CHUNK_BYTES) * CHUNK_BYTES;
	return end < s->bytes ? range_look(l, end, s->bytes - end, 0, NULL, e) : 0;
}

int
survey_run(struct survey *s, struct err *e)
{
	CLEANUP(look_free) struct look l = {.s = s};
	struct err later;
	int rc;

	s->hits = 0;
	if (crew_start(&(struct crew_plan){s->place, pieces_work, pieces_note, &l, s->keep_going},
		    &l.crew, e) < 0)
		return -1;
	rc = look_walk(&l, e);
	return crew_finish(l.crew, rc < 0 ? &later : e) < 0 ? -1 : rc;
}
