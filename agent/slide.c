#include "agent/slide.h"

#include <errno.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/format/hints.h"

/* Most bytes begin no block that is looked for, which a table that stays in the processor's cache
 * tells: a bit for each value of the hint's highest bits. */
enum { PIECE_BYTES = 64 * 1024, FILTER_BITS = 20, FILTER_BYTES = 1 << (FILTER_BITS - 3) };

struct slide {
	uint8_t data[HINT_BLOCK_BYTES + PIECE_BYTES]; /* the last block of the piece before first */
	uint8_t filter[FILTER_BYTES];
	struct hint_table *table;
	uint64_t hint;
	bool whole; /* it is of a whole block */
};

static size_t
filter_at(uint64_t hint)
{
	return (size_t)(hint >> (64 - FILTER_BITS));
}

/* Whether anything is looked for. */
static bool
filter_fill(struct slide *s)
{
	bool any = false;

	for (size_t i = 0; i < s->table->entries; i++) {
		uint64_t hint = s->table->hints[i];

		if (hint == 0 || s->table->where[i] != HINT_NOWHERE)
			continue;
		s->filter[filter_at(hint) / 8] |= (uint8_t)(1U << filter_at(hint) % 8);
		any = true;
	}
	return any;
}

static void
block_look(const struct slide *s, uint64_t offset)
{
	uint64_t *where;

	if (!(s->filter[filter_at(s->hint) / 8] >> filter_at(s->hint) % 8 & 1))
		return;
	where = hint_table_find(s->table, s->hint);
	if (where && *where == HINT_NOWHERE)
		*where = offset;
}

/* The first block of the place, or behind something that could not be read. */
static void
piece_begin(struct slide *s, uint64_t offset)
{
	uint8_t bytes[HINTS_CHUNK_BYTES];

	(void)hints_of(span_of(s->data + HINT_BLOCK_BYTES, HINT_BLOCK_BYTES), bytes);
	s->hint = num_get_le64(bytes);
	s->whole = true;
	block_look(s, offset);
}

/* A piece of len bytes, which begins at offset in the place. */
static void
piece_slide(struct slide *s, uint64_t offset, size_t len)
{
	size_t from = 0;

	if (!s->whole) {
		if (len < HINT_BLOCK_BYTES)
			return;
		piece_begin(s, offset);
		from = HINT_BLOCK_BYTES;
	} else if (span_is_zero(span_of(s->data, HINT_BLOCK_BYTES + len))) {
		return;
	}
	for (size_t i = from; i < len; i++) {
		s->hint = hint_roll(s->hint, s->data[i], s->data[HINT_BLOCK_BYTES + i]);
		block_look(s, offset + i + 1 - HINT_BLOCK_BYTES);
	}
}

int
slide_run(const struct place *place, uint64_t bytes, struct hint_table *table,
	const struct keep_going *keep_going, struct err *e)
{
	AUTO_FREE struct slide *s = aligned_alloc(
		HINT_BLOCK_BYTES, num_div_up(sizeof(*s), HINT_BLOCK_BYTES) * HINT_BLOCK_BYTES);

	if (!s)
		return err_sys(e, ENOMEM, "looking for blocks");
	memset(s, 0, sizeof(*s));
	s->table = table;
	if (!filter_fill(s))
		return 0;
	for (uint64_t at = 0; at < bytes; at += PIECE_BYTES) {
		size_t len = (size_t)num_min(bytes - at, PIECE_BYTES);
		struct err unread;

		if (keep_going_ask(keep_going, e) < 0)
			return -1;
		if (place->read(place->arg, s->data + HINT_BLOCK_BYTES, len, at, &unread) < 0) {
			s->whole = false;
			continue;
		}
		piece_slide(s, at, len);
		memmove(s->data, s->data + PIECE_BYTES, HINT_BLOCK_BYTES);
	}
	return 0;
}
