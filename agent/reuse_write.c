#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/reuse_parts.h"
#include "common/base/file.h"
#include "common/base/num.h"

/* The bytes come first, for whole blocks that begin at a boundary go past the kernel's cache. */
struct gather {
	uint8_t data[CHUNK_BYTES];
	const struct reuse *r;
	uint64_t built; /* entries of build_fd that were read */
};

/* Of blocks that lie together in a place, how many. */
static size_t
run_of(const uint32_t *where, size_t count)
{
	size_t run = 1;

	while (run < count && where[run] == where[0] + run)
		run++;
	return run;
}

static int
blocks_read(struct gather *g, const uint32_t *where, size_t count, struct err *e)
{
	const struct reuse *r = g->r;

	for (size_t i = 0; i < count;) {
		const struct place *p =
			where[i] & REUSE_INACTIVE_BIT ? r->j.g->place : r->j.running;
		uint64_t block = where[i] & ~(uint32_t)REUSE_INACTIVE_BIT;
		uint8_t *to = g->data + i * HINT_BLOCK_BYTES;
		size_t run = 1;

		if (where[i] == REUSE_ZEROS) {
			memset(to, 0, HINT_BLOCK_BYTES);
		} else {
			run = run_of(where + i, count - i);
			if (p->read(p->arg, to, run * HINT_BLOCK_BYTES, block * HINT_BLOCK_BYTES,
				    e) < 0)
				return -1;
		}
		i += run;
	}
	return 0;
}

/* What should be the chunk's bytes, from where they were found. */
static int
chunk_read(struct gather *g, const struct chunk *c, uint64_t entry, struct err *e)
{
	const struct reuse *r = g->r;
	uint32_t where[REUSE_BLOCKS];
	uint8_t bytes[sizeof(where)];

	if (wants_has(r->seen, entry))
		return r->j.running->read(
			r->j.running->arg, g->data, (size_t)c->size, c->offset, e);
	if (file_pread_full(r->build_fd, "the list of found blocks", bytes, sizeof(bytes),
		    g->built++ * sizeof(bytes), e) < 0)
		return -1;
	for (size_t i = 0; i < REUSE_BLOCKS; i++)
		where[i] = num_get_le32(bytes + 4 * i);
	return blocks_read(g, where, (size_t)num_div_up(c->size, HINT_BLOCK_BYTES), e);
}

/* A slot that is damaged or changes under our hands gives something else, or nothing. */
static bool
chunk_comes(struct gather *g, const struct chunk *c, uint64_t entry)
{
	struct digest now;
	struct err unread;

	if (chunk_read(g, c, entry, &unread) < 0)
		return false;
	now = digest_of(span_of(g->data, (size_t)c->size));
	return digest_equal(&now, &c->plain);
}

static int
chunk_put(struct gather *g, const struct chunk *c, uint64_t entry, struct err *e)
{
	const struct place *to = g->r->j.g->place;
	struct install_stats *stats = g->r->j.g->stats;

	if (to->write(to->arg, g->data, (size_t)c->size, c->offset, e) < 0)
		return -1;
	stats->bytes_written += c->size;
	if (reuse_of(g->r, entry) == REUSE_INACTIVE)
		stats->bytes_inactive += c->size;
	else
		stats->bytes_running += c->size;
	return 0;
}

int
reuse_write(struct reuse *r, struct wants *wrong, struct err *e)
{
	AUTO_FREE struct gather *g =
		aligned_alloc(HINT_BLOCK_BYTES, CHUNK_BYTES + HINT_BLOCK_BYTES);
	const struct engine *engine = r->j.g;

	if (!g)
		return err_sys(e, ENOMEM, "taking old chunks");
	g->r = r;
	g->built = 0;
	if (index_rewind(engine->index, e) < 0)
		return -1;
	for (uint64_t entry = 0;; entry++) {
		struct chunk c;
		bool more;

		if (index_next(engine->index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (reuse_of(r, entry) == REUSE_NOWHERE)
			continue;
		if (keep_going_ask(engine->keep_going, e) < 0)
			return -1;
		if (!chunk_comes(g, &c, entry))
			continue;
		if (chunk_put(g, &c, entry, e) < 0)
			return -1;
		wants_drop(wrong, entry);
	}
}
