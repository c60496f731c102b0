#include "signer/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/crypto/random.h"

enum { RANDOM_BYTES = 6 };

int
folder_of(const char *path, char out[PATH_MAX], struct err *e)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 1;

	if (len >= PATH_MAX)
		return err_set(e, ERR_LIMIT, "%.64s...: the path is too long", path);
	if (slash == path)
		len = 1;
	memcpy(out, slash ? path : ".", len);
	out[len] = '\0';
	return 0;
}

/* A name beside path that nothing has yet. */
static int
temporary_name(const char *path, char out[PATH_MAX], struct err *e)
{
	char text[2 * RANDOM_BYTES + 1];
	int len;

	random_hex(RANDOM_BYTES, text);
	len = snprintf(out, PATH_MAX, "%s.%s.tmp", path, text);
	if (len < 0 || len >= PATH_MAX) {
		out[0] = '\0';
		return err_set(e, ERR_LIMIT, "%.64s...: the path is too long", path);
	}
	return 0;
}

/* O_TMPFILE is refused with one of these by file systems, or kernels, that lack it. */
static bool
lacks_nameless(int errnum)
{
	return errnum == EOPNOTSUPP || errnum == EISDIR || errnum == EINVAL;
}

int
scratch_open(const char *dir, int *fd, struct err *e)
{
	char path[PATH_MAX];
	int opened = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (opened < 0 && lacks_nameless(errno)) {
		if (path_join(path, sizeof(path), dir, ".sluice-scratch-XXXXXX", e) < 0)
			return -1;
		opened = mkostemp(path, O_CLOEXEC);
		if (opened >= 0)
			(void)unlink(path);
	}
	if (opened < 0)
		return err_sys(e, errno, "making a temporary file in %s", dir);
	*fd = opened;
	return 0;
}

int
output_begin(const char *path, struct output *out, struct err *e)
{
	struct output o = OUTPUT_INIT;
	char dir[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= PATH_MAX || path[len - 1] == '/')
		return err_set(e, ERR_USAGE, "'%.64s' is no name for a file", path);
	memcpy(o.path, path, len + 1);
	if (folder_of(path, dir, e) < 0)
		return -1;
	o.fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	if (o.fd < 0 && lacks_nameless(errno)) {
		if (temporary_name(path, o.temporary, e) < 0)
			return -1;
		o.fd = open(o.temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	}
	if (o.fd < 0)
		return err_sys(e, errno, "making a file in %s", dir);
	*out = o;
	return 0;
}

/* linkat() cannot replace a file, so the file gets a temporary name and is renamed. */
static int
output_name(struct output *o, struct err *e)
{
	char from[64];

	if (o->temporary[0])
		return 0;
	if (temporary_name(o->path, o->temporary, e) < 0)
		return -1;
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", o->fd);
	if (linkat(AT_FDCWD, from, AT_FDCWD, o->temporary, AT_SYMLINK_FOLLOW) < 0) {
		(void)err_sys(e, errno, "naming %s", o->temporary);
		o->temporary[0] = '\0';
		return -1;
	}
	return 0;
}

int
output_commit(struct output *o, struct err *e)
{
	if (fsync(o->fd) < 0)
		return err_sys(e, errno, "writing %s", o->path);
	if (output_name(o, e) < 0 || file_rename(o->temporary, o->path, e) < 0)
		return -1;
	o->temporary[0] = '\0';
	return 0;
}

void
output_end(struct output *o)
{
	if (o->temporary[0])
		(void)unlink(o->temporary);
	cleanup_fd(&o->fd);
	*o = OUTPUT_INIT;
}
