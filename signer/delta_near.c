#include "signer/delta_near.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"

/* SLACK bytes behind the last are read, whatever they are. */
enum { FIRST_BITS = 18, SLACK = 8 };

void
near_free(struct near **slot)
{
	struct near *n = *slot;

	if (!n)
		return;
	free(n->bytes);
	free(n->first);
	free(n->next);
	free(n);
}

struct near *
near_new(struct err *e)
{
	AUTO_NEAR struct near *n = calloc(1, sizeof(*n));

	if (n) {
		n->bytes = calloc(NEAR_BYTES + SLACK, 1);
		n->first = malloc(sizeof(*n->first) << FIRST_BITS);
		n->next = malloc(sizeof(*n->next) * NEAR_BYTES);
	}
	if (!n || !n->bytes || !n->first || !n->next) {
		(void)err_sys(e, ENOMEM, "comparing old bytes with new ones");
		return NULL;
	}
	return TAKE_PTR(n);
}

void
near_clear(struct near *n)
{
	n->count = 0;
	n->size = 0;
}

void
near_ask(struct near *n, struct span old, int64_t from, int64_t to)
{
	uint64_t begin = from < 0 ? 0 : (uint64_t)from,
		 end = to < 0 ? 0 : num_min((uint64_t)to, old.len);

	if (begin >= end || n->count == NEAR_PARTS || n->size + (end - begin) > NEAR_BYTES)
		return;
	n->size += (size_t)(end - begin);
	n->parts[n->count++] = (struct near_part){.from = begin, .to = end};
}

static int
part_order(const void *a, const void *b)
{
	const struct near_part *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* In the order of places, those that touch made one. */
static void
parts_join(struct near *n)
{
	size_t count = 0;

	qsort(n->parts, n->count, sizeof(*n->parts), part_order);
	for (size_t i = 0; i < n->count; i++) {
		struct near_part *last = count > 0 ? &n->parts[count - 1] : NULL;

		if (last && n->parts[i].from <= last->to)
			last->to = num_max(last->to, n->parts[i].to);
		else
			n->parts[count++] = n->parts[i];
	}
	n->count = count;
}

static uint64_t
word_at(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

static uint32_t
slot_of(uint64_t word)
{
	word <<= 64 - 8 * NEAR_SEED_BYTES;
	return (uint32_t)(word * 0x9e3779b97f4a7c15 >> (64 - FIRST_BITS));
}

/* Whether a word is one byte again and again, which is found in too many places. */
static int
is_run(uint64_t word)
{
	return word == (word << 8 | word >> 56);
}

void
near_take(struct near *n, struct span old)
{
	parts_join(n);
	n->size = 0;
	for (size_t i = 0; i < n->count; i++) {
		struct near_part *p = &n->parts[i];
		size_t len = (size_t)(p->to - p->from);

		p->at = n->size;
		memcpy(n->bytes + n->size, old.data + p->from, len);
		n->size += len;
	}
	memset(n->bytes + n->size, 0, SLACK);
	memset(n->first, -1, sizeof(*n->first) << FIRST_BITS);
	for (size_t i = n->size < SLACK ? 0 : n->size - SLACK; i-- > 0;) {
		uint64_t word = word_at(n->bytes + i);
		uint32_t slot = slot_of(word);

		if (is_run(word))
			continue;
		n->next[i] = n->first[slot];
		n->first[slot] = (int32_t)i;
	}
}

int32_t
near_place(const struct near *n, uint64_t old_at)
{
	for (size_t i = 0; i < n->count; i++) {
		const struct near_part *p = &n->parts[i];

		if (old_at >= p->from && old_at < p->to)
			return (int32_t)(p->at + (size_t)(old_at - p->from));
	}
	return -1;
}

uint64_t
near_old(const struct near *n, size_t at)
{
	size_t i = n->count;

	while (i > 1 && n->parts[i - 1].at > at)
		i--;
	return n->parts[i - 1].from + (at - n->parts[i - 1].at);
}

int32_t
near_first(const struct near *n, const uint8_t *bytes)
{
	uint64_t word = word_at(bytes);

	return is_run(word) ? -1 : n->first[slot_of(word)];
}
