#include "agent/delta_pile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"

enum { ALIGN_BYTES = 4096 };

int
delta_pile_new(const struct patch_old *old, struct delta_pile **out, struct err *e)
{
	AUTO_DELTA_PILE struct delta_pile *p = calloc(1, sizeof(*p));

	if (!p || !(p->bytes = aligned_alloc(ALIGN_BYTES, (size_t)DELTA_PILE_CHUNKS * CHUNK_BYTES)))
		return err_sys(e, ENOMEM, "applying a delta");
	p->old = old;
	*out = TAKE_PTR(p);
	return 0;
}

void
delta_pile_free(struct delta_pile **p)
{
	if (*p)
		free((*p)->bytes);
	free(*p);
	*p = NULL;
}

void
delta_pile_clear(struct delta_pile *p)
{
	p->used = p->count = 0;
}

struct delta_item *
delta_pile_add(struct delta_pile *p, uint64_t entry, const struct delta_entry *from)
{
	struct delta_item *item = &p->item[p->count];

	if (p->count == DELTA_PILE_CHUNKS)
		return NULL;
	item->entry = entry;
	item->offset = from->offset;
	item->size = (size_t)from->size;
	item->bytes = p->bytes + p->used;
	item->told = from->kind != DELTA_COPY;
	item->lost = false;
	item->runs = from->runs;
	memcpy(item->run, from->run, from->runs * sizeof(from->run[0]));
	p->count++;
	p->used += item->size;
	return item;
}

/* A read that is being put together: of items from first on. */
struct reading {
	struct delta_pile *p;
	uint8_t *to;
	uint64_t at;
	size_t len;
	size_t first;
};

static bool
reads(const struct reading *r, uint8_t *to, size_t len, uint64_t at)
{
	struct err why;

	return r->p->old && r->p->old->read(r->p->old->arg, to, len, at, &why) == 0;
}

/* By itself: then it is known which item has lost something. */
static void
item_read(const struct reading *r, struct delta_item *item)
{
	uint8_t *to = item->bytes;

	for (size_t i = 0; !item->told && i < item->runs; i++) {
		const struct delta_run *run = &item->run[i];

		if (!run->zeros && !reads(r, to, run->size, run->old_at))
			item->lost = true;
		to += run->size;
	}
}

/* Does what was put together; last is the item that it ends in. */
static void
reading_do(struct reading *r, size_t last)
{
	if (r->len > 0 && !reads(r, r->to, r->len, r->at)) {
		for (size_t i = r->first; i <= last; i++)
			item_read(r, &r->p->item[i]);
	}
	r->len = 0;
}

static void
reading_add(struct reading *r, size_t item, uint8_t *to, const struct delta_run *run)
{
	bool follows = r->len > 0 && r->to + r->len == to && r->at + r->len == run->old_at;

	if (!follows) {
		reading_do(r, item);
		r->to = to;
		r->at = run->old_at;
		r->first = item;
	}
	r->len += run->size;
}

static void
pile_read(struct delta_pile *p)
{
	struct reading r = {.p = p};

	for (size_t i = 0; i < p->count; i++) {
		struct delta_item *item = &p->item[i];
		uint8_t *to = item->bytes;

		for (size_t n = 0; !item->told && n < item->runs; n++) {
			const struct delta_run *run = &item->run[n];

			if (run->zeros)
				memset(to, 0, run->size);
			else
				reading_add(&r, i, to, run);
			to += run->size;
		}
	}
	if (p->count > 0)
		reading_do(&r, p->count - 1);
}

void
delta_pile_settle(struct delta_pile *p)
{
	struct span in[DELTA_PILE_CHUNKS];
	struct delta_item *hashed[DELTA_PILE_CHUNKS];
	struct digest digest[DELTA_PILE_CHUNKS];
	size_t n = 0;

	pile_read(p);
	for (size_t i = 0; i < p->count; i++) {
		struct delta_item *item = &p->item[i];

		if (item->lost)
			continue;
		in[n] = span_of(item->bytes, item->size);
		hashed[n++] = item;
	}
	digest_of_many(in, n, digest);
	for (size_t i = 0; i < n; i++)
		hashed[i]->digest = digest[i];
}
