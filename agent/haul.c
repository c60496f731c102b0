#include "agent/haul.h"

#include <stdio.h>

#include "agent/ranges.h"
#include "common/base/num.h"

/* One walk over the data member, upwards. */
struct walk {
	uint64_t end; /* of the last range */
	bool begun;
};

/* What is added to, and its two walks: that of chunks that are put together comes first. */
struct sum {
	struct haul h;
	const struct haul_part *p;
	struct walk partly, whole;
};

/* A gap is fetched along where that costs less. Signed pages may name places that go back: what was
 * counted is not counted again. */
static void
span_fetch(struct haul *h, struct walk *w, struct range span)
{
	if (!w->begun || span.at > w->end + RANGES_GAP_BYTES) {
		w->end = span.at;
		h->ranges++;
	}
	w->begun = true;
	h->stored += num_max(span.end, w->end) - w->end;
	w->end = num_max(span.end, w->end);
}

static bool
delta_add(struct haul *h, const struct delta_use *use, const struct chunk *c, uint64_t entry)
{
	enum delta_use_from from = use ? delta_use_of(use, entry) : DELTA_USE_NOT;

	if (from == DELTA_USE_RUNNING)
		h->running += c->size;
	if (from == DELTA_USE_RECORD)
		h->delta += c->size;
	return from != DELTA_USE_NOT;
}

static int
chunk_add(struct sum *s, struct chunk *c, uint64_t entry, struct err *e)
{
	const struct reuse *found = s->p->found;
	enum reuse_from from = found ? reuse_of(found, entry) : REUSE_NOWHERE;
	struct reuse_lack lack = {0};
	struct haul *h = &s->h;

	if (c->store == CHUNK_ZERO_RUN) {
		h->zeros += c->size;
		return 0;
	}
	if (delta_add(h, s->p->use, c, entry))
		return 0;
	if (from == REUSE_NOWHERE) {
		if (stored_find(s->p->stored, entry, c, e) < 0)
			return -1;
		h->network += c->size;
		span_fetch(h, &s->whole, range_of(c));
		return 0;
	}
	if (reuse_is_partly(found, entry) && reuse_lack(found, entry, c, &lack, e) < 0)
		return -1;
	for (size_t i = 0; i < lack.spans; i++)
		span_fetch(h, &s->partly, lack.span[i]);
	h->network += lack.plain;
	*(from == REUSE_RUNNING ? &h->running : &h->inactive) += c->size - lack.plain;
	return 0;
}

static int
chunks_add(struct sum *sum, struct err *e)
{
	const struct haul_part *p = sum->p;

	if (index_rewind(p->index, e) < 0)
		return -1;
	for (uint64_t entry = 0;; entry++) {
		struct chunk c;
		bool more;

		if (index_next(p->index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (!wants_has(p->wrong, entry))
			sum->h.in_place += c.size;
		else if (chunk_add(sum, &c, entry, e) < 0)
			return -1;
	}
}

int
haul_add(struct haul *h, const struct haul_part *p, struct err *e)
{
	struct sum sum = {.p = p};

	if (chunks_add(&sum, e) < 0)
		return -1;
	if (p->use) {
		sum.h.records = delta_use_bytes(p->use);
		sum.h.stored += sum.h.records;
		sum.h.ranges += delta_use_ranges(p->use);
	}
	h->in_place += sum.h.in_place;
	h->zeros += sum.h.zeros;
	h->inactive += sum.h.inactive;
	h->running += sum.h.running;
	h->delta += sum.h.delta;
	h->network += sum.h.network;
	h->stored += sum.h.stored;
	h->records += sum.h.records;
	h->ranges += sum.h.ranges;
	return 0;
}

const char *
haul_text(const struct haul *h, char out[HAUL_TEXT_SIZE])
{
	char stored[NUM_HUMAN_SIZE], in_place[NUM_HUMAN_SIZE], running[NUM_HUMAN_SIZE],
		inactive[NUM_HUMAN_SIZE], zeros[NUM_HUMAN_SIZE], told[NUM_HUMAN_SIZE],
		records[NUM_HUMAN_SIZE], delta[96] = "";

	if (h->delta > 0)
		(void)snprintf(delta, sizeof(delta), "%s told by a delta in %s, ",
			num_human_size(h->delta, told), num_human_size(h->records, records));
	(void)snprintf(out, HAUL_TEXT_SIZE,
		"%s to fetch in %llu range%s; %s in place, %s from the running side, %s%s from "
		"elsewhere in the inactive one, %s of zeros",
		num_human_size(h->stored, stored), (unsigned long long)h->ranges,
		h->ranges == 1 ? "" : "s", num_human_size(h->in_place, in_place),
		num_human_size(h->running, running), delta, num_human_size(h->inactive, inactive),
		num_human_size(h->zeros, zeros));
	return out;
}
