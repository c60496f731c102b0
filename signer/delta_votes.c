#include "signer/delta_votes.h"

#include <stdlib.h>
#include <string.h>

enum { VOTES_LEAST = 2 };

struct adding {
	struct delta_votes *votes;
	uint32_t at;
};

void
delta_votes_clear(struct delta_votes *v)
{
	v->count = 0;
}

static int64_t
round_down(int64_t n)
{
	return n - ((n % DELTA_VOTE_BYTES) + DELTA_VOTE_BYTES) % DELTA_VOTE_BYTES;
}

static void
found(void *arg, size_t at, uint64_t old_at)
{
	const struct adding *a = arg;
	struct delta_votes *v = a->votes;

	if (v->count < DELTA_VOTES)
		v->votes[v->count++] = round_down((int64_t)old_at - (int64_t)at - (int64_t)a->at);
}

void
delta_votes_add(struct delta_votes *v, const struct delta_seeds *s, struct span fresh, uint32_t at)
{
	struct adding a = {v, at};

	delta_seeds_each(s, fresh, found, &a);
}

static int
vote_order(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

size_t
delta_votes_count(struct delta_votes *v, int64_t places[DELTA_PLACES], size_t max)
{
	size_t counts[DELTA_PLACES], n = 0;

	qsort(v->votes, v->count, sizeof(*v->votes), vote_order);
	for (size_t i = 0, end; i < v->count; i = end) {
		size_t at = n;

		for (end = i; end < v->count && v->votes[end] == v->votes[i];)
			end++;
		while (at > 0 && counts[at - 1] < end - i)
			at--;
		if (end - i < VOTES_LEAST || at == max)
			continue;
		n += n < max;
		for (size_t k = n - 1; k > at; k--) {
			counts[k] = counts[k - 1];
			places[k] = places[k - 1];
		}
		counts[at] = end - i;
		places[at] = v->votes[i];
	}
	return n;
}
