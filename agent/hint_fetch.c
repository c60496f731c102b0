#include "agent/hint_fetch.h"

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/hints.h"

/* Hints are few: here it is round trips that a range more costs. */
enum { GAP_BYTES = 2048, PIECE_BYTES = 4096 };

static int
range_open(struct hint_fetch *f, struct err *e)
{
	uint64_t offset;

	if (num_add(f->offset, f->start, &offset, "the hints of the bundle", e) < 0)
		return -1;
	return f->source->open(f->source->arg, offset, f->end - f->start, e);
}

/* A range that broke off is opened again as long as each try brings something. */
static int
range_bring(struct hint_fetch *f, struct err *e)
{
	uint64_t opened_at = UINT64_MAX;
	uint8_t piece[PIECE_BYTES];

	if (range_open(f, e) < 0)
		return -1;
	while (f->start < f->end) {
		size_t len = (size_t)num_min(f->end - f->start, sizeof(piece));
		ssize_t n = f->source->read(f->source->arg, piece, len, e);

		if (n == 0) {
			n = -1;
			err_set(e, ERR_NETWORK, "the range ended before its length");
		}
		if (n < 0) {
			if (e->class != ERR_NETWORK || f->start == opened_at)
				return -1;
			opened_at = f->start;
			if (range_open(f, e) < 0)
				return -1;
			continue;
		}
		if (file_pwrite_full(f->fd, "the hints", piece, (size_t)n, f->start, e) < 0)
			return -1;
		f->start += (uint64_t)n;
		f->fetched += (uint64_t)n;
	}
	return 0;
}

int
hint_fetch_end(struct hint_fetch *f, struct err *e)
{
	int rc = 0;

	if (f->end > f->start) {
		rc = keep_going_ask(f->keep_going, e) < 0 ? -1 : range_bring(f, e);
		f->source->close(f->source->arg);
	}
	f->start = f->end = 0;
	return rc;
}

int
hint_fetch_add(struct hint_fetch *f, uint64_t plain_offset, uint64_t plain_size, struct err *e)
{
	uint64_t start = plain_offset / HINT_BLOCK_BYTES * HINT_BYTES,
		 end = start + hints_size(plain_size);

	if (f->end > f->start && start <= f->end + GAP_BYTES) {
		f->end = end;
		return 0;
	}
	if (hint_fetch_end(f, e) < 0)
		return -1;
	f->start = start;
	f->end = end;
	return 0;
}
