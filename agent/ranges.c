#include "agent/ranges.h"

#include <string.h>

#include "common/base/num.h"

static int
scout_next(struct ranges *r, struct err *e)
{
	r->ahead_entry++;
	return index_next(r->scout, &r->ahead, &r->ahead_more, e);
}

static int
scout_begin(struct ranges *r, struct err *e)
{
	if (r->scouting)
		return 0;
	if (index_rewind(r->scout, e) < 0 || index_next(r->scout, &r->ahead, &r->ahead_more, e) < 0)
		return -1;
	r->ahead_entry = 0;
	r->scouting = true;
	return 0;
}

static uint64_t
end_of(const struct chunk *c)
{
	return c->stored_offset + c->stored_size;
}

/* Finds the next range from entry on. *found false: there is none. */
static int
plan_one(struct ranges *r, uint64_t entry, struct range *out, bool *found, struct err *e)
{
	struct range next = {0};

	if (scout_begin(r, e) < 0)
		return -1;
	*found = false;
	while (r->ahead_more &&
		(!*found || r->ahead.stored_offset <= next.end + RANGES_GAP_BYTES)) {
		/* Zero runs have no stored bytes and so interrupt nothing. */
		if (r->ahead.store != CHUNK_ZERO_RUN && r->ahead_entry >= entry &&
			wants_has(r->wanted, r->ahead_entry)) {
			next.at = *found ? next.at : r->ahead.stored_offset;
			next.end = end_of(&r->ahead);
			*found = true;
		}
		if (scout_next(r, e) < 0)
			return -1;
	}
	if (*found)
		*out = next;
	return 0;
}

/* Plans as far as the source wants to know. */
static int
look_ahead(struct ranges *r, uint64_t entry, struct err *e)
{
	const struct source *s = r->source;
	bool found = true;

	while (s->expect) {
		const struct range *next = &r->planned[r->named];

		if (r->named == RANGES_AHEAD)
			return 0;
		if (r->named == r->planned_count) {
			if (plan_one(r, entry, &r->planned[r->named], &found, e) < 0)
				return -1;
			if (!found)
				return 0;
			r->planned_count++;
		}
		if (!s->expect(s->arg, r->data_offset + next->at, next->end - next->at))
			return 0;
		r->named++;
	}
	return 0;
}

static bool
range_has(const struct range *range, const struct chunk *c)
{
	return c->stored_offset >= range->at && end_of(c) <= range->end;
}

static void
planned_drop(struct ranges *r)
{
	r->planned_count--;
	r->named -= r->named > 0;
	memmove(r->planned, r->planned + 1, r->planned_count * sizeof(*r->planned));
}

/* The range that c stands in. */
static int
range_find(
	struct ranges *r, uint64_t entry, const struct chunk *c, struct range *out, struct err *e)
{
	bool found = false;

	while (r->planned_count > 0 && r->planned[0].end <= c->stored_offset)
		planned_drop(r);
	if (r->planned_count > 0 && range_has(&r->planned[0], c)) {
		*out = r->planned[0];
		planned_drop(r);
		return 0;
	}
	if (r->planned_count == 0 && wants_has(r->wanted, entry) &&
		plan_one(r, entry, out, &found, e) < 0)
		return -1;
	/* What was passed over, or came to be wanted behind the scout's back. */
	if (!found || !range_has(out, c)) {
		if (found)
			r->planned[r->planned_count++] = *out;
		*out = (struct range){c->stored_offset, end_of(c)};
	}
	return 0;
}

static int
range_open(struct ranges *r, struct range next, struct err *e)
{
	uint64_t offset;

	if (num_add(r->data_offset, next.at, &offset, "a range of the bundle", e) < 0)
		return -1;
	r->open = next;
	return r->source->open(r->source->arg, offset, next.end - next.at, e);
}

/* The rest of a range that broke off, unless the last try brought nothing either. */
static int
range_reopen(struct ranges *r, uint64_t *opened_at, struct err *e)
{
	if (r->open.at == *opened_at)
		return -1;
	*opened_at = r->open.at;
	return range_open(r, r->open, e);
}

/* The next len bytes of the open range. */
static int
range_read(struct ranges *r, uint8_t *data, size_t len, struct err *e)
{
	const struct source *s = r->source;
	uint64_t opened_at = UINT64_MAX;

	for (size_t got = 0; got < len;) {
		ssize_t n = s->read(s->arg, data + got, len - got, e);

		if (n == 0) {
			n = -1;
			err_set(e, ERR_NETWORK, "the range ended before its length");
		}
		if (n < 0 && (e->class != ERR_NETWORK || range_reopen(r, &opened_at, e) < 0))
			return -1;
		if (n < 0)
			continue;
		got += (size_t)n;
		r->open.at += (uint64_t)n;
		*r->fetched += (uint64_t)n;
	}
	return 0;
}

/* Goes to where c stands: in the open range behind a gap, or in another one. */
static int
range_seek(struct ranges *r, uint64_t entry, const struct chunk *c, struct err *e)
{
	uint8_t gap[RANGES_GAP_BYTES];
	struct range next;

	if (range_has(&r->open, c)) {
		if (c->stored_offset - r->open.at <= sizeof(gap))
			return range_read(r, gap, (size_t)(c->stored_offset - r->open.at), e);
		return range_open(r, (struct range){c->stored_offset, r->open.end}, e);
	}
	if (range_find(r, entry, c, &next, e) < 0)
		return -1;
	next.at = c->stored_offset;
	return range_open(r, next, e);
}

int
ranges_read(struct ranges *r, uint64_t entry, const struct chunk *c, uint8_t *stored, struct err *e)
{
	if (range_seek(r, entry, c, e) < 0 || look_ahead(r, entry, e) < 0)
		return -1;
	return range_read(r, stored, c->stored_size, e);
}
