#include "agent/ranges.h"

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
	r->scouting = true;
	return 0;
}

/* Opens the range that starts with entry's stored bytes and goes on while entries are wanted. Zero
 * runs have no stored bytes and so interrupt nothing. */
static int
range_open(struct ranges *r, uint64_t entry, const struct chunk *c, struct err *e)
{
	uint64_t end = c->stored_offset + c->stored_size, offset;

	if (scout_begin(r, e) < 0)
		return -1;
	while (r->ahead_more && r->ahead_entry < entry) {
		if (scout_next(r, e) < 0)
			return -1;
	}
	while (r->ahead_more &&
		(r->ahead.store == CHUNK_ZERO_RUN || wants_has(r->wanted, r->ahead_entry))) {
		end = r->ahead.stored_offset + r->ahead.stored_size;
		if (scout_next(r, e) < 0)
			return -1;
	}
	if (num_add(r->data_offset, c->stored_offset, &offset, "a range of the bundle", e) < 0)
		return -1;
	r->at = c->stored_offset;
	r->end = end;
	return r->source->open(r->source->arg, offset, end - r->at, e);
}

/* Opens the rest of a range that broke off, unless the last try brought nothing either. */
static int
range_reopen(struct ranges *r, uint64_t *opened_at, struct err *e)
{
	if (r->at == *opened_at)
		return -1;
	*opened_at = r->at;
	return r->source->open(r->source->arg, r->data_offset + r->at, r->end - r->at, e);
}

int
ranges_read(struct ranges *r, uint64_t entry, const struct chunk *c, uint8_t *stored, struct err *e)
{
	uint64_t opened_at = UINT64_MAX;

	if ((c->stored_offset != r->at || r->at >= r->end) && range_open(r, entry, c, e) < 0)
		return -1;
	for (size_t got = 0; got < c->stored_size;) {
		ssize_t n = r->source->read(r->source->arg, stored + got, c->stored_size - got, e);

		if (n == 0) {
			n = -1;
			err_set(e, ERR_NETWORK, "the range ended before its length");
		}
		if (n < 0 && (e->class != ERR_NETWORK || range_reopen(r, &opened_at, e) < 0))
			return -1;
		if (n < 0)
			continue;
		got += (size_t)n;
		r->at += (uint64_t)n;
		*r->fetched += (uint64_t)n;
	}
	return 0;
}
