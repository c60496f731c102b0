#include "signer/by_delta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/patch.h"
#include "signer/chunk_walk.h"
#include "signer/spans.h"

static const char own_name[] = "a temporary file";

enum { PIECE_BYTES = 4096 };

/* A record, before it is decided whether a box takes it. */
struct weight {
	uint64_t plain, wrong; /* bytes of its chunks, and of those that the box lacks */
	uint32_t wrong_chunks;
};

struct look {
	const struct by_delta_job *j;
	const struct payload *p;
	size_t part;
	uint64_t plain_bytes; /* of the payload; zeros not counted */
	struct weight *weights;
	struct delta_walk *told;
	struct chunk_walk index;
	struct patch *patch;
	struct patch_old old;
	struct spans records, whole, pages;
	struct by_delta d;
	uint8_t stored[PATCH_STORED_MAX], made[PIECE_BYTES];
};

static void
look_free(struct look **slot)
{
	struct look *l = *slot;

	if (!l)
		return;
	delta_walk_close(&l->told);
	chunk_walk_end(&l->index);
	patch_free(&l->patch);
	free(l->weights);
	free(l);
}

static int
old_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	const struct unpacked *old = arg;

	(void)e;
	memcpy(data, old->data + offset, len);
	return 0;
}

static int
look_new(const struct by_delta_job *j, struct look **out, struct err *e)
{
	const struct delta_part *part = &j->head->parts[j->f->payload];
	struct look *l = calloc(1, sizeof(*l));

	if (!l)
		return err_sys(e, ENOMEM, "looking into a delta");
	*out = l;
	l->j = j;
	l->p = &j->f->b->manifest->payloads[j->f->payload];
	l->part = j->f->payload;
	l->old = (struct patch_old){(void *)(uintptr_t)j->f->old, old_read, j->f->old->size};
	l->weights = calloc((size_t)part->records + 1, sizeof(*l->weights));
	if (!l->weights)
		return err_sys(e, ENOMEM, "looking into a delta");
	if (patch_new(&l->patch, e) < 0 ||
		chunk_walk_begin(j->f->b, j->f->payload, &l->index, e) < 0)
		return -1;
	return delta_walk_open(j->fd, own_name, j->head, l->part, l->p, &l->told, e);
}

/* Of a tree, whose files are looked at first. */
static bool
stands_in_place(const struct look *l, const struct delta_entry *entry)
{
	return l->p->kind == PAYLOAD_TREE && l->j->without->in_place > 0 &&
	       entry->kind != DELTA_ZEROS && fetching_in_tree(l->j->f, entry->offset, entry->size);
}

/* The first walk: what does a box lack of each record's chunks? */
static int
records_weigh(struct look *l, struct err *e)
{
	for (;;) {
		struct delta_entry entry;
		bool more;

		if (delta_walk_next(l->told, &entry, &more, e) < 0)
			return -1;
		if (!more)
			return delta_walk_rewind(l->told, e);
		l->plain_bytes += entry.kind == DELTA_ZEROS ? 0 : entry.size;
		if (entry.kind == DELTA_RECORD) {
			struct weight *w = &l->weights[entry.record.number];
			bool wrong = !stands_in_place(l, &entry);

			w->plain += entry.size;
			w->wrong += wrong ? entry.size : 0;
			w->wrong_chunks += wrong;
		}
	}
}

/* The agent's rule. */
static bool
record_pays(const struct look *l, const struct delta_record *r)
{
	const struct weight *w = &l->weights[r->number];
	uint64_t cost = w->wrong;

	if (w->wrong_chunks < r->chunks)
		cost = num_min(cost,
			w->wrong * l->p->members[MEMBER_DATA].size / num_max(l->plain_bytes, 1));
	return w->wrong > 0 && r->stored <= cost;
}

static int
record_begin(struct look *l, const struct delta_record *r, struct err *e)
{
	struct span stored = span_of(l->stored, r->stored);

	spans_add(&l->records, r->offset, r->stored);
	if (file_pread_full(l->j->fd, own_name, l->stored, r->stored, r->offset, e) < 0)
		return -1;
	return patch_begin(l->patch, stored, &l->old, l->weights[r->number].plain, e);
}

/* A chunk that a record tells, and what of that went into it. */
static int
chunk_take(struct look *l, const struct delta_entry *entry, struct err *e)
{
	uint64_t spent = 0;

	if (entry->in_record == 0 && record_begin(l, &entry->record, e) < 0)
		return -1;
	if (entry->in_record > 0)
		spent = patch_spent(l->patch);
	for (uint64_t at = 0, len; at < entry->size; at += len) {
		uint64_t before = spent;

		len = num_min(entry->size - at, PIECE_BYTES);
		if (patch_take(l->patch, l->made, (size_t)len, e) < 0)
			return -1;
		spent = patch_spent(l->patch);
		bill_charge(l->j->bill, entry->offset + at, len, spent - before);
	}
	return 0;
}

static void
chunk_fetch(struct look *l, const struct chunk *c)
{
	size_t len;
	uint64_t page = pages_at(&l->index.pages, (l->index.next - 1) / PAGE_ENTRIES, &len);

	spans_add_once(&l->pages, page, len);
	spans_add(&l->whole, c->stored_offset, c->stored_size);
	bill_charge(l->j->bill, c->offset, c->size, c->stored_size);
	l->d.lacking += c->size;
}

static int
entry_cost(struct look *l, const struct chunk *c, const struct delta_entry *entry, struct err *e)
{
	bool told = entry->kind == DELTA_RECORD && record_pays(l, &entry->record);

	if (told && chunk_take(l, entry, e) < 0)
		return -1;
	if (entry->kind == DELTA_ZEROS)
		l->d.zeros += c->size;
	else if (stands_in_place(l, entry))
		l->d.in_place += c->size;
	else if (entry->kind == DELTA_COPY)
		l->d.copied += c->size;
	else if (told)
		l->d.told += c->size;
	else
		chunk_fetch(l, c);
	return 0;
}

/* The second. */
static int
entries_cost(struct look *l, struct err *e)
{
	for (;;) {
		struct delta_entry entry;
		struct chunk c;
		bool more, told;

		if (chunk_walk_next(&l->index, &c, &more, e) < 0 ||
			delta_walk_next(l->told, &entry, &told, e) < 0)
			return -1;
		if (more != told || (more && (entry.offset != c.offset || entry.size != c.size)))
			return err_set(
				e, ERR_MALFORMED, "the delta is not of %s.index", l->p->name);
		if (!more)
			return 0;
		if (entry_cost(l, &c, &entry, e) < 0)
			return -1;
	}
}

/* Whether there is an old payload that it tells by. */
static bool
has_part(const struct by_delta_job *j)
{
	uint64_t old_bytes = j->head->parts[j->f->payload].old_bytes;

	return old_bytes > 0 && j->f->old && j->f->old->size == old_bytes;
}

int
by_delta_of(const struct by_delta_job *j, struct by_delta *out, struct err *e)
{
	CLEANUP(look_free) struct look *l = NULL;
	struct by_delta none = {0};

	*out = none;
	if (!has_part(j))
		return 0;
	if (look_new(j, &l, e) < 0 || records_weigh(l, e) < 0 || entries_cost(l, e) < 0)
		return err_context(e, "%s", j->f->b->manifest->payloads[j->f->payload].name);
	if (l->d.copied + l->d.told == 0)
		return 0;
	l->d.used = true;
	l->d.records = l->records.bytes;
	l->d.stored = l->whole.bytes;
	l->d.pages = l->pages.bytes;
	l->d.gaps = l->records.gaps + l->whole.gaps + l->pages.gaps;
	*out = l->d;
	return 0;
}

uint64_t
by_delta_total(const struct by_delta *d)
{
	return d->records + d->stored + d->pages + d->gaps;
}
