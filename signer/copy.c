#include "signer/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"

enum { COPY_STEP = 1024 * 1024 };

static int
copy_bytes(int in, const char *name, int out, const char *path, struct digest_state *hash,
	uint64_t *length, struct err *e)
{
	AUTO_FREE uint8_t *piece = malloc(COPY_STEP);
	uint64_t done = 0;
	ssize_t n;

	if (!piece)
		return err_sys(e, ENOMEM, "copying %s", name);
	if (lseek(in, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "reading %s", name);
	while ((n = file_read_some(in, name, piece, COPY_STEP, e)) > 0) {
		digest_add(hash, piece, (size_t)n);
		if (file_write_full(out, path, piece, (size_t)n, e) < 0)
			return -1;
		done += (uint64_t)n;
	}
	if (n < 0)
		return -1;
	if (fsync(out) < 0)
		return err_sys(e, errno, "syncing %s", path);
	*length = done;
	return 0;
}

int
copy_hashed(int fd, const char *name, const char *path, uint64_t *length, struct digest *sha256,
	struct err *e)
{
	AUTO_CLOSE int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct digest_state *hash = NULL;
	uint64_t copied = 0;

	if (out < 0)
		return err_sys(e, errno, "creating %s", path);
	if (digest_begin(&hash, e) < 0 || copy_bytes(fd, name, out, path, hash, &copied, e) < 0) {
		digest_abandon(&hash);
		(void)unlink(path);
		return -1;
	}
	*sha256 = digest_end(&hash);
	*length = copied;
	return 0;
}

int
copy_is(const char *path, uint64_t length, const struct digest *sha256, bool *is, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct digest found;
	uint64_t size;

	*is = false;
	if (!file_exists(path))
		return 0;
	if (file_open_regular(path, &fd, e) < 0 || file_size(fd, path, &size, e) < 0)
		return -1;
	if (size != length)
		return 0;
	if (digest_fd(fd, path, 0, length, &found, e) < 0)
		return -1;
	*is = digest_equal(&found, sha256);
	return 0;
}
