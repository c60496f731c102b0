#include "common/format/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
names_free(struct names *n)
{
	free(n->list);
	*n = (struct names){0};
}

int
names_make(size_t capacity, struct names *out, struct err *e)
{
	struct named *list = capacity ? calloc(capacity, sizeof(*list)) : NULL;

	if (capacity && !list)
		return err_sys(e, ENOMEM, "%zu names", capacity);
	*out = (struct names){.list = list, .capacity = capacity};
	return 0;
}

void
names_add(struct names *n, const char *name, uint32_t number)
{
	if (n->count < n->capacity)
		n->list[n->count++] = (struct named){name, number};
}

static int
named_compare(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->number > y->number) - (x->number < y->number);
}

void
names_sort(struct names *n)
{
	if (n->count > 1)
		qsort(n->list, n->count, sizeof(*n->list), named_compare);
}

/* The first that is not before this one. */
static size_t
names_from(const struct names *n, const struct named *wanted)
{
	size_t low = 0, high = n->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (named_compare(&n->list[middle], wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
names_find(const struct names *n, const char *name, uint32_t *number)
{
	size_t at = names_from(n, &(struct named){name, 0});

	if (at == n->count || strcmp(n->list[at].name, name) != 0)
		return false;
	*number = n->list[at].number;
	return true;
}

bool
names_has(const struct names *n, const char *name, uint32_t number)
{
	size_t at = names_from(n, &(struct named){name, number});

	return at < n->count && n->list[at].number == number && strcmp(n->list[at].name, name) == 0;
}
