#include "agent/haul.h"

#include <stdio.h>

#include "agent/ranges.h"
#include "common/base/num.h"

/* end: of the last range, in the data member. A gap is fetched along where that costs less. */
static void
chunk_fetch(struct haul *h, const struct chunk *c, uint64_t *end)
{
	h->network += c->size;
	if (h->ranges == 0 || c->stored_offset > *end + RANGES_GAP_BYTES) {
		*end = c->stored_offset;
		h->ranges++;
	}
	h->stored += c->stored_offset + c->stored_size - *end;
	*end = c->stored_offset + c->stored_size;
}

static void
chunk_add(struct haul *h, const struct chunk *c, enum reuse_from from, uint64_t *end)
{
	if (c->store == CHUNK_ZERO_RUN)
		h->zeros += c->size;
	else if (from == REUSE_RUNNING)
		h->running += c->size;
	else if (from == REUSE_INACTIVE)
		h->inactive += c->size;
	else
		chunk_fetch(h, c, end);
}

int
haul_add(struct haul *h, struct index_reader *index, const struct wants *wrong,
	const struct reuse *found, struct err *e)
{
	struct haul sum = {0};
	uint64_t end = 0;

	if (index_rewind(index, e) < 0)
		return -1;
	for (uint64_t entry = 0;; entry++) {
		struct chunk c;
		bool more;

		if (index_next(index, &c, &more, e) < 0)
			return -1;
		if (!more)
			break;
		if (wants_has(wrong, entry))
			chunk_add(&sum, &c, found ? reuse_of(found, entry) : REUSE_NOWHERE, &end);
		else
			sum.in_place += c.size;
	}
	h->in_place += sum.in_place;
	h->zeros += sum.zeros;
	h->inactive += sum.inactive;
	h->running += sum.running;
	h->network += sum.network;
	h->stored += sum.stored;
	h->ranges += sum.ranges;
	return 0;
}

const char *
haul_text(const struct haul *h, char out[HAUL_TEXT_SIZE])
{
	char stored[NUM_HUMAN_SIZE], in_place[NUM_HUMAN_SIZE], running[NUM_HUMAN_SIZE],
		inactive[NUM_HUMAN_SIZE], zeros[NUM_HUMAN_SIZE];

	(void)snprintf(out, HAUL_TEXT_SIZE,
		"%s to fetch in %llu range%s; %s in place, %s from the running side, %s from "
		"elsewhere in the inactive one, %s of zeros",
		num_human_size(h->stored, stored), (unsigned long long)h->ranges,
		h->ranges == 1 ? "" : "s", num_human_size(h->in_place, in_place),
		num_human_size(h->running, running), num_human_size(h->inactive, inactive),
		num_human_size(h->zeros, zeros));
	return out;
}
