#include "signer/bill.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"

int
bill_begin(const struct contents *c, struct bill *out, struct err *e)
{
	uint64_t *bytes = calloc(c->owner_count + 1, sizeof(*bytes));

	if (!bytes)
		return err_sys(e, ENOMEM, "adding up");
	*out = (struct bill){c, bytes};
	return 0;
}

void
bill_free(struct bill *b)
{
	free(b->bytes);
	*b = BILL_INIT;
}

/* Shares are rounded down, and what is left over by that is the last one's. */
void
bill_charge(struct bill *b, uint64_t at, uint64_t len, uint64_t bytes)
{
	uint64_t end = at + len, left = bytes;

	for (const struct extent *x = contents_at(b->contents, at);; x++) {
		uint64_t part = num_min(end, x->at + x->size) - num_max(at, x->at);
		uint64_t share = x->at + x->size >= end ? left : part * bytes / len;

		b->bytes[x->owner] += share;
		left -= share;
		if (x->at + x->size >= end)
			return;
	}
}

struct order {
	const struct bill *first, *second;
};

static int
owners_compare(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	if (o->first->bytes[x] != o->first->bytes[y])
		return o->first->bytes[x] > o->first->bytes[y] ? -1 : 1;
	if (o->second->bytes[x] != o->second->bytes[y])
		return o->second->bytes[x] > o->second->bytes[y] ? -1 : 1;
	return strcmp(contents_path(o->first->contents, x), contents_path(o->first->contents, y));
}

int
bill_sort(const struct bill *b, const struct bill *other, uint32_t **out, size_t *count,
	struct err *e)
{
	struct order o = {b, other ? other : b};
	size_t owners = b->contents->owner_count, used = 0;
	uint32_t *list = calloc(owners + 1, sizeof(*list));

	if (!list)
		return err_sys(e, ENOMEM, "sorting");
	for (size_t i = 0; i < owners; i++) {
		if (o.first->bytes[i] > 0 || o.second->bytes[i] > 0)
			list[used++] = (uint32_t)i;
	}
	qsort_r(list, used, sizeof(*list), owners_compare, &o);
	*out = list;
	*count = used;
	return 0;
}
