#include "signer/fetching.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/format/hints.h"
#include "signer/block_search.h"
#include "signer/chunk_walk.h"
#include "signer/spans.h"

/* The agent's figures: of its sample of hints, and of what is worth looking at. */
enum { SAMPLE_CHUNKS = 256, SAMPLE_RUN = 16, WORTH_PERCENT = 1 };
enum { SLOT_PER_BYTE_FETCHED = 2048, SLOT_PER_BYTE_SLID = 256, SAVED_BYTES_LEAST = 1024 };
enum { OLD_PER_NEW = 2 }; /* so much of a slot is looked at */

struct look {
	const struct fetching_job *j;
	const struct payload *p;
	struct chunk_walk walk;
	uint8_t *in_place;    /* a bit for each entry: it stands there in the old payload, too */
	uint8_t *passed;      /* of an image: a bit for each chunk of the old one that does */
	uint64_t old_bytes;   /* that are looked at */
	uint64_t chunks;      /* but for runs of zeros: */
	uint64_t chunk_bytes; /* they are stored as */
	uint64_t kept;	      /* chunks in place */
	struct block_search *search;
	bool takes;  /* the box takes what it has, */
	bool slides; /* at any byte, too */
	struct fetching f;
	struct spans partly, whole, hints, cuts, pages;
};

static void
look_free(struct look *l)
{
	chunk_walk_end(&l->walk);
	free(l->in_place);
	free(l->passed);
	block_search_free(&l->search);
}

static void
bit_set(uint8_t *bits, uint64_t number)
{
	bits[number / 8] |= (uint8_t)(1U << number % 8);
}

static bool
bit_get(const uint8_t *bits, uint64_t number)
{
	return bits[number / 8] >> number % 8 & 1;
}

bool
fetching_in_tree(const struct fetching_job *j, uint64_t at, uint64_t size)
{
	const struct extent *x = contents_at(j->contents, at);
	const struct owner *old =
		contents_find(j->old_contents, contents_path(j->contents, x->owner));
	uint64_t within = x->within + (at - x->at), there = 0;
	const uint8_t *new = j->new->data + at;

	if (old && old->size > within)
		there = num_min(old->size - within, size);
	if (there > 0 && memcmp(j->old->data + old->first + within, new, (size_t)there) != 0)
		return false;
	return span_is_zero(span_of(new + there, (size_t)(size - there)));
}

static bool
stands_in_place(const struct look *l, const struct chunk *c)
{
	if (!l->j->old)
		return false;
	if (l->p->kind == PAYLOAD_TREE)
		return l->j->old_contents && fetching_in_tree(l->j, c->offset, c->size);
	return c->offset + c->size <= l->old_bytes &&
	       memcmp(l->j->old->data + c->offset, l->j->new->data + c->offset, (size_t)c->size) ==
		       0;
}

/* The first walk: what stands in place? */
static int
chunks_compare(struct look *l, struct err *e)
{
	for (;;) {
		struct chunk c;
		bool more;

		if (chunk_walk_next(&l->walk, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (c.store == CHUNK_ZERO_RUN)
			continue;
		l->chunks++;
		l->chunk_bytes += c.stored_size;
		if (!stands_in_place(l, &c))
			continue;
		l->kept++;
		bit_set(l->in_place, l->walk.next - 1);
		if (l->p->kind == PAYLOAD_IMAGE)
			bit_set(l->passed, c.offset / CHUNK_BYTES);
	}
}

static int
look_begin(struct look *l, struct err *e)
{
	uint64_t entries;

	if (chunk_walk_begin(l->j->b, l->j->payload, &l->walk, e) < 0)
		return -1;
	entries = index_entries(l->walk.index);
	if (l->j->old)
		l->old_bytes = num_min(l->j->old->size, OLD_PER_NEW * l->p->size);
	l->in_place = calloc(1, entries / 8 + 1);
	l->passed = calloc(1, num_max(l->old_bytes, l->p->size) / CHUNK_BYTES / 8 + 1);
	if (!l->in_place || !l->passed)
		return err_sys(e, ENOMEM, "comparing %s", l->p->name);
	return chunks_compare(l, e);
}

/* The second: blocks of the others are looked for. */
static int
blocks_add(struct look *l, struct err *e)
{
	if (chunk_walk_again(&l->walk, e) < 0)
		return -1;
	for (;;) {
		struct chunk c;
		bool more;

		if (chunk_walk_next(&l->walk, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (c.store == CHUNK_ZERO_RUN || bit_get(l->in_place, l->walk.next - 1))
			continue;
		for (uint64_t at = 0; at + HINT_BLOCK_BYTES <= c.size; at += HINT_BLOCK_BYTES)
			block_search_add(l->search, (c.offset + at) / HINT_BLOCK_BYTES);
	}
}

static int
blocks_look(struct look *l, struct err *e)
{
	struct span image = span_of(l->j->new->data, (size_t)l->p->size);
	size_t blocks = (size_t)(l->chunks - l->kept) * CHUNK_BLOCKS;

	if (block_search_new(image, blocks, &l->search, e) < 0 || blocks_add(l, e) < 0)
		return -1;
	return block_search_run(l->search, span_of(l->j->old->data, (size_t)l->old_bytes),
		l->passed, l->j->threads, l->p->name, e);
}

/* Whether a box, which takes a sample first, finds enough of it in its old slot. */
static bool
is_worth_it(const struct look *l)
{
	uint64_t sampled = num_min(l->chunks, SAMPLE_CHUNKS) * CHUNK_BLOCKS;
	uint64_t hits = l->kept * CHUNK_BLOCKS;

	if (l->search) {
		uint64_t found = block_search_wanted(l->search) - block_search_unaligned(l->search);

		hits += found * num_min(l->chunks, SAMPLE_CHUNKS) / l->chunks;
	}
	return hits > 0 && hits * 100 >= sampled * WORTH_PERCENT;
}

/* The hints of the sample's chunks, or those of all others that are not in place. */
static int
hints_ask(struct look *l, bool sample, struct err *e)
{
	uint64_t every = num_max(l->chunks * SAMPLE_RUN / SAMPLE_CHUNKS, SAMPLE_RUN), number = 0;

	if (chunk_walk_again(&l->walk, e) < 0)
		return -1;
	l->hints.begun = false;
	for (;;) {
		struct chunk c;
		bool more;

		if (chunk_walk_next(&l->walk, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (c.store == CHUNK_ZERO_RUN || (number++ % every < SAMPLE_RUN) != sample)
			continue;
		if (sample || !bit_get(l->in_place, l->walk.next - 1))
			spans_add(&l->hints, c.offset / HINT_BLOCK_BYTES * HINT_BYTES,
				hints_size(c.size));
	}
}

static int
look_decide(struct look *l, struct err *e)
{
	bool hints = l->p->members[MEMBER_HINTS].present;
	uint64_t nowhere;

	if (l->chunks == 0 || l->chunk_bytes < l->p->size / SLOT_PER_BYTE_FETCHED)
		return 0;
	if (hints && hints_ask(l, true, e) < 0)
		return -1;
	if (!l->j->old)
		return 0;
	if (hints && blocks_look(l, e) < 0)
		return -1;
	l->takes = is_worth_it(l);
	if (!l->takes || !hints)
		return 0;
	nowhere = block_search_unaligned(l->search) * HINT_BLOCK_BYTES;
	l->slides = nowhere >= num_max(l->old_bytes / SLOT_PER_BYTE_SLID, 1);
	return hints_ask(l, false, e);
}

/* What is known of the blocks of a chunk that is not in place. */
struct blocks {
	size_t count, lacking;
	bool lacks[CHUNK_BLOCKS];
	struct cuts cuts;
	uint64_t moved, zeros, unaligned; /* plain bytes */
};

static bool
block_lacks(const struct look *l, const struct chunk *c, uint64_t at, struct blocks *b)
{
	uint64_t size = num_min(c->size - at, HINT_BLOCK_BYTES);
	enum block_found found = BLOCK_NOWHERE;

	if (!l->takes || !l->search)
		return true;
	if (size == HINT_BLOCK_BYTES)
		found = block_search_of(l->search, (c->offset + at) / HINT_BLOCK_BYTES);
	else if (span_is_zero(span_of(l->j->new->data + c->offset + at, (size_t)size)))
		found = BLOCK_OF_ZEROS;
	if (found == BLOCK_NOWHERE || (found == BLOCK_UNALIGNED && !l->slides))
		return true;
	if (found == BLOCK_OF_ZEROS)
		b->zeros += size;
	else
		b->moved += size;
	b->unaligned += found == BLOCK_UNALIGNED ? size : 0;
	return false;
}

static int
blocks_of(const struct look *l, const struct chunk *c, struct blocks *out, struct err *e)
{
	struct blocks b = {.count = (size_t)num_div_up(c->size, HINT_BLOCK_BYTES)};

	for (size_t i = 0; i < b.count; i++) {
		b.lacks[i] = block_lacks(l, c, i * HINT_BLOCK_BYTES, &b);
		b.lacking += b.lacks[i];
	}
	if (b.lacking > 0 && chunk_walk_cuts(&l->walk, c, &b.cuts, e) < 0)
		return -1;
	*out = b;
	return 0;
}

static uint64_t
block_weight(const struct blocks *b, size_t i)
{
	if (!b->lacks[i])
		return 0;
	return b->cuts.count > 0 ? b->cuts.cut[i].size : 1;
}

/* Charges the blocks that lack, for it is on their account that anything is fetched. */
static void
blocks_charge(const struct look *l, const struct chunk *c, const struct blocks *b, uint64_t bytes)
{
	uint64_t weights = 0, left = bytes;

	for (size_t i = 0; i < b->count; i++)
		weights += block_weight(b, i);
	for (size_t i = 0; i < b->count && weights > 0; i++) {
		uint64_t weight = block_weight(b, i), at = i * HINT_BLOCK_BYTES;
		uint64_t share = left * weight / weights;

		if (weight > 0)
			bill_charge(l->j->bill, c->offset + at,
				num_min(c->size - at, HINT_BLOCK_BYTES), share);
		left -= share;
		weights -= weight;
	}
}

/* As what the chunk is stored: once for all of its page. */
static void
page_fetch(struct look *l)
{
	size_t len;
	uint64_t at = pages_at(&l->walk.pages, (l->walk.next - 1) / PAGE_ENTRIES, &len);

	spans_add_once(&l->pages, at, len);
}

/* Of a chunk of which there are some blocks, the others. */
static void
chunk_fetch_partly(struct look *l, const struct chunk *c, const struct blocks *b)
{
	uint64_t at = c->stored_offset, bytes = 0;

	spans_add(&l->cuts, (l->walk.next - 1) * CUTS_BYTES, CUTS_BYTES);
	for (size_t i = 0; i < b->count; i++) {
		if (b->lacks[i])
			spans_add(&l->partly, at, b->cuts.cut[i].size);
		bytes += b->lacks[i] ? b->cuts.cut[i].size : 0;
		at += b->cuts.cut[i].size;
	}
	blocks_charge(l, c, b, bytes);
	l->f.lacking += c->size - b->moved - b->zeros;
}

static void
chunk_fetch(struct look *l, const struct chunk *c, const struct blocks *b)
{
	spans_add(&l->whole, c->stored_offset, c->stored_size);
	blocks_charge(l, c, b, c->stored_size);
	l->f.lacking += c->size;
}

/* The last walk. */
static int
chunk_cost(struct look *l, const struct chunk *c, struct err *e)
{
	struct blocks b;

	if (c->store == CHUNK_ZERO_RUN) {
		l->f.zeros += c->size;
		return 0;
	}
	if (l->takes && bit_get(l->in_place, l->walk.next - 1)) {
		l->f.in_place += c->size;
		return 0;
	}
	if (blocks_of(l, c, &b, e) < 0)
		return -1;
	if (b.lacking > 0)
		page_fetch(l);
	if (b.lacking > 0 &&
		(b.cuts.count == 0 ||
			c->stored_size / b.count * (b.count - b.lacking) < SAVED_BYTES_LEAST)) {
		chunk_fetch(l, c, &b);
		return 0;
	}
	if (b.lacking > 0)
		chunk_fetch_partly(l, c, &b);
	l->f.moved += b.moved;
	l->f.zeros += b.zeros;
	l->f.unaligned += b.unaligned;
	return 0;
}

static int
chunks_cost(struct look *l, struct err *e)
{
	if (chunk_walk_again(&l->walk, e) < 0)
		return -1;
	for (;;) {
		struct chunk c;
		bool more;

		if (chunk_walk_next(&l->walk, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (chunk_cost(l, &c, e) < 0)
			return -1;
	}
}

int
fetching_of(const struct fetching_job *j, struct fetching *out, struct err *e)
{
	CLEANUP(look_free)
	struct look l = {.j = j, .p = &j->b->manifest->payloads[j->payload]};

	if (look_begin(&l, e) < 0 || look_decide(&l, e) < 0 || chunks_cost(&l, e) < 0)
		return err_context(e, "%s", l.p->name);
	l.f.stored = l.partly.bytes + l.whole.bytes;
	l.f.gaps = l.partly.gaps + l.whole.gaps;
	l.f.hints = l.hints.bytes + l.hints.gaps;
	l.f.cuts = l.cuts.bytes + l.cuts.gaps + l.pages.bytes + l.pages.gaps;
	*out = l.f;
	return 0;
}

uint64_t
fetching_total(const struct fetching *f)
{
	return f->stored + f->gaps + f->hints + f->cuts;
}
