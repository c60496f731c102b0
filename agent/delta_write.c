#include <errno.h>
#include <stdlib.h>

#include "agent/delta_pile.h"
#include "agent/delta_use_parts.h"
#include "agent/proof.h"
#include "agent/ranges.h"
#include "common/base/log.h"
#include "common/base/num.h"

/* So many chunks that came out wrong, if they are more than those that came out right, and the rest
 * is not tried. */
enum { FAILED_MOST = 16 };

/* A record that is being fetched breaks off, and is asked for once more: then the server does not
 * have it, or is gone. */
enum { TRIES = 2 };

/* As much at once as the engine makes. */
enum { ZEROS_BYTES = 4 << 20 };

struct writer {
	struct delta_use *u;
	struct wants *wrong;
	struct delta_walk *walk, *scout; /* the one says what comes, the other what will */
	struct delta_pile *pile;
	struct patch *patch;
	uint8_t *stored; /* of the record that is open */
	struct ranges ranges;
	struct delta_record record; /* the one that is open, or was, unless chunks is 0 */
	bool broken;		    /* nothing comes out of it any more */
	uint64_t passed;	    /* bytes of it before the next that is taken */
	uint64_t next, reached;	    /* entry; all before `reached` are written */
	uint64_t good, failed;
	bool hopeless;
};

static void
writer_free(struct writer **w)
{
	if (*w) {
		delta_walk_close(&(*w)->walk);
		delta_walk_close(&(*w)->scout);
		delta_pile_free(&(*w)->pile);
		patch_free(&(*w)->patch);
		free((*w)->stored);
	}
	free(*w);
	*w = NULL;
}

/* The next record that is wanted, as ranges ask for it. */
static int
record_next(void *arg, struct range *out, bool *more, struct err *e)
{
	struct writer *w = arg;

	for (;;) {
		struct delta_entry from;

		if (delta_walk_next(w->scout, &from, more, e) < 0)
			return err_own(e);
		if (!*more)
			return 0;
		if (from.kind != DELTA_RECORD || from.in_record > 0 ||
			!wants_has(w->u->records, from.record.number))
			continue;
		*out = (struct range){from.record.offset, from.record.offset + from.record.stored};
		return 0;
	}
}

static int
writer_new(struct delta_use *u, struct wants *wrong, struct writer **out, struct err *e)
{
	CLEANUP(writer_free) struct writer *w = calloc(1, sizeof(*w));

	if (!w || !(w->stored = malloc(PATCH_STORED_MAX)))
		return err_sys(e, ENOMEM, "applying a delta");
	w->u = u;
	w->wrong = wrong;
	if (delta_use_walk(u, &w->walk, e) < 0 || delta_use_walk(u, &w->scout, e) < 0 ||
		delta_pile_new(&u->old, &w->pile, e) < 0 || patch_new(&w->patch, e) < 0 ||
		index_rewind(u->j.g->index, e) < 0)
		return -1;
	w->ranges = (struct ranges){.source = u->j.source,
		.next = record_next,
		.arg = w,
		.fetched = &u->j.g->stats->bytes_fetched};
	*out = TAKE_PTR(w);
	return 0;
}

/* What was opened and named before is forgotten; what the scout has told is asked for by itself. */
static void
ranges_restart(struct writer *w)
{
	struct ranges *r = &w->ranges;

	r->source->close(r->source->arg);
	r->open = (struct range){0};
	r->planned_count = r->named = 0;
}

static void
give_up(struct writer *w, const char *why)
{
	w->hopeless = true;
	log_warning("%s is given up: %s", w->u->j.delta->name, why);
}

/* -1: the install ends. Else whether it was the last try. */
static int
fetch_failed(struct writer *w, unsigned tries, bool *over, struct err *e)
{
	if (e->class != ERR_NETWORK)
		return -1;
	ranges_restart(w);
	*over = tries == TRIES || !source_only_ranges(w->u->j.source, true);
	if (*over)
		give_up(w, e->text);
	return 0;
}

/* What one server spoilt another may have as it was signed. */
static int
record_spoilt(struct writer *w, unsigned tries, bool *over, struct err *e)
{
	const struct source *s = w->u->j.source;
	struct err why;

	(void)err_set(&why, ERR_UNTRUSTED, "%s: a record is not the one that was sealed",
		w->u->j.delta->name);
	log_detail("%s", why.text);
	ranges_restart(w);
	*over = !s->elsewhere || s->elsewhere(s->arg, tries, w->record.stored, &why) < 0;
	if (!*over || why.class == ERR_UNTRUSTED)
		return 0;
	*e = why;
	return -1;
}

/* Brings the record's bytes, as they were sealed, or breaks it. */
static int
record_bring(struct writer *w, struct err *e)
{
	const struct delta_record *r = &w->record;
	struct range span = {r->offset, r->offset + r->stored};
	unsigned broke = 0, spoilt = 0;
	bool over = false;

	while (!over) {
		if (keep_going_ask(w->u->j.g->keep_going, e) < 0)
			return -1;
		if (ranges_read(&w->ranges, span, w->stored, e) < 0) {
			if (fetch_failed(w, ++broke, &over, e) < 0)
				return -1;
			continue;
		}
		if (delta_record_is(r, span_of(w->stored, r->stored)))
			return 0;
		if (record_spoilt(w, spoilt++, &over, e) < 0)
			return -1;
	}
	w->broken = true;
	return 0;
}

static void
record_break(struct writer *w, const struct err *why)
{
	log_detail("%s: record %llu: %s", w->u->j.delta->name, (unsigned long long)w->record.number,
		why->text);
	w->broken = true;
}

static int
record_open(struct writer *w, const struct delta_record *r, struct err *e)
{
	struct err why;

	w->record = *r;
	w->broken = false;
	if (record_bring(w, e) < 0)
		return -1;
	if (!w->broken && patch_begin(w->patch, span_of(w->stored, r->stored), &w->u->old,
				  (uint64_t)r->chunks * CHUNK_BYTES, &why) < 0)
		record_break(w, &why);
	return 0;
}

/* The next bytes of the record that is open. */
static bool
record_take(struct writer *w, uint8_t *bytes, size_t size)
{
	struct err why;

	if (w->broken)
		return false;
	if (patch_take(w->patch, bytes, size, &why) == 0)
		return true;
	record_break(w, &why);
	return false;
}

static void
item_settle(struct writer *w, const struct delta_item *item, bool good)
{
	struct install_stats *stats = w->u->j.g->stats;

	if (!good) {
		w->failed++;
		return;
	}
	w->good++;
	stats->bytes_written += item->size;
	*(item->told ? &stats->bytes_delta : &stats->bytes_running) += item->size;
	wants_drop(w->wrong, item->entry);
}

/* Items from first on that came out right and follow each other are one write. */
static int
items_write(struct writer *w, const bool *good, size_t first, size_t *end, struct err *e)
{
	const struct delta_item *item = &w->pile->item[first], *next;
	const struct place *to = w->u->j.g->place;
	size_t len = item->size;

	for (*end = first + 1; *end < w->pile->count && good[*end]; ++*end) {
		next = &w->pile->item[*end];
		if (next->offset != item->offset + len || next->bytes != item->bytes + len)
			break;
		len += next->size;
	}
	return to->write(to->arg, item->bytes, len, item->offset, e);
}

static void
reach(struct writer *w)
{
	const struct engine *g = w->u->j.g;

	while (w->reached < w->next && !wants_has(w->wrong, w->reached))
		w->reached++;
	proof_reach(g->proof, w->reached);
}

/* A base that gives nothing is not asked for all the rest. */
static void
judge(struct writer *w)
{
	if (!w->hopeless && w->failed > FAILED_MOST && w->failed > w->good)
		give_up(w, "most of what was tried came out wrong");
}

static int
pile_put(struct writer *w, const bool *good, struct err *e)
{
	for (size_t i = 0, end; i < w->pile->count; i = end) {
		end = i + 1;
		if (good[i] && items_write(w, good, i, &end, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < w->pile->count; i++)
		item_settle(w, &w->pile->item[i], good[i]);
	return 0;
}

/* Writes what came out right of the pile. */
static int
pile_write(struct writer *w, struct err *e)
{
	struct delta_pile *p = w->pile;
	bool good[DELTA_PILE_CHUNKS];
	int rc;

	delta_pile_settle(p);
	for (size_t i = 0; i < p->count; i++)
		good[i] = !p->item[i].lost && digest_equal(&p->item[i].digest, &p->item[i].wanted);
	rc = pile_put(w, good, e);
	delta_pile_clear(p);
	if (rc < 0)
		return -1;
	reach(w);
	judge(w);
	return 0;
}

static int
zeros_make(struct writer *w, const struct chunk *c, struct err *e)
{
	const struct engine *g = w->u->j.g;

	for (uint64_t done = 0; done < c->size;) {
		uint64_t len = num_min(c->size - done, ZEROS_BYTES), written;

		if (keep_going_ask(g->keep_going, e) < 0 ||
			g->place->zero(g->place->arg, c->offset + done, len, &written, e) < 0)
			return -1;
		g->stats->bytes_written += written;
		done += len;
	}
	wants_drop(w->wrong, w->next);
	return 0;
}

/* Chunks of it that are right already lie before this one. */
static int
chunk_tell(struct writer *w, struct delta_item *item, const struct delta_entry *from, struct err *e)
{
	if ((w->record.chunks == 0 || w->record.number != from->record.number) &&
		record_open(w, &from->record, e) < 0)
		return -1;
	while (w->passed > 0) {
		size_t n = (size_t)num_min(w->passed, CHUNK_BYTES);

		(void)record_take(w, item->bytes, n);
		w->passed -= n;
	}
	item->lost = !record_take(w, item->bytes, item->size);
	return 0;
}

static int
chunk_add(struct writer *w, const struct chunk *c, const struct delta_entry *from, struct err *e)
{
	struct delta_item *item = delta_pile_add(w->pile, w->next, from);

	if (!item && pile_write(w, e) < 0)
		return -1;
	if (!item)
		item = delta_pile_add(w->pile, w->next, from);
	item->wanted = c->plain;
	if (!item->told || chunk_tell(w, item, from, e) == 0)
		return 0;
	item->lost = true;
	return -1;
}

static void
chunk_pass(struct writer *w, const struct delta_entry *from)
{
	if (from->kind == DELTA_RECORD)
		w->passed += from->size;
}

static int
entry_write(struct writer *w, const struct chunk *c, const struct delta_entry *from, struct err *e)
{
	if (from->kind == DELTA_RECORD && from->in_record == 0)
		w->passed = 0;
	if (!wants_has(w->wrong, w->next)) {
		chunk_pass(w, from);
		return 0;
	}
	if (keep_going_ask(w->u->j.g->keep_going, e) < 0)
		return -1;
	if (c->store == CHUNK_ZERO_RUN)
		return zeros_make(w, c, e);
	if (delta_use_of(w->u, w->next) != DELTA_USE_NOT)
		return chunk_add(w, c, from, e);
	chunk_pass(w, from);
	return 0;
}

/* The head was gone through when it was looked at, and was right: one that is not is this box's own
 * disk's doing. */
static int
entry_check(const struct writer *w, const struct chunk *c, const struct delta_entry *from,
	struct err *e)
{
	enum delta_use_from use = delta_use_of(w->u, w->next);

	if (from && c->offset == from->offset && c->size == from->size &&
		(c->store == CHUNK_ZERO_RUN) == (from->kind == DELTA_ZEROS) &&
		(use != DELTA_USE_RUNNING || from->kind == DELTA_COPY) &&
		(use != DELTA_USE_RECORD || from->kind == DELTA_RECORD))
		return 0;
	return err_set(e, ERR_SYSTEM,
		"%s has changed since it was looked at; the storage is failing",
		w->u->j.delta->name);
}

static int
entries_write(struct writer *w, struct err *e)
{
	for (; !w->hopeless; w->next++) {
		struct delta_entry from;
		struct chunk c;
		bool more;

		if (index_next(w->u->j.g->index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (delta_walk_next(w->walk, &from, &more, e) < 0)
			return err_own(e);
		if (entry_check(w, &c, more ? &from : NULL, e) < 0 ||
			entry_write(w, &c, &from, e) < 0)
			return -1;
	}
	return 0;
}

int
delta_use_write(struct delta_use *u, struct wants *wrong, bool *hopeless, struct err *e)
{
	CLEANUP(writer_free) struct writer *w = NULL;
	const struct source *source = u->j.source;
	struct err later;
	int rc;

	if (writer_new(u, wrong, &w, e) < 0)
		return -1;
	(void)source_only_ranges(source, true);
	rc = entries_write(w, e);
	/* Whatever ended it, what was fetched and is right is written. */
	if (pile_write(w, rc < 0 ? &later : e) < 0)
		rc = -1;
	source->close(source->arg);
	*hopeless = w->hopeless;
	return rc;
}
