#include "agent/hint_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A bit of a hint depends on the lower bits of the bytes only, so the lowest are left out. */
enum { HINT_LOW_BITS = 32 };

int
hint_table_init(struct hint_table *t, size_t hints, struct err *e)
{
	struct hint_table made = {.entries = 2 * HINT_REACH};

	while (made.entries / 4 * 3 < hints)
		made.entries *= 2;
	made.hints = calloc(made.entries, sizeof(*made.hints));
	made.where = malloc(made.entries * sizeof(*made.where));
	if (!made.hints || !made.where) {
		hint_table_free(&made);
		return err_sys(e, ENOMEM, "looking for blocks");
	}
	*t = made;
	return 0;
}

void
hint_table_free(struct hint_table *t)
{
	free(t->hints);
	free(t->where);
	*t = (struct hint_table){0};
}

void
hint_table_clear(struct hint_table *t)
{
	memset(t->hints, 0, t->entries * sizeof(*t->hints));
	t->used = 0;
}

/* The entry that holds the hint, or the free one that would; entries where there is neither. */
static size_t
entry_of(const struct hint_table *t, uint64_t hint)
{
	for (size_t i = 0; i < HINT_REACH; i++) {
		size_t at = (size_t)((hint >> HINT_LOW_BITS) + i) & (t->entries - 1);

		if (t->hints[at] == hint || t->hints[at] == 0)
			return at;
	}
	return t->entries;
}

bool
hint_table_add(struct hint_table *t, uint64_t hint)
{
	size_t at = entry_of(t, hint);

	if (hint == 0 || at == t->entries)
		return false;
	if (t->hints[at] == 0) {
		t->hints[at] = hint;
		t->where[at] = HINT_NOWHERE;
		t->used++;
	}
	return true;
}

uint64_t *
hint_table_find(const struct hint_table *t, uint64_t hint)
{
	size_t at = entry_of(t, hint);

	return hint != 0 && at < t->entries && t->hints[at] == hint ? &t->where[at] : NULL;
}
