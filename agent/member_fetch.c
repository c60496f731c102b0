#include "agent/member_fetch.h"

#include "agent/ranges.h"
#include "common/base/file.h"
#include "common/base/num.h"

enum { PIECE_BYTES = 4096 };

static int
range_open(struct member_fetch *f, struct err *e)
{
	uint64_t offset;

	if (num_add(f->offset, f->start, &offset, "a member of the bundle", e) < 0)
		return -1;
	return f->source->open(f->source->arg, offset, f->end - f->start, e);
}

/* A range that broke off is opened again as long as each try brings something. */
static int
range_bring(struct member_fetch *f, struct err *e)
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
		if (file_pwrite_full(
			    f->fd, "records of the bundle", piece, (size_t)n, f->start, e) < 0)
			return -1;
		f->start += (uint64_t)n;
		f->fetched += (uint64_t)n;
	}
	return 0;
}

int
member_fetch_end(struct member_fetch *f, struct err *e)
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
member_fetch_add(struct member_fetch *f, uint64_t start, uint64_t size, struct err *e)
{
	if (f->end > f->start && start <= f->end + RANGES_GAP_BYTES) {
		f->end = start + size;
		return 0;
	}
	if (member_fetch_end(f, e) < 0)
		return -1;
	f->start = start;
	f->end = start + size;
	return 0;
}
