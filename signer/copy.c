#include "signer/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/crypto/random.h"

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

/* The same where it may go away meanwhile. */
static int
is_still(const char *path, uint64_t length, const struct digest *sha256, bool *is, struct err *e)
{
	struct err why = ERR_INIT;

	*is = false;
	if (copy_is(path, length, sha256, is, &why) == 0 || why.errnum == ENOENT)
		return 0;
	return err_set(e, why.class, "%s", why.text);
}

/* Looking first and removing then would remove what came in between: a stop, say. So it is taken
 * away, looked at, and put back. The name is one that sweep() knows. */
int
copy_remove_if(const char *path, uint64_t length, const struct digest *sha256, struct err *e)
{
	char taken[PATH_MAX], tag[17];
	bool is;

	if (is_still(path, length, sha256, &is, e) < 0)
		return -1;
	if (!is)
		return 0;
	random_hex(8, tag);
	if ((size_t)snprintf(taken, sizeof(taken), "%s.%s.part", path, tag) >= sizeof(taken))
		return err_set(e, ERR_LIMIT, "the path %s is too long", path);
	if (rename(path, taken) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "renaming %s", path);
	/* Where there is something newer by now, that counts. */
	if (is_still(taken, length, sha256, &is, NULL) < 0 || !is) {
		if (link(taken, path) < 0 && errno != EEXIST)
			return err_sys(e, errno, "putting %s back", path);
	}
	return file_remove(taken, e);
}
