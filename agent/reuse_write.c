#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hint_table.h"
#include "agent/reuse_parts.h"
#include "common/base/log.h"
#include "common/base/num.h"
#include "common/format/codec.h"

/* So many chunks with something fetched that do not come out right, and the rest are fetched whole:
 * the slot is not what it was when it was looked at, or the server not what it should be. */
enum { SPOILT_MOST = 16 };

/* The bytes come first, for whole blocks that begin at a boundary go past the kernel's cache. */
struct gather {
	uint8_t data[CHUNK_BYTES];
	uint8_t stored[CHUNK_STORED_MAX]; /* of blocks that lack */
	const struct reuse *r;
	struct inflater *inflater;
	struct ranges ranges;
	unsigned spoilt;
	/* What the ranges are told: where the scout is, and what lacks of the chunk before. */
	uint64_t scouted;
	struct reuse_lack ahead;
	size_t ahead_spans; /* of these, so many were told */
};

static void
gather_free(struct gather **g)
{
	if (*g)
		inflater_free(&(*g)->inflater);
	free(*g);
}

/* The next span that lacks, as ranges ask for it. */
static int
lack_next(void *arg, struct range *out, bool *more, struct err *e)
{
	struct gather *g = arg;

	while (g->ahead_spans == g->ahead.spans) {
		uint64_t entry = g->scouted++;
		struct chunk c;

		if (index_next(g->r->j.g->scout, &c, more, e) < 0)
			return -1;
		if (!*more)
			return 0;
		if (!reuse_is_partly(g->r, entry))
			continue;
		if (reuse_lack(g->r, entry, &c, &g->ahead, e) < 0)
			return -1;
		g->ahead_spans = 0;
	}
	*out = g->ahead.span[g->ahead_spans++];
	*more = true;
	return 0;
}

static int
gather_new(const struct reuse *r, struct gather **out, struct err *e)
{
	CLEANUP(gather_free)
	struct gather *g = aligned_alloc(
		HINT_BLOCK_BYTES, num_div_up(sizeof(*g), HINT_BLOCK_BYTES) * HINT_BLOCK_BYTES);
	const struct engine *engine = r->j.g;

	if (!g)
		return err_sys(e, ENOMEM, "taking old chunks");
	memset(g, 0, sizeof(*g));
	g->r = r;
	g->ranges = (struct ranges){.source = engine->source,
		.next = lack_next,
		.arg = g,
		.data_offset = engine->data_offset,
		.fetched = &engine->stats->bytes_fetched};
	if (inflater_new_zlib(&g->inflater, e) < 0 || index_rewind(engine->index, e) < 0 ||
		index_rewind(engine->scout, e) < 0)
		return -1;
	*out = TAKE_PTR(g);
	return 0;
}

static bool
is_somewhere(uint64_t where)
{
	return where != HINT_NOWHERE && where != REUSE_ZEROS;
}

/* Of blocks that lie together in a place, how many. */
static size_t
run_of(const uint64_t *where, size_t count)
{
	size_t run = 1;

	while (run < count && where[run] == where[0] + run * HINT_BLOCK_BYTES)
		run++;
	return run;
}

/* But for those that are nowhere. */
static int
blocks_read(struct gather *g, const uint64_t *where, size_t count, struct err *e)
{
	const struct reuse *r = g->r;

	for (size_t i = 0; i < count;) {
		uint8_t *to = g->data + i * HINT_BLOCK_BYTES;
		size_t run = 1;

		if (is_somewhere(where[i])) {
			bool inactive = where[i] & REUSE_INACTIVE_BIT;
			const struct place *p = inactive ? r->j.g->place : r->j.running;

			run = run_of(where + i, count - i);
			if (p->read(p->arg, to, run * HINT_BLOCK_BYTES,
				    where[i] & ~REUSE_INACTIVE_BIT, e) < 0)
				return -1;
		} else {
			memset(to, 0, HINT_BLOCK_BYTES);
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
	uint64_t where[CHUNK_BLOCKS];

	if (wants_has(r->seen, entry))
		return r->j.running->read(
			r->j.running->arg, g->data, (size_t)c->size, c->offset, e);
	if (reuse_places(r, entry, where, e) < 0)
		return -1;
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
chunk_spoilt(struct gather *g, const struct err *why)
{
	log_detail("a chunk is fetched whole: %s", why->text);
	g->spoilt++;
	return 0;
}

/* The blocks that there are, and the stored bytes of the others. *comes: they make the chunk. */
static int
chunk_completes(struct gather *g, struct chunk *c, uint64_t entry, struct reuse_lack *lack,
	bool *comes, struct err *e)
{
	const struct source *source = g->r->j.g->source;
	size_t used = 0;
	struct err why;

	*comes = false;
	if (g->spoilt == SPOILT_MOST || !source_only_ranges(source, true))
		return 0;
	if (reuse_lack(g->r, entry, c, lack, &why) < 0 ||
		blocks_read(g, lack->where, lack->cuts.count, &why) < 0)
		return chunk_spoilt(g, &why);
	for (size_t i = 0; i < lack->spans; i++) {
		if (ranges_read(&g->ranges, lack->span[i], g->stored + used, e) < 0)
			return e->class == ERR_NETWORK && !source_only_ranges(source, true) ? 0
											    : -1;
		used += (size_t)(lack->span[i].end - lack->span[i].at);
	}
	if (chunk_complete(g->inflater, c, &lack->cuts, lack->blocks, span_of(g->stored, used),
		    g->data, &why) < 0)
		return chunk_spoilt(g, &why);
	*comes = true;
	return 0;
}

static int
chunk_put(struct gather *g, const struct chunk *c, uint64_t entry, uint64_t lacked, struct err *e)
{
	const struct place *to = g->r->j.g->place;
	struct install_stats *stats = g->r->j.g->stats;

	if (to->write(to->arg, g->data, (size_t)c->size, c->offset, e) < 0)
		return -1;
	stats->bytes_written += c->size;
	if (reuse_of(g->r, entry) == REUSE_INACTIVE)
		stats->bytes_inactive += c->size - lacked;
	else
		stats->bytes_running += c->size - lacked;
	return 0;
}

static int
chunk_take(struct gather *g, struct chunk *c, uint64_t entry, struct wants *wrong, struct err *e)
{
	struct reuse_lack lack = {0};
	bool comes = false;

	if (!reuse_is_partly(g->r, entry))
		comes = chunk_comes(g, c, entry);
	else if (chunk_completes(g, c, entry, &lack, &comes, e) < 0)
		return -1;
	if (!comes)
		return 0;
	if (chunk_put(g, c, entry, lack.plain, e) < 0)
		return -1;
	wants_drop(wrong, entry);
	return 0;
}

static int
chunks_take(struct gather *g, struct wants *wrong, struct err *e)
{
	const struct engine *engine = g->r->j.g;

	for (uint64_t entry = 0;; entry++) {
		struct chunk c;
		bool more;

		if (index_next(engine->index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (reuse_of(g->r, entry) == REUSE_NOWHERE)
			continue;
		if (keep_going_ask(engine->keep_going, e) < 0 ||
			chunk_take(g, &c, entry, wrong, e) < 0)
			return -1;
	}
}

int
reuse_write(struct reuse *r, struct wants *wrong, struct err *e)
{
	CLEANUP(gather_free) struct gather *g = NULL;
	const struct source *source = r->j.g->source;
	int rc;

	if (gather_new(r, &g, e) < 0)
		return -1;
	rc = chunks_take(g, wrong, e);
	(void)source_only_ranges(source, false);
	source->close(source->arg);
	return rc;
}
