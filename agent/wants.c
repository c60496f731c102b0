#include "agent/wants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"

struct wants {
	uint64_t entries, count;
	uint8_t bits[];
};

int
wants_new(uint64_t entries, struct wants **out, struct err *e)
{
	struct wants *w = calloc(1, sizeof(*w) + num_div_up(entries, 8));

	if (!w)
		return err_sys(e, ENOMEM, "installing");
	w->entries = entries;
	*out = w;
	return 0;
}

int
wants_copy(const struct wants *w, struct wants **out, struct err *e)
{
	if (wants_new(w->entries, out, e) < 0)
		return -1;
	(*out)->count = w->count;
	memcpy((*out)->bits, w->bits, num_div_up(w->entries, 8));
	return 0;
}

void
wants_free(struct wants **w)
{
	free(*w);
	*w = NULL;
}

bool
wants_has(const struct wants *w, uint64_t entry)
{
	return w->bits[entry / 8] >> (entry % 8) & 1;
}

void
wants_add(struct wants *w, uint64_t entry)
{
	w->count += !wants_has(w, entry);
	w->bits[entry / 8] |= (uint8_t)(1U << (entry % 8));
}

void
wants_drop(struct wants *w, uint64_t entry)
{
	w->count -= wants_has(w, entry);
	w->bits[entry / 8] &= (uint8_t) ~(1U << (entry % 8));
}

uint64_t
wants_count(const struct wants *w)
{
	return w->count;
}
