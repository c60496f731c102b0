#include "agent/delta_use.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/delta_use_parts.h"
#include "agent/ranges.h"
#include "common/base/num.h"

void
delta_use_free(struct delta_use **u)
{
	if (*u) {
		wants_free(&(*u)->copied);
		wants_free(&(*u)->told);
		wants_free(&(*u)->records);
	}
	free(*u);
	*u = NULL;
}

int
delta_use_walk(const struct delta_use *u, struct delta_walk **out, struct err *e)
{
	const struct delta *d = u->j.delta;

	return delta_walk_open(d->fd, d->name, &d->head, u->j.part, u->j.payload, out, e);
}

/* A delta's walk and the index, side by side. */
struct look {
	struct delta_use *u;
	struct delta_walk *walk;
	uint64_t data_bytes, plain_bytes; /* of the payload; zeros not counted */
	/* The record that is being gone through, its first entry, and what is wrong of it. */
	struct delta_record record;
	uint64_t first, wrong_bytes;
	uint32_t wrong_chunks;
	uint64_t end; /* of the range before */
};

/* Whoever made it compared what it takes with what its chunks do. Where some are right already that
 * says nothing any more, and they are taken for as large as chunks are on an average: a look at how
 * large they are would cost more. No sum is too large: a record's chunks are 4 MiB at most, a
 * payload 1 TiB. */
static bool
record_pays(const struct look *k)
{
	uint64_t cost = k->wrong_bytes;

	if (k->wrong_chunks < k->record.chunks && k->plain_bytes > 0)
		cost = num_min(cost, k->wrong_bytes * k->data_bytes / k->plain_bytes);
	return k->wrong_bytes > 0 && k->record.stored <= cost;
}

/* The record's chunks are all looked at. Those that were marked are wanted no more where it costs
 * too much. */
static void
record_settle(struct look *k, uint64_t end)
{
	struct delta_use *u = k->u;

	if (record_pays(k)) {
		wants_add(u->records, k->record.number);
		u->bytes += k->record.stored;
		if (u->ranges == 0 || k->record.offset > k->end + RANGES_GAP_BYTES)
			u->ranges++;
		k->end = k->record.offset + k->record.stored;
	} else {
		for (uint64_t entry = k->first; k->wrong_bytes > 0 && entry < end; entry++)
			wants_drop(u->told, entry);
	}
	k->wrong_bytes = k->wrong_chunks = 0;
}

static int
contradiction(const struct look *k, uint64_t entry, struct err *e)
{
	return err_set(e, ERR_MALFORMED, "%s: entry %llu is not as %s.index has it",
		k->u->j.delta->name, (unsigned long long)entry, k->u->j.payload->name);
}

static int
entry_look(struct look *k, uint64_t entry, const struct chunk *c, const struct delta_entry *from,
	struct err *e)
{
	struct delta_use *u = k->u;
	bool run = c->store == CHUNK_ZERO_RUN, wrong = wants_has(u->j.wrong, entry);

	if (c->offset != from->offset || c->size != from->size ||
		run != (from->kind == DELTA_ZEROS))
		return contradiction(k, entry, e);
	if (from->kind == DELTA_RECORD && from->in_record == 0) {
		record_settle(k, entry);
		k->record = from->record;
		k->first = entry;
	}
	if (!wrong)
		return 0;
	if (from->kind == DELTA_COPY)
		wants_add(u->copied, entry);
	if (from->kind == DELTA_RECORD) {
		wants_add(u->told, entry);
		k->wrong_bytes += from->size;
		k->wrong_chunks++;
	}
	return 0;
}

static int
entries_look(struct look *k, struct err *e)
{
	struct index_reader *index = k->u->j.g->index;

	if (index_rewind(index, e) < 0)
		return -1;
	for (uint64_t entry = 0;; entry++) {
		struct delta_entry from;
		struct chunk c;
		bool more, told;

		if (index_next(index, &c, &more, e) < 0 ||
			delta_walk_next(k->walk, &from, &told, e) < 0)
			return -1;
		if (more != told)
			return contradiction(k, entry, e);
		if (!more) {
			record_settle(k, entry);
			return 0;
		}
		if (entry_look(k, entry, &c, &from, e) < 0)
			return -1;
	}
}

/* How many plain bytes the payload has that are not in runs of zeros. */
static int
plain_count(struct index_reader *index, uint64_t *out, struct err *e)
{
	if (index_rewind(index, e) < 0)
		return -1;
	for (*out = 0;;) {
		struct chunk c;
		bool more;

		if (index_next(index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		*out += c.store == CHUNK_ZERO_RUN ? 0 : c.size;
	}
}

static int
use_new(const struct delta_use_job *j, struct delta_use **out, struct err *e)
{
	const struct delta_part *part = &j->delta->head.parts[j->part];
	AUTO_DELTA_USE struct delta_use *u = calloc(1, sizeof(*u));
	uint64_t entries = index_entries(j->g->index);

	if (!u)
		return err_sys(e, ENOMEM, "looking into a delta");
	u->j = *j;
	u->old = (struct patch_old){j->running->arg, j->running->read, part->old_bytes};
	if (wants_new(entries, &u->copied, e) < 0 || wants_new(entries, &u->told, e) < 0 ||
		wants_new(part->records, &u->records, e) < 0)
		return -1;
	*out = TAKE_PTR(u);
	return 0;
}

int
delta_use_look(const struct delta_use_job *j, struct delta_use **out, struct err *e)
{
	AUTO_DELTA_USE struct delta_use *u = NULL;
	AUTO_DELTA_WALK struct delta_walk *walk = NULL;
	struct look k = {.data_bytes = j->payload->members[MEMBER_DATA].size};

	if (use_new(j, &u, e) < 0 || plain_count(j->g->index, &k.plain_bytes, e) < 0 ||
		delta_use_walk(u, &walk, e) < 0)
		return -1;
	k.u = u;
	k.walk = walk;
	if (entries_look(&k, e) < 0)
		return -1;
	*out = wants_count(u->copied) + wants_count(u->told) > 0 ? TAKE_PTR(u) : NULL;
	return 0;
}

enum delta_use_from
delta_use_of(const struct delta_use *u, uint64_t entry)
{
	if (wants_has(u->copied, entry))
		return DELTA_USE_RUNNING;
	return wants_has(u->told, entry) ? DELTA_USE_RECORD : DELTA_USE_NOT;
}

int
delta_use_lacking(const struct delta_use *u, struct wants **out, struct err *e)
{
	AUTO_WANTS struct wants *lacking = NULL;

	if (wants_copy(u->j.wrong, &lacking, e) < 0)
		return -1;
	for (uint64_t entry = 0; entry < index_entries(u->j.g->index); entry++) {
		if (delta_use_of(u, entry) != DELTA_USE_NOT)
			wants_drop(lacking, entry);
	}
	*out = TAKE_PTR(lacking);
	return 0;
}

uint64_t
delta_use_bytes(const struct delta_use *u)
{
	return u->bytes;
}

uint64_t
delta_use_ranges(const struct delta_use *u)
{
	return u->ranges;
}
