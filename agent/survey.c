#include "agent/survey.h"

#include <errno.h>
#include <stdbool.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/hints.h"

enum { BLOCKS_PER_CHUNK = CHUNK_BYTES / HINT_BLOCK_BYTES };

/* Where the walk is. */
struct look {
	struct survey *s;
	uint64_t pieces; /* that it came to */
	uint8_t data[CHUNK_BYTES];
};

static int
hints_note(struct look *l, uint64_t offset, size_t len, struct err *e)
{
	uint8_t hints[HINTS_CHUNK_BYTES];
	size_t size = hints_of(span_of(l->data, len - len % HINT_BLOCK_BYTES), hints);

	for (size_t at = 0; at < size; at += HINT_BYTES) {
		uint32_t *where = hint_table_find(l->s->sample, num_get_le64(hints + at));

		if (!where || *where != HINT_NOWHERE)
			continue;
		*where = 0;
		l->s->hits++;
	}
	return l->s->fd < 0 ? 0
			    : file_pwrite_full(l->s->fd, "the list of old blocks", hints, size,
				      offset / HINT_BLOCK_BYTES * HINT_BYTES, e);
}

/* c: the chunk that begins here and is wanted, or NULL. */
static int
piece_look(struct look *l, uint64_t offset, size_t len, uint64_t entry, const struct chunk *c,
	struct err *e)
{
	struct survey *s = l->s;
	struct digest now;
	struct err unread;

	if (l->pieces++ % s->every != s->every / 2 || (!c && !s->sample))
		return 0;
	if (keep_going_ask(s->keep_going, e) < 0)
		return -1;
	if (s->place->read(s->place->arg, l->data, len, offset, &unread) < 0)
		return 0;
	if (c && c->size <= len) {
		now = digest_of(span_of(l->data, (size_t)c->size));
		if (digest_equal(&now, &c->plain)) {
			wants_add(s->seen, entry);
			s->hits += BLOCKS_PER_CHUNK;
			return 0;
		}
	}
	return s->sample ? hints_note(l, offset, len, e) : 0;
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

int
survey_run(struct survey *s, struct err *e)
{
	AUTO_FREE struct look *l = calloc(1, sizeof(*l));
	uint64_t end = 0;

	if (!l)
		return err_sys(e, ENOMEM, "looking for old chunks");
	l->s = s;
	s->hits = 0;
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
