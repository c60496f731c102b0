#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/audit_job.h"
#include "agent/slot.h"
#include "common/base/cleanup.h"
#include "common/base/num.h"

enum { PANE_BYTES = 8 * CHUNK_BYTES, BLOCK_BYTES = 4096 };

/* A part of the slot in memory, read past the cache: with O_DIRECT where the slot can, which leaves
 * the memory of everybody else alone, too. */
struct pane {
	int fd;
	bool direct;
	uint8_t *data;
	uint64_t start;
	size_t len;
};

static void
pane_free(struct pane *w)
{
	free(w->data);
}

static void
direct_set(struct pane *w, bool direct)
{
	int flags = fcntl(w->fd, F_GETFL);

	flags = direct ? flags | O_DIRECT : flags & ~O_DIRECT;
	w->direct = fcntl(w->fd, F_SETFL, flags) == 0 && direct;
}

/* Reads what there is, up to len. Returns the errno of what failed, else 0. */
static int
pane_load(struct pane *w, uint64_t offset, size_t len)
{
	w->start = offset;
	w->len = 0;
	if (!w->direct)
		(void)posix_fadvise(w->fd, 0, (off_t)(offset + len), POSIX_FADV_DONTNEED);
	while (w->len < len) {
		ssize_t n = pread(w->fd, w->data + w->len, len - w->len, (off_t)(offset + w->len));

		if (n < 0 && errno == EINVAL && w->direct)
			direct_set(w, false);
		else if (n < 0 && errno != EINTR)
			return errno;
		if (n > 0)
			w->len += (size_t)n;
		/* Only the end of a file comes out odd, and there a direct read has no more. */
		if (n == 0 || (w->direct && w->len % BLOCK_BYTES != 0))
			return 0;
	}
	return 0;
}

/* *out is NULL where the slot ends before. One block that cannot be read is to hide no more than
 * its chunk. */
static int
pane_view(struct pane *w, uint64_t offset, size_t len, const uint8_t **out)
{
	int errnum = 0;

	if (offset < w->start || offset + len > w->start + w->len) {
		errnum = pane_load(w, offset, PANE_BYTES);
		if (errnum)
			errnum = pane_load(w, offset, CHUNK_BYTES);
	}
	if (errnum)
		w->len = 0;
	*out = offset + len <= w->start + w->len ? w->data + (offset - w->start) : NULL;
	return errnum;
}

static void
piece_look(struct audit_job *j, struct pane *w, const struct chunk *c, uint64_t offset, size_t len)
{
	const uint8_t *data;
	int errnum = pane_view(w, offset, len, &data);
	char what[128];

	if (errnum) {
		(void)snprintf(what, sizeof(what), "it cannot be read: %s", strerror(errnum));
		audit_tell_chunk(j, NULL, offset, len, what);
	} else if (!data) {
		audit_tell_chunk(j, NULL, offset, len, "the slot ends before it");
	} else if (!audit_piece_is_right(c, data, len)) {
		audit_tell_chunk(j, NULL, offset, len, "it differs");
	}
	audit_looked(j, len);
}

int
audit_image(struct audit_job *j, struct err *e)
{
	CLEANUP(pane_free) struct pane w = {0};
	AUTO_SLOT struct slot slot = SLOT_INIT;

	if (slot_open(j->class, j->side->side, false, &slot, e) < 0)
		return -1;
	w.fd = slot.fd;
	w.data = aligned_alloc(BLOCK_BYTES, PANE_BYTES);
	if (!w.data)
		return err_sys(e, ENOMEM, "the audit");
	direct_set(&w, true);
	for (;;) {
		struct chunk c;
		bool more;

		if (index_next(j->index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		for (uint64_t done = 0; done < c.size;) {
			size_t step = (size_t)num_min(c.size - done, CHUNK_BYTES);

			if (keep_going_ask(j->ears->keep_going, e) < 0)
				return -1;
			piece_look(j, &w, &c, c.offset + done, step);
			done += step;
		}
	}
}
