#include "agent/delta_old.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/index.h"

enum { PAGE = 64 };

struct delta_old {
	const struct head *h;
	uint64_t index_at;
	uint64_t bytes, entries, pages;
	uint64_t *starts; /* of each page: where its first entry's bytes lie */
	uint64_t loaded;  /* the page that was, and one more; 0: none */
	size_t count, next;
	struct chunk chunk[PAGE];
};

void
delta_old_close(struct delta_old **o)
{
	if (*o)
		free((*o)->starts);
	free(*o);
	*o = NULL;
}

bool
delta_old_payload(const struct head *h, const struct payload *p, uint64_t bytes, size_t *payload)
{
	for (size_t i = 0; i < h->manifest->payload_count; i++) {
		const struct payload *old = &h->manifest->payloads[i];

		if (strcmp(old->name, p->name) != 0 || old->kind != p->kind || old->size != bytes)
			continue;
		*payload = i;
		return true;
	}
	return false;
}

static int
starts_fill(struct delta_old *o, size_t payload, struct err *e)
{
	const struct head *h = o->h;
	AUTO_INDEX struct index_reader *index = NULL;

	if (index_open(h->fd, h->name, h->layout.offset[payload][MEMBER_INDEX],
		    &h->manifest->payloads[payload], &index, e) < 0)
		return -1;
	o->entries = index_entries(index);
	o->pages = num_div_up(o->entries, PAGE);
	o->starts = calloc(o->pages + 1, sizeof(*o->starts));
	if (!o->starts)
		return err_sys(e, ENOMEM, "reading the index of what runs");
	for (uint64_t entry = 0;; entry++) {
		struct chunk c;
		bool more;

		if (index_next(index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (entry % PAGE == 0)
			o->starts[entry / PAGE] = c.offset;
	}
}

int
delta_old_open(const struct head *h, size_t payload, struct delta_old **out, struct err *e)
{
	AUTO_DELTA_OLD struct delta_old *o = calloc(1, sizeof(*o));

	if (!o)
		return err_sys(e, ENOMEM, "reading the index of what runs");
	o->h = h;
	o->bytes = h->manifest->payloads[payload].size;
	o->index_at = h->layout.offset[payload][MEMBER_INDEX] + INDEX_HEADER_BYTES;
	if (starts_fill(o, payload, e) < 0)
		return err_own(e);
	*out = TAKE_PTR(o);
	return 0;
}

/* The page whose chunks lie around a byte, which the payload has. */
static uint64_t
page_of(const struct delta_old *o, uint64_t at)
{
	uint64_t low = 0, high = o->pages;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (o->starts[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static int
page_load(struct delta_old *o, uint64_t page, struct err *e)
{
	uint8_t bytes[PAGE * INDEX_ENTRY_BYTES];
	uint64_t offset = o->starts[page];
	size_t count = (size_t)num_min(o->entries - page * PAGE, PAGE);

	if (o->loaded == page + 1)
		return 0;
	o->loaded = 0;
	if (file_pread_full(o->h->fd, o->h->name, bytes, count * INDEX_ENTRY_BYTES,
		    o->index_at + page * sizeof(bytes), e) < 0)
		return err_own(e);
	for (size_t i = 0; i < count; i++) {
		o->chunk[i] = (struct chunk){.offset = offset};
		if (index_take_entry(bytes + i * INDEX_ENTRY_BYTES, &o->chunk[i], e) < 0)
			return err_own(e);
		offset += o->chunk[i].size;
	}
	o->loaded = page + 1;
	o->count = count;
	o->next = 0;
	return 0;
}

/* Most are asked for one after the other. */
static const struct chunk *
chunk_at(struct delta_old *o, uint64_t at)
{
	for (size_t i = 0; i < o->count; i++) {
		const struct chunk *c = &o->chunk[(o->next + i) % o->count];

		if (c->offset != at)
			continue;
		o->next = (o->next + i + 1) % o->count;
		return c;
	}
	return NULL;
}

int
delta_old_find(struct delta_old *o, uint64_t at, uint64_t size, struct digest *out, bool *found,
	struct err *e)
{
	const struct chunk *c;

	*found = false;
	if (at >= o->bytes)
		return 0;
	if (page_load(o, page_of(o, at), e) < 0)
		return -1;
	c = chunk_at(o, at);
	if (!c || c->store == CHUNK_ZERO_RUN || c->size != size)
		return 0;
	*out = c->plain;
	*found = true;
	return 0;
}
