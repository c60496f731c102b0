#include <errno.h>
#include <stdlib.h>

#include "agent/hint_table.h"
#include "agent/reuse_parts.h"
#include "agent/slide.h"
#include "common/base/file.h"
#include "common/base/num.h"

/* So many slides there are at most, and none over a slot so many times as large as what could be
 * found. */
enum { LIST_BYTES = 64 * 1024, SLIDES = 8, SLOT_PER_BYTE = 256 };

/* A reader of the index, and the entry that it gives next. */
struct walk {
	struct index_reader *index;
	uint64_t next;
};

struct match {
	struct reuse *r;
	struct hint_table table;
	struct wants *taken;	   /* pieces of the inactive slot that are overwritten by now */
	struct walk ahead, behind; /* the window is between them */
	bool more;
	unsigned slides;
	uint8_t list[LIST_BYTES];
};

static void
match_free(struct match **m)
{
	if (!*m)
		return;
	hint_table_free(&(*m)->table);
	wants_free(&(*m)->taken);
	free(*m);
}

/* Puts the hints of the next missing chunks into the table, as many as it is for. */
static int
window_fill(struct match *m, size_t blocks, struct err *e)
{
	uint64_t hints[CHUNK_BLOCKS];
	size_t count;

	hint_table_clear(&m->table);
	while (m->table.used + CHUNK_BLOCKS <= blocks) {
		struct chunk c;

		if (index_next(m->ahead.index, &c, &m->more, e) < 0)
			return -1;
		if (!m->more)
			return 0;
		if (!reuse_is_missing(m->r, &c, m->ahead.next++))
			continue;
		if (reuse_hints(m->r, &c, hints, &count, e) < 0)
			return -1;
		for (size_t i = 0; i < count; i++) {
			if (hints[i] != HINT_OF_ZEROS)
				(void)hint_table_add(&m->table, hints[i]);
		}
	}
	return 0;
}

/* Of several that are alike: one in the running slot; or one that is right where it is, or else the
 * last, which is overwritten last. */
static void
block_found(const struct match *m, enum reuse_old old, uint64_t at, uint64_t *where)
{
	uint64_t there = (*where & ~REUSE_INACTIVE_BIT) / CHUNK_BYTES;

	if (old == REUSE_OLD_RUNNING) {
		if (*where == HINT_NOWHERE)
			*where = at;
		return;
	}
	if (*where == HINT_NOWHERE ||
		((*where & REUSE_INACTIVE_BIT) && !wants_has(m->r->steady, there)))
		*where = at | REUSE_INACTIVE_BIT;
}

/* Looks through the blocks of an old place. */
static int
window_match(struct match *m, enum reuse_old old, struct err *e)
{
	int fd = m->r->old_fd[old];
	uint64_t size;

	if (fd < 0)
		return 0;
	if (file_size(fd, "the list of old blocks", &size, e) < 0)
		return -1;
	for (uint64_t at = 0; at < size; at += LIST_BYTES) {
		size_t len = (size_t)num_min(size - at, LIST_BYTES);

		if (keep_going_ask(m->r->j.g->keep_going, e) < 0)
			return -1;
		if (file_pread_full(fd, "the list of old blocks", m->list, len, at, e) < 0)
			return err_own(e);
		for (size_t i = 0; i < len; i += HINT_BYTES) {
			uint64_t *where = hint_table_find(&m->table, num_get_le64(m->list + i));

			if (where)
				block_found(
					m, old, (at + i) / HINT_BYTES * HINT_BLOCK_BYTES, where);
		}
	}
	return 0;
}

/* Whether a block will still be there when its turn comes. */
static bool
block_lasts(const struct match *m, const struct chunk *c, uint64_t where)
{
	uint64_t piece = (where & ~REUSE_INACTIVE_BIT) / CHUNK_BYTES;

	return !(where & REUSE_INACTIVE_BIT) || piece == c->offset / CHUNK_BYTES ||
	       !wants_has(m->taken, piece);
}

/* What of the hints in the table is nowhere, in bytes of blocks. */
static uint64_t
bytes_nowhere(const struct hint_table *t)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < t->entries; i++) {
		if (t->hints[i] != 0 && t->where[i] == HINT_NOWHERE)
			bytes += HINT_BLOCK_BYTES;
	}
	return bytes;
}

/* Looks where no block begins, in the running slot, if that was worth looking at before. */
static int
window_slide(struct match *m, struct err *e)
{
	const struct reuse_job *j = &m->r->j;

	if (m->r->old_fd[REUSE_OLD_RUNNING] < 0 || m->slides == SLIDES ||
		bytes_nowhere(&m->table) < num_max(j->running_bytes / SLOT_PER_BYTE, 1))
		return 0;
	m->slides++;
	return slide_run(j->running, j->running_bytes, &m->table, j->g->keep_going, e);
}

/* Where its blocks are. Returns how many are nowhere. */
static int
chunk_find(struct match *m, const struct chunk *c, uint64_t out[CHUNK_BLOCKS], size_t *blocks,
	size_t *lacking, bool *inactive, struct err *e)
{
	uint64_t hints[CHUNK_BLOCKS];

	if (reuse_hints(m->r, c, hints, blocks, e) < 0)
		return -1;
	*lacking = 0;
	*inactive = false;
	for (size_t i = 0; i < *blocks; i++) {
		const uint64_t *where = hint_table_find(&m->table, hints[i]);

		out[i] = hints[i] == HINT_OF_ZEROS ? REUSE_ZEROS : where ? *where : HINT_NOWHERE;
		if (out[i] != REUSE_ZEROS && out[i] != HINT_NOWHERE && !block_lasts(m, c, out[i]))
			out[i] = HINT_NOWHERE;
		if (out[i] == HINT_NOWHERE)
			++*lacking;
		else if (out[i] != REUSE_ZEROS && (out[i] & REUSE_INACTIVE_BIT))
			*inactive = true;
	}
	return 0;
}

static int
chunk_match(struct match *m, const struct chunk *c, uint64_t entry, struct err *e)
{
	uint64_t where[CHUNK_BLOCKS] = {0};
	size_t blocks, lacking;
	bool inactive;

	if (chunk_find(m, c, where, &blocks, &lacking, &inactive, e) < 0)
		return -1;
	/* Whether some blocks are worth it is seen once it is known how the chunk is stored. */
	if (lacking > 0 && (!m->r->j.cuts || lacking == blocks))
		return 0;
	if (reuse_places_put(m->r, entry, where, e) < 0)
		return -1;
	wants_add(m->r->built, entry);
	if (lacking > 0)
		wants_add(m->r->partly, entry);
	if (inactive)
		wants_add(m->r->from_inactive, entry);
	wants_add(m->taken, c->offset / CHUNK_BYTES);
	return 0;
}

/* Which chunks of the window there are, in the order in which they will be written. */
static int
window_take(struct match *m, struct err *e)
{
	while (m->behind.next < m->ahead.next) {
		uint64_t entry = m->behind.next++;
		struct chunk c;
		bool more;

		if (index_next(m->behind.index, &c, &more, e) < 0)
			return -1;
		if (wants_has(m->r->seen, entry))
			wants_add(m->taken, c.offset / CHUNK_BYTES);
		if (reuse_is_missing(m->r, &c, entry) && chunk_match(m, &c, entry, e) < 0)
			return -1;
	}
	return 0;
}

int
reuse_match(struct reuse *r, struct err *e)
{
	CLEANUP(match_free) struct match *m = calloc(1, sizeof(*m));
	size_t blocks = r->j.window_blocks ? r->j.window_blocks : REUSE_WINDOW_BLOCKS;

	if (!m)
		return err_sys(e, ENOMEM, "looking for blocks");
	*m = (struct match){.r = r, .ahead = {r->j.g->scout, 0}, .behind = {r->j.g->index, 0}};
	m->more = true;
	blocks = (size_t)num_min(blocks, num_max(r->missing * CHUNK_BLOCKS, CHUNK_BLOCKS));
	if (hint_table_init(&m->table, blocks, e) < 0 || wants_new(r->pieces, &m->taken, e) < 0 ||
		reuse_spool(r, 0, &r->build_fd, e) < 0 || index_rewind(m->ahead.index, e) < 0 ||
		index_rewind(m->behind.index, e) < 0)
		return -1;
	while (m->more) {
		if (window_fill(m, blocks, e) < 0 || window_match(m, REUSE_OLD_RUNNING, e) < 0 ||
			window_match(m, REUSE_OLD_INACTIVE, e) < 0 || window_slide(m, e) < 0 ||
			window_take(m, e) < 0)
			return -1;
	}
	return 0;
}
