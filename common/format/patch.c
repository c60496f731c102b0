/* Applying patches. */
#include "common/format/patch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/format/inflow.h"
#include "common/format/varint.h"

/* Steps are short, and mostly near each other: what is read of the old bytes is kept in pages, each
 * at one place. */
enum { PAGE_BYTES = 16 * 1024, PAGES = 16 };

struct page {
	uint64_t number;
	size_t len; /* 0: nothing is in it */
};

/* A stream's stored bytes, which are all there. */
struct stored_stream {
	struct span left;
	struct inflow *flow;
	uint64_t plain, packed; /* bytes */
};

struct patch {
	struct stored_stream streams[PATCH_STREAMS];
	struct patch_old old;
	uint64_t out_left;
	size_t front; /* bytes before the streams */
	/* The step that is being done. */
	uint64_t old_at, taken, inserted;
	/* Of the taken bytes: so many that are the same, and so many behind them that differ. */
	uint64_t same, differ;
	struct page pages[PAGES];
	uint8_t cache[PAGES][PAGE_BYTES];
};

static int
malformed(struct err *e, const char *what)
{
	return err_set(e, ERR_MALFORMED, "the patch %s", what);
}

static int
stored_give(void *arg, struct span *out, struct err *e)
{
	struct stored_stream *s = arg;

	(void)e;
	*out = s->left;
	s->left.len = 0;
	return 0;
}

int
patch_new(struct patch **out, struct err *e)
{
	AUTO_PATCH struct patch *p = calloc(1, sizeof(*p));

	if (!p)
		return err_sys(e, ENOMEM, "applying patches");
	for (size_t i = 0; i < PATCH_STREAMS; i++) {
		if (inflow_new(INFLOW_BARE, &p->streams[i].flow, e) < 0)
			return -1;
	}
	*out = TAKE_PTR(p);
	return 0;
}

void
patch_free(struct patch **p)
{
	if (!*p)
		return;
	for (size_t i = 0; i < PATCH_STREAMS; i++)
		inflow_free(&(*p)->streams[i].flow);
	free(*p);
	*p = NULL;
}

static int
front_number(struct span *front, uint64_t *out, struct err *e)
{
	struct varint v = {0};
	bool more = true;

	while (more) {
		if (front->len == 0 || !varint_take(&v, front->data[0], &more))
			return malformed(e, "does not begin with the sizes of its streams");
		front->data++;
		front->len--;
	}
	*out = v.value;
	return 0;
}

/* Sizes are all that is known of what a stream holds before it is read. */
static int
streams_begin(struct patch *p, struct span stored, struct err *e)
{
	uint64_t plain[PATCH_STREAMS], packed[PATCH_STREAMS];
	size_t whole = stored.len;

	for (size_t i = 0; i < PATCH_STREAMS; i++) {
		if (front_number(&stored, &plain[i], e) < 0 ||
			front_number(&stored, &packed[i], e) < 0)
			return -1;
	}
	p->front = whole - stored.len;
	for (size_t i = 0; i < PATCH_STREAMS; i++) {
		struct stored_stream *s = &p->streams[i];
		struct inflow_feed feed = {stored_give, s};

		if (packed[i] > stored.len || packed[i] > plain[i])
			return malformed(e, "has a stream that is longer than it may be");
		s->left = span_of(stored.data, (size_t)packed[i]);
		s->plain = plain[i];
		s->packed = packed[i];
		stored.data += packed[i];
		stored.len -= (size_t)packed[i];
		if (inflow_begin(s->flow, &feed, packed[i] < plain[i], plain[i], e) < 0)
			return -1;
	}
	return stored.len == 0 ? 0 : malformed(e, "goes on behind its streams");
}

int
patch_begin(struct patch *p, struct span stored, const struct patch_old *old, uint64_t out_bytes,
	struct err *e)
{
	if (stored.len > PATCH_STORED_MAX || out_bytes > PATCH_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "a patch of %zu bytes that makes %llu is too large",
			stored.len, (unsigned long long)out_bytes);
	p->old = *old;
	p->out_left = out_bytes;
	p->old_at = p->taken = p->inserted = p->same = p->differ = 0;
	memset(p->pages, 0, sizeof(p->pages));
	return streams_begin(p, stored, e);
}

/* The distance may lead anywhere; what is taken has to lie in the old bytes. */
static int
step_begin(struct patch *p, struct err *e)
{
	struct inflow *f = p->streams[PATCH_STEPS].flow;
	uint64_t distance, taken, inserted;

	if (inflow_varint(f, &distance, e) < 0 || inflow_varint(f, &taken, e) < 0 ||
		inflow_varint(f, &inserted, e) < 0)
		return -1;
	p->old_at += (uint64_t)zigzag_unfold(distance);
	if (taken > p->out_left || inserted > p->out_left - taken || taken + inserted == 0)
		return malformed(e, "has a step that makes more than there is to make, or nothing");
	if (taken > 0 && (p->old_at > p->old.size || taken > p->old.size - p->old_at))
		return malformed(e, "takes bytes where the old ones have ended");
	p->taken = taken;
	p->inserted = inserted;
	return 0;
}

/* The page that has this old byte. */
static int
page_have(struct patch *p, uint64_t at, const uint8_t **data, size_t *len, struct err *e)
{
	uint64_t number = at / PAGE_BYTES, begins = number * PAGE_BYTES;
	struct page *page = &p->pages[number % PAGES];
	uint8_t *bytes = p->cache[number % PAGES];

	if (page->len == 0 || page->number != number) {
		size_t want = (size_t)num_min(PAGE_BYTES, p->old.size - begins);

		page->len = 0;
		if (p->old.read(p->old.arg, bytes, want, begins, e) < 0)
			return -1;
		*page = (struct page){number, want};
	}
	*data = bytes + (at - begins);
	*len = page->len - (size_t)(at - begins);
	return 0;
}

static int
old_take(struct patch *p, uint8_t *out, size_t len, struct err *e)
{
	while (len > 0) {
		const uint8_t *data;
		size_t n;

		if (page_have(p, p->old_at, &data, &n, e) < 0)
			return -1;
		n = (size_t)num_min(n, len);
		memcpy(out, data, n);
		p->old_at += n;
		out += n;
		len -= n;
	}
	return 0;
}

/* Behind the last pair all is the same. */
static int
gap_begin(struct patch *p, struct err *e)
{
	struct inflow *f = p->streams[PATCH_GAPS].flow;

	if (inflow_left(f) == 0) {
		p->same = UINT64_MAX;
		return 0;
	}
	if (inflow_varint(f, &p->same, e) < 0 || inflow_varint(f, &p->differ, e) < 0)
		return -1;
	return p->differ > 0 ? 0 : malformed(e, "has a gap behind which nothing differs");
}

static int
differ_some(struct patch *p, uint8_t *out, size_t len, struct err *e)
{
	uint8_t diffs[256];

	for (size_t n; len > 0; out += n, len -= n) {
		n = (size_t)num_min(len, sizeof(diffs));
		if (inflow_read(p->streams[PATCH_DIFFS].flow, diffs, n, e) < 0)
			return -1;
		for (size_t i = 0; i < n; i++)
			out[i] = (uint8_t)(out[i] + diffs[i]);
	}
	return 0;
}

/* Old bytes become new ones. */
static int
diffs_add(struct patch *p, uint8_t *out, size_t len, struct err *e)
{
	while (len > 0) {
		size_t n;

		if (p->same == 0 && p->differ == 0 && gap_begin(p, e) < 0)
			return -1;
		n = (size_t)num_min(p->same, len);
		p->same -= n;
		out += n;
		len -= n;
		n = (size_t)num_min(p->differ, len);
		if (p->same > 0 || n == 0)
			continue;
		if (differ_some(p, out, n, e) < 0)
			return -1;
		p->differ -= n;
		out += n;
		len -= n;
	}
	return 0;
}

int
patch_take(struct patch *p, uint8_t *out, size_t len, struct err *e)
{
	if (len > p->out_left)
		return malformed(e, "makes fewer bytes than are wanted of it");
	while (len > 0) {
		size_t n;

		if (p->taken == 0 && p->inserted == 0 && step_begin(p, e) < 0)
			return -1;
		n = (size_t)num_min(p->taken, len);
		if (n > 0 && (old_take(p, out, n, e) < 0 || diffs_add(p, out, n, e) < 0))
			return -1;
		p->taken -= n;
		if (n == 0) {
			n = (size_t)num_min(p->inserted, len);
			if (inflow_read(p->streams[PATCH_INSERTS].flow, out, n, e) < 0)
				return -1;
			p->inserted -= n;
		}
		p->out_left -= n;
		out += n;
		len -= n;
	}
	return 0;
}

uint64_t
patch_spent(const struct patch *p)
{
	uint64_t spent = p->front;

	for (size_t i = 0; i < PATCH_STREAMS; i++) {
		const struct stored_stream *s = &p->streams[i];

		if (s->plain > 0)
			spent += (s->plain - inflow_left(s->flow)) * s->packed / s->plain;
	}
	return spent;
}

int
patch_end(struct patch *p, struct err *e)
{
	if (p->out_left > 0 || p->taken > 0 || p->inserted > 0 || p->differ > 0)
		return malformed(e, "has more to make than is wanted of it");
	for (size_t i = 0; i < PATCH_STREAMS; i++) {
		if (inflow_end(p->streams[i].flow, e) < 0)
			return -1;
	}
	return 0;
}
