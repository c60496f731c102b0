#include "agent/writeback.h"

#include <errno.h>
#include <fcntl.h>

#include "common/base/num.h"

enum { PIECE_BYTES = 8 << 20 };

static int
range_sync(int fd, uint64_t from, uint64_t to, unsigned flags)
{
	/* Not every kernel and file system has it, and fsync() comes anyway. */
	if (from == to || sync_file_range(fd, (off_t)from, (off_t)(to - from), flags) == 0 ||
		errno == ENOSYS || errno == ESPIPE || errno == EINVAL)
		return 0;
	return -1;
}

int
writeback_add(
	struct writeback *w, int fd, const char *name, uint64_t offset, size_t len, struct err *e)
{
	w->from = w->dirty == 0 ? offset : num_min(w->from, offset);
	w->to = num_max(w->to, offset + len);
	w->dirty += len;
	if (w->dirty < PIECE_BYTES)
		return 0;
	/* Waiting takes the disk's error away from fsync(), so it counts here. */
	if (range_sync(fd, w->sent_from, w->sent_to, SYNC_FILE_RANGE_WAIT_BEFORE) < 0 ||
		range_sync(fd, w->from, w->to, SYNC_FILE_RANGE_WRITE) < 0)
		return err_sys(e, errno, "%s: writing", name);
	*w = (struct writeback){.sent_from = w->from, .sent_to = w->to};
	return 0;
}
