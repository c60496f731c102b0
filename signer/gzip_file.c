#include "signer/gzip_file.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/file.h"
#include "common/format/codec.h"

enum { INPUT_BYTES = 256 * 1024 };

struct gzip_file {
	int fd;
	const char *name;
	struct gunzip *gunzip;
	struct span left; /* of input */
	uint64_t done;
	uint8_t input[INPUT_BYTES];
};

void
gzip_file_close(struct gzip_file **f)
{
	if (!*f)
		return;
	gunzip_free(&(*f)->gunzip);
	free(*f);
	*f = NULL;
}

int
gzip_file_is(int fd, const char *name, bool *yes, struct err *e)
{
	uint8_t magic[2] = {0, 0};
	ssize_t n = pread(fd, magic, sizeof(magic), 0);

	if (n < 0)
		return err_sys(e, errno, "reading %s", name);
	*yes = magic[0] == 0x1f && magic[1] == 0x8b;
	return 0;
}

int
gzip_file_open(int fd, const char *name, struct gzip_file **out, struct err *e)
{
	AUTO_GZIP_FILE struct gzip_file *f = calloc(1, sizeof(*f));

	if (!f)
		return err_sys(e, ENOMEM, "reading %s", name);
	f->fd = fd;
	f->name = name;
	if (gunzip_new(&f->gunzip, e) < 0)
		return -1;
	*out = TAKE_PTR(f);
	return 0;
}

static int
fill(struct gzip_file *f, struct err *e)
{
	ssize_t n;

	if (f->left.len > 0)
		return 0;
	n = file_read_some(f->fd, f->name, f->input, sizeof(f->input), e);
	if (n < 0)
		return -1;
	f->left = (struct span){f->input, (size_t)n};
	f->done += (uint64_t)n;
	return 0;
}

int
gzip_file_read(struct gzip_file *f, uint8_t *data, size_t len, size_t *got, struct err *e)
{
	size_t have = 0;

	while (have < len) {
		size_t made = 0, before;

		if (fill(f, e) < 0)
			return -1;
		before = f->left.len;
		if (gunzip_step(f->gunzip, &f->left, data + have, len - have, &made, e) < 0)
			return err_context(e, "%s", f->name);
		have += made;
		if (made > 0 || f->left.len < before)
			continue;
		if (gunzip_end(f->gunzip, e) < 0)
			return err_context(e, "%s", f->name);
		break;
	}
	*got = have;
	return 0;
}

uint64_t
gzip_file_done(const struct gzip_file *f)
{
	return f->done;
}
