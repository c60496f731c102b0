#include "signer/delta_side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/format/index.h"

void
delta_side_close(struct delta_side *s)
{
	unpacked_free(&s->plain);
	free(s->chunks);
	free(s->by_digest);
	*s = DELTA_SIDE_INIT;
}

static int
index_read(const struct bundle_file *b, size_t payload, struct delta_side *s, struct err *e)
{
	struct pages pages = bundle_file_pages(b, payload);
	AUTO_INDEX struct index_reader *r = NULL;
	struct chunk c;
	bool more;

	if (index_open(b->fd, b->path, b->layout.offset[payload][MEMBER_INDEX], s->payload, &r, e) <
		0)
		return -1;
	s->chunks = calloc((size_t)index_entries(r) + 1, sizeof(*s->chunks));
	if (!s->chunks)
		return err_sys(e, ENOMEM, "reading the index of %s", s->payload->name);
	for (;;) {
		if (index_next(r, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (pages_find(&pages, s->count, &c, e) < 0)
			return -1;
		s->chunks[s->count++] = (struct delta_chunk){.offset = c.offset,
			.size = c.size,
			.stored = c.stored_size,
			.plain = c.plain};
	}
}

int
delta_side_open(const struct bundle_file *b, size_t payload, unsigned threads, const char *scratch,
	struct delta_side *out, struct err *e)
{
	AUTO_DELTA_SIDE struct delta_side s = DELTA_SIDE_INIT;

	s.payload = &b->manifest->payloads[payload];
	if (payload_unpack(b, payload, threads, scratch, &s.plain, e) < 0 ||
		index_read(b, payload, &s, e) < 0)
		return -1;
	*out = s;
	s = DELTA_SIDE_INIT;
	return 0;
}

static int
chunk_order(const void *a, const void *b, void *arg)
{
	const struct delta_chunk *chunks = arg, *x = &chunks[*(const uint32_t *)a],
				 *y = &chunks[*(const uint32_t *)b];
	int order = memcmp(x->plain.b, y->plain.b, DIGEST_BYTES);

	return order ? order : x->offset < y->offset ? -1 : x->offset > y->offset;
}

int
delta_side_sort(struct delta_side *s, struct err *e)
{
	s->by_digest = calloc(s->count + 1, sizeof(*s->by_digest));
	if (!s->by_digest)
		return err_sys(e, ENOMEM, "sorting the chunks of %s", s->payload->name);
	for (size_t i = 0; i < s->count; i++) {
		if (s->chunks[i].stored > 0)
			s->by_digest[s->sorted++] = (uint32_t)i;
	}
	if (s->sorted > 0)
		qsort_r(s->by_digest, s->sorted, sizeof(*s->by_digest), chunk_order, s->chunks);
	return 0;
}

/* The first in the order that is this one or behind it. */
static size_t
sorted_from(const struct delta_side *s, const struct digest *plain, uint64_t offset)
{
	size_t low = 0, high = s->sorted;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct delta_chunk *c = &s->chunks[s->by_digest[middle]];
		int order = memcmp(c->plain.b, plain->b, DIGEST_BYTES);

		if (order < 0 || (order == 0 && c->offset < offset))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
found_at(const struct delta_side *s, const struct delta_chunk *c, uint64_t offset, uint64_t *at)
{
	size_t i = sorted_from(s, &c->plain, offset);
	const struct delta_chunk *found;

	if (i >= s->sorted)
		return false;
	found = &s->chunks[s->by_digest[i]];
	if (!digest_equal(&found->plain, &c->plain) || found->size != c->size)
		return false;
	*at = found->offset;
	return true;
}

bool
delta_side_find(
	const struct delta_side *s, const struct delta_chunk *c, uint64_t here, uint64_t *at)
{
	uint64_t place;

	if (found_at(s, c, here, &place) && place == here) {
		*at = here;
		return true;
	}
	return found_at(s, c, 0, at);
}

void
delta_side_let_go(const struct delta_side *s, uint64_t from, uint64_t to)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char *map = s->plain.map;

	from -= from % page;
	to -= to % page;
	if (map && from < to)
		(void)madvise(map + from, (size_t)(to - from), MADV_DONTNEED);
}
