#include "agent/source.h"

#include <errno.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"

enum { PIECE_BYTES = 16 * 1024 };

static int
file_source_open(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	struct file_source *f = arg;
	uint64_t end;

	if (num_add(offset, len, &end, "a range of the bundle", e) < 0)
		return -1;
	if (end > INT64_MAX)
		return err_set(e, ERR_LIMIT, "a range of the bundle ends past 8 EiB");
	f->offset = offset;
	f->left = len;
	return 0;
}

static ssize_t
file_source_read(void *arg, void *data, size_t len, struct err *e)
{
	struct file_source *f = arg;
	size_t step = (size_t)num_min(len, f->left);
	ssize_t n;

	if (step == 0)
		return 0;
	do {
		n = pread(f->fd, data, step, (off_t)f->offset);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "reading %s", f->name);
	if (n == 0)
		return err_set(e, ERR_MALFORMED, "%s ends at byte %llu, inside its data", f->name,
			(unsigned long long)f->offset);
	f->offset += (uint64_t)n;
	f->left -= (uint64_t)n;
	return n;
}

static void
file_source_close(void *arg)
{
	struct file_source *f = arg;

	f->left = 0;
}

struct source
source_file(struct file_source *f)
{
	return (struct source){.arg = f,
		.open = file_source_open,
		.read = file_source_read,
		.close = file_source_close};
}

int
source_copy(const struct source *s, uint64_t len, int fd, const char *name, struct err *e)
{
	uint8_t piece[PIECE_BYTES];
	uint64_t at = 0;
	ssize_t n;

	if (s->open(s->arg, 0, len, e) < 0)
		return -1;
	while ((n = s->read(s->arg, piece, sizeof(piece), e)) > 0) {
		if (file_pwrite_full(fd, name, piece, (size_t)n, at, e) < 0)
			return -1;
		at += (uint64_t)n;
	}
	return n < 0 ? -1 : 0;
}
