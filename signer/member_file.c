#include "signer/member_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "signer/output.h"

enum { PENDING_BYTES = 256 * 1024 };

static const char name[] = "a temporary file";

void
member_file_free(struct member_file *f)
{
	cleanup_fd(&f->fd);
	digest_abandon(&f->sum);
	free(f->pending);
	*f = MEMBER_FILE_INIT;
}

static struct member_file
member_file_take(struct member_file *f)
{
	struct member_file taken = *f;

	*f = MEMBER_FILE_INIT;
	return taken;
}

int
member_file_open(const char *scratch, struct member_file *out, struct err *e)
{
	AUTO_MEMBER_FILE struct member_file f = MEMBER_FILE_INIT;

	f.pending = malloc(PENDING_BYTES);
	if (!f.pending)
		return err_sys(e, ENOMEM, "packing");
	if (scratch_open(scratch, &f.fd, e) < 0 || digest_begin(&f.sum, e) < 0)
		return -1;
	*out = member_file_take(&f);
	return 0;
}

static int
flush(struct member_file *f, struct err *e)
{
	if (file_write_full(f->fd, name, f->pending, f->used, e) < 0)
		return -1;
	digest_add(f->sum, f->pending, f->used);
	f->used = 0;
	return 0;
}

int
member_file_add(struct member_file *f, const void *data, size_t len, struct err *e)
{
	const uint8_t *from = data;

	while (len > 0) {
		size_t step = (size_t)num_min(len, PENDING_BYTES - f->used);

		memcpy(f->pending + f->used, from, step);
		f->used += step;
		f->size += step;
		from += step;
		len -= step;
		if (f->used == PENDING_BYTES && flush(f, e) < 0)
			return -1;
	}
	return 0;
}

int
member_file_end(struct member_file *f, struct member *out, int *fd, struct err *e)
{
	if (flush(f, e) < 0)
		return -1;
	out->present = true;
	out->size = f->size;
	out->digest = digest_end(&f->sum);
	*fd = take_fd(&f->fd);
	return 0;
}
