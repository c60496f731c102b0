#include "agent/ranges.h"

#include <string.h>

#include "common/base/num.h"

struct range
range_of(const struct chunk *c)
{
	return (struct range){c->stored_offset, c->stored_offset + c->stored_size};
}

/* Runs of zeros have no stored bytes. */
int
range_feed_next(void *feed, struct range *out, bool *more, struct err *e)
{
	struct range_feed *f = feed;

	if (!f->begun && index_rewind(f->scout, e) < 0)
		return -1;
	f->begun = true;
	for (;;) {
		struct chunk c;

		if (index_next(f->scout, &c, more, e) < 0)
			return -1;
		if (!*more)
			return 0;
		if (!wants_has(f->wanted, f->entry++) || c.store == CHUNK_ZERO_RUN)
			continue;
		if (stored_find(f->stored, f->entry - 1, &c, e) < 0)
			return -1;
		*out = range_of(&c);
		return 0;
	}
}

/* Finds the next range from a byte on. *found false: there is none. What goes back, as pages that
 * contradict each other may have it, is no part of it. */
static int
plan_one(struct ranges *r, uint64_t from, struct range *out, bool *found, struct err *e)
{
	struct range next = {0};

	if (!r->scouting && r->next(r->arg, &r->ahead, &r->ahead_more, e) < 0)
		return -1;
	r->scouting = true;
	*found = false;
	while (r->ahead_more && (!*found || (r->ahead.at >= next.end &&
						    r->ahead.at <= next.end + RANGES_GAP_BYTES))) {
		if (r->ahead.at >= from) {
			next.at = *found ? next.at : r->ahead.at;
			next.end = r->ahead.end;
			*found = true;
		}
		if (r->next(r->arg, &r->ahead, &r->ahead_more, e) < 0)
			return -1;
	}
	if (*found)
		*out = next;
	return 0;
}

/* Plans as far as the source wants to know. */
static int
look_ahead(struct ranges *r, uint64_t from, struct err *e)
{
	const struct source *s = r->source;
	bool found = true;

	while (s->expect) {
		const struct range *next = &r->planned[r->named];

		if (r->named == RANGES_AHEAD)
			return 0;
		if (r->named == r->planned_count) {
			if (plan_one(r, from, &r->planned[r->named], &found, e) < 0)
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
range_has(const struct range *range, struct range span)
{
	return span.at >= range->at && span.end <= range->end;
}

static void
planned_drop(struct ranges *r)
{
	r->planned_count--;
	r->named -= r->named > 0;
	memmove(r->planned, r->planned + 1, r->planned_count * sizeof(*r->planned));
}

/* The range that a span stands in. */
static int
range_find(struct ranges *r, struct range span, struct range *out, struct err *e)
{
	bool found = false;

	while (r->planned_count > 0 && r->planned[0].end <= span.at)
		planned_drop(r);
	if (r->planned_count > 0 && range_has(&r->planned[0], span)) {
		*out = r->planned[0];
		planned_drop(r);
		return 0;
	}
	if (r->planned_count == 0 && plan_one(r, span.at, out, &found, e) < 0)
		return -1;
	/* What was passed over, or came to be wanted behind next()'s back. */
	if (!found || !range_has(out, span)) {
		if (found)
			r->planned[r->planned_count++] = *out;
		*out = span;
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

/* Goes to where a span stands: in the open range behind a gap, or in another one. */
static int
range_seek(struct ranges *r, struct range span, struct err *e)
{
	uint8_t gap[RANGES_GAP_BYTES];
	struct range next;

	if (range_has(&r->open, span)) {
		if (span.at - r->open.at <= sizeof(gap))
			return range_read(r, gap, (size_t)(span.at - r->open.at), e);
		return range_open(r, (struct range){span.at, r->open.end}, e);
	}
	if (range_find(r, span, &next, e) < 0)
		return -1;
	next.at = span.at;
	return range_open(r, next, e);
}

int
ranges_read(struct ranges *r, struct range span, uint8_t *stored, struct err *e)
{
	if (span.at >= span.end)
		return err_set(e, ERR_MALFORMED, "an empty range of the bundle");
	if (range_seek(r, span, e) < 0 || look_ahead(r, span.at, e) < 0)
		return -1;
	return range_read(r, stored, (size_t)(span.end - span.at), e);
}
