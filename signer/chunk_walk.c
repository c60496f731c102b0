#include "signer/chunk_walk.h"

#include "common/base/file.h"
#include "common/format/bundle.h"

void
chunk_walk_end(struct chunk_walk *w)
{
	index_close(&w->index);
}

int
chunk_walk_begin(const struct bundle_file *b, size_t payload, struct chunk_walk *out, struct err *e)
{
	struct chunk_walk w = {.b = b, .payload = payload, .pages = bundle_file_pages(b, payload)};

	if (bundle_check_member(b->fd, b->path, &b->layout, b->manifest, payload, MEMBER_INDEX, e) <
			0 ||
		bundle_check_member(
			b->fd, b->path, &b->layout, b->manifest, payload, MEMBER_SEALS, e) < 0 ||
		index_open(b->fd, b->path, b->layout.offset[payload][MEMBER_INDEX],
			&b->manifest->payloads[payload], &w.index, e) < 0)
		return -1;
	*out = w;
	return 0;
}

int
chunk_walk_next(struct chunk_walk *w, struct chunk *out, bool *more, struct err *e)
{
	if (index_next(w->index, out, more, e) < 0)
		return -1;
	if (*more && pages_find(&w->pages, w->next, out, e) < 0)
		return err_context(e, "%s", w->b->path);
	w->next += *more;
	return 0;
}

int
chunk_walk_again(struct chunk_walk *w, struct err *e)
{
	w->next = 0;
	return index_rewind(w->index, e);
}

int
chunk_walk_cuts(const struct chunk_walk *w, const struct chunk *c, struct cuts *out, struct err *e)
{
	const uint64_t *offset = w->b->layout.offset[w->payload];
	uint64_t entry = w->next - 1;
	uint8_t record[CUTS_BYTES];

	out->count = 0;
	if (!w->b->manifest->payloads[w->payload].members[MEMBER_CUTS].present)
		return 0;
	if (file_pread_full(w->b->fd, w->b->path, record, sizeof(record),
		    offset[MEMBER_CUTS] + entry * CUTS_BYTES, e) < 0)
		return -1;
	return cuts_take(record, &c->cuts, c, out, e) < 0 ? err_context(e, "%s", w->b->path) : 0;
}
