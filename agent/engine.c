#include "agent/engine.h"

#include "agent/engine_parts.h"
#include "agent/proof.h"
#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/num.h"

void
pass_free(struct pass *p)
{
	crew_end(&p->crew);
}

int
pass_start(struct pass *p, void (*work)(struct batch *),
	int (*settle)(void *, const struct batch *, struct err *), struct err *e)
{
	const struct engine *g = p->g;

	return crew_start(
		&(struct crew_plan){g->place, work, settle, p, g->keep_going}, &p->crew, e);
}

int
pass_finish(struct pass *p, int rc, struct err *e)
{
	struct err later = ERR_INIT;

	return crew_finish(p->crew, rc < 0 ? &later : e) < 0 ? -1 : rc;
}

/* Asks whether to go on, and finds room for a chunk, or for a piece of a run. */
static int
pass_add(struct pass *p, uint64_t entry, const struct chunk *c, bool needs_memory,
	struct batch **batch, struct batch_item **item, struct err *e)
{
	if (keep_going_ask(p->g->keep_going, e) < 0)
		return -1;
	for (;;) {
		if (crew_batch(p->crew, batch, e) < 0)
			return -1;
		*item = batch_add(*batch, entry, c, needs_memory);
		if (*item)
			return 0;
		crew_give(p->crew);
	}
}

/* A run may be as long as the slot, and where there are no holes it is written. */
static int
pass_add_run(struct pass *p, uint64_t entry, const struct chunk *c, bool needs_memory,
	uint64_t most, struct err *e)
{
	struct batch_item *item;
	struct batch *b;

	for (uint64_t done = 0; done < c->size; done += item->c.size) {
		struct chunk piece = *c;

		piece.offset += done;
		piece.size = num_min(c->size - done, most);
		if (pass_add(p, entry, &piece, needs_memory, &b, &item, e) < 0)
			return -1;
		item->entry_bytes = c->size;
		item->last = done + piece.size == c->size;
	}
	return 0;
}

int
pass_read(struct pass *p, const struct wants *some, struct install_stats *stats, uint64_t *entry,
	uint64_t end, struct err *e)
{
	const struct engine *g = p->g;

	for (; *entry < end; ++*entry) {
		struct batch_item *item;
		struct batch *b;
		struct chunk c;
		bool more;

		if (index_next(g->index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (some && !wants_has(some, *entry))
			continue;
		if ((c.store == CHUNK_ZERO_RUN ? pass_add_run(p, *entry, &c, true, BATCH_BYTES, e)
					       : pass_add(p, *entry, &c, true, &b, &item, e)) < 0)
			return -1;
		if (stats) {
			stats->chunks++;
			stats->bytes_in_place += c.size;
		}
	}
	return 0;
}

/* The walk ends with the index's own digest checked once more, so nothing is fetched or written by
 * an index that changed under our hands. */
static int
pass_read_all(struct pass *p, const struct wants *some, struct install_stats *stats, struct err *e)
{
	uint64_t entry = 0;

	if (index_rewind(p->g->index, e) < 0)
		return -1;
	return pass_read(p, some, stats, &entry, UINT64_MAX, e);
}

static int
compared(void *arg, const struct batch *b, struct err *e)
{
	struct pass *p = arg;

	if (b->err.class != ERR_NONE) {
		*e = b->err;
		return -1;
	}
	if (b->why.class != ERR_NONE && p->why.class == ERR_NONE) {
		p->why = b->why;
		log_warning("%s; what cannot be read is written anew", p->why.text);
	}
	for (size_t i = 0; i < b->count; i++) {
		const struct batch_item *item = &b->item[i];

		if (item->good || wants_has(p->wrong, item->entry))
			continue;
		wants_add(p->wrong, item->entry);
		p->g->stats->bytes_in_place -= item->entry_bytes;
	}
	return 0;
}

int
engine_compare(const struct engine *g, struct wants **out, struct err *e)
{
	AUTO_WANTS struct wants *wrong = NULL;
	CLEANUP(pass_free) struct pass p = {.g = g};

	if (wants_new(index_entries(g->index), &wrong, e) < 0)
		return -1;
	p.wrong = wrong;
	if (pass_start(&p, batch_compare, compared, e) < 0 ||
		pass_finish(&p, pass_read_all(&p, NULL, g->stats, e), e) < 0)
		return -1;
	*out = TAKE_PTR(wrong);
	return 0;
}

static int
mended(void *arg, const struct batch *b, struct err *e)
{
	struct pass *p = arg;

	p->g->stats->bytes_written += b->written;
	/* Where the place failed, what is good may not be written. */
	for (size_t i = 0; i < b->count && b->err.class == ERR_NONE; i++) {
		if (b->item[i].good && b->item[i].last)
			wants_drop(p->wrong, b->item[i].entry);
	}
	while (p->mended < index_entries(p->g->index) && !wants_has(p->wrong, p->mended))
		p->mended++;
	proof_reach(p->g->proof, p->mended);
	if (b->spoilt > 0 && (p->spoilt == 0 || b->spoilt_entry < p->spoilt_entry)) {
		p->spoilt_entry = b->spoilt_entry;
		p->why = b->why;
	}
	p->spoilt += b->spoilt;
	if (b->err.class == ERR_NONE)
		return 0;
	*e = b->err;
	return -1;
}

static int
chunk_fetch(struct pass *p, uint64_t entry, struct chunk *c, struct err *e)
{
	struct batch_item *item;
	struct batch *b;

	if (stored_find(p->g->stored, entry, c, e) < 0 ||
		pass_add(p, entry, c, true, &b, &item, e) < 0)
		return -1;
	if (ranges_read(&p->ranges, range_of(c), item->stored, e) == 0)
		return 0;
	batch_drop(b);
	return -1;
}

/* Mends what is wrong, until the end or until something comes that is not what was signed. */
static int
mend_some(struct pass *p, struct err *e)
{
	const struct engine *g = p->g;

	if (index_rewind(g->index, e) < 0)
		return -1;
	for (uint64_t entry = 0; p->spoilt == 0; entry++) {
		struct chunk c;
		bool more;

		if (index_next(g->index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (wants_has(p->wrong, entry) &&
			(c.store == CHUNK_ZERO_RUN
					? pass_add_run(p, entry, &c, false, BATCH_ZERO_BYTES, e)
					: chunk_fetch(p, entry, &c, e)) < 0)
			return -1;
	}
	return 0;
}

static int
mend_round(struct pass *p, struct err *e)
{
	const struct engine *g = p->g;
	int rc;

	p->spoilt = 0;
	p->feed = (struct range_feed){.scout = g->scout, .stored = g->stored, .wanted = p->wrong};
	p->ranges = (struct ranges){.source = g->source,
		.next = range_feed_next,
		.arg = &p->feed,
		.data_offset = g->data_offset,
		.fetched = &g->stats->bytes_fetched};
	rc = pass_finish(p, mend_some(p, e), e);
	g->source->close(g->source->arg);
	return rc;
}

/* What one server spoilt another may have as it was signed: the digest decides. Each round but the
 * last ends with something spoilt, and the first that is comes no sooner than in the one before. */
int
engine_mend(const struct engine *g, struct wants *wrong, struct err *e)
{
	CLEANUP(pass_free) struct pass p = {.g = g, .wrong = wrong};
	uint64_t before = UINT64_MAX;
	unsigned tries = 0;

	if (wants_count(wrong) == 0)
		return 0;
	if (stored_bring(g->stored, g->index, wrong, e) < 0)
		return -1;
	if (pass_start(&p, batch_mend, mended, e) < 0)
		return -1;
	for (;;) {
		int rc = mend_round(&p, e);

		/* Who spoils bytes may well break off behind them. */
		if (p.spoilt == 0 || (rc < 0 && e->class != ERR_NETWORK))
			return rc;
		tries = p.spoilt_entry == before ? tries + 1 : 0;
		before = p.spoilt_entry;
		*e = p.why;
		if (!g->source->elsewhere ||
			g->source->elsewhere(g->source->arg, tries, p.spoilt, e) < 0)
			return -1;
	}
}

int
engine_fill(const struct engine *g, struct wants **changed, struct err *e)
{
	AUTO_WANTS struct wants *wrong = NULL;
	AUTO_WANTS struct wants *all = NULL;

	if (engine_compare(g, &wrong, e) < 0 || wants_copy(wrong, &all, e) < 0 ||
		engine_mend(g, wrong, e) < 0)
		return -1;
	*changed = TAKE_PTR(all);
	return 0;
}

static int
checked(void *arg, const struct batch *b, struct err *e)
{
	struct pass *p = arg;

	if (b->err.class != ERR_NONE || b->why.class != ERR_NONE) {
		*e = b->err.class != ERR_NONE ? b->err : b->why;
		return -1;
	}
	for (size_t i = 0; i < b->count; i++) {
		const struct chunk *c = &b->item[i].c;

		if (b->item[i].good)
			continue;
		if (p->wrong && c->store == CHUNK_ZERO_RUN)
			wants_add(p->wrong, b->item[i].entry);
		else
			return err_set(e, ERR_SYSTEM,
				"bytes %llu to %llu read back other than they were written; the "
				"storage is failing",
				(unsigned long long)c->offset,
				(unsigned long long)(c->offset + c->size - 1));
	}
	return 0;
}

int
engine_check(const struct engine *g, const struct wants *written, struct wants *lost, struct err *e)
{
	CLEANUP(pass_free) struct pass p = {.g = g, .wrong = lost};

	if (pass_start(&p, batch_compare, checked, e) < 0)
		return -1;
	return pass_finish(&p, pass_read_all(&p, written, NULL, e), e);
}
