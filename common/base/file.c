#include "common/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "common/limits.h"

enum { READ_STEP = 64 * 1024 };

int
file_open_read(const char *path, int *fd, struct err *e)
{
	int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (opened < 0)
		return err_sys(e, errno, "opening %s", path);
	*fd = opened;
	return 0;
}

int
file_open_regular(const char *path, int *fd, struct err *e)
{
	AUTO_CLOSE int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (opened < 0)
		return err_sys(e, errno, "opening %s", path);
	if (fstat(opened, &st) < 0)
		return err_sys(e, errno, "looking at %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_REFUSED, "%s is not a regular file", path);
	*fd = take_fd(&opened);
	return 0;
}

/* A pipe that has no name: who made it has both its ends, so reading it comes to an end. */
static bool
is_nameless_pipe(int fd, const struct stat *st)
{
	struct statfs fs;

	return S_ISFIFO(st->st_mode) && fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC;
}

int
file_open_given(const char *path, int *fd, struct err *e)
{
	AUTO_CLOSE int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (opened < 0)
		return err_sys(e, errno, "opening %s", path);
	if (fstat(opened, &st) < 0)
		return err_sys(e, errno, "looking at %s", path);
	if (!S_ISREG(st.st_mode) && !is_nameless_pipe(opened, &st))
		return err_set(e, ERR_REFUSED, "%s is %s; give a file, or a shell's <(COMMAND)",
			path,
			S_ISDIR(st.st_mode)    ? "a folder"
			: S_ISFIFO(st.st_mode) ? "a named pipe, which may never have a writer"
					       : "no regular file");
	if (fcntl(opened, F_SETFL, 0) < 0)
		return err_sys(e, errno, "opening %s", path);
	*fd = take_fd(&opened);
	return 0;
}

int
file_open_secret(const char *path, int *fd, struct err *e)
{
	AUTO_CLOSE int opened = -1;
	struct stat st;

	if (file_open_given(path, &opened, e) < 0)
		return -1;
	if (fstat(opened, &st) < 0)
		return err_sys(e, errno, "looking at %s", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(e, ERR_REFUSED,
			"%s can be read or written by others (mode %03o); run `chmod 600 %s`", path,
			(unsigned)(st.st_mode & 0777), path);
	*fd = take_fd(&opened);
	return 0;
}

ssize_t
file_read_some(int fd, const char *name, void *data, size_t len, struct err *e)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, (char *)data + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "reading %s", name);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

static int
read_to_end(int fd, const char *name, struct buf *out, struct err *e)
{
	for (;;) {
		size_t room = out->max - out->len;
		/* One byte more than may be, so that a file that is too long is seen to be. */
		size_t step = room < READ_STEP ? room + 1 : READ_STEP;
		uint8_t piece[READ_STEP];
		ssize_t n = file_read_some(fd, name, piece, step, e);

		if (n < 0)
			return -1;
		if (buf_append(out, piece, (size_t)n, e) < 0)
			return err_context(e, "%s", name);
		if ((size_t)n < step)
			return buf_reserve(out, 0, e);
	}
}

int
file_read_fd(int fd, const char *name, struct buf *out, struct err *e)
{
	size_t before = out->len;

	if (read_to_end(fd, name, out, e) < 0) {
		buf_truncate(out, before);
		return -1;
	}
	return 0;
}

int
file_read(const char *path, struct buf *out, struct err *e)
{
	AUTO_CLOSE int fd = -1;

	if (file_open_read(path, &fd, e) < 0)
		return -1;
	return file_read_fd(fd, path, out, e);
}

int
file_read_regular(const char *path, struct buf *out, struct err *e)
{
	AUTO_CLOSE int fd = -1;

	if (file_open_regular(path, &fd, e) < 0)
		return -1;
	return file_read_fd(fd, path, out, e);
}

int
file_pread_full(int fd, const char *name, void *data, size_t len, uint64_t offset, struct err *e)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, (char *)data + got, len - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "reading %s", name);
		if (n == 0)
			return err_set(e, ERR_MALFORMED,
				"%s ends at byte %llu, where more was expected", name,
				(unsigned long long)(offset + got));
		got += (size_t)n;
	}
	return 0;
}

int
file_pwrite_full(
	int fd, const char *name, const void *data, size_t len, uint64_t offset, struct err *e)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n =
			pwrite(fd, (const char *)data + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "writing %s", name);
		if (n == 0)
			return err_sys(e, ENOSPC, "writing %s", name);
		done += (size_t)n;
	}
	return 0;
}

int
file_write_full(int fd, const char *name, const void *data, size_t len, struct err *e)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, (const char *)data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "writing %s", name);
		done += (size_t)n;
	}
	return 0;
}

/* Writes, fsyncs and closes, in that order and checking each: close() too can bring an error. */
static int
fill_and_close(int fd, const char *name, struct span bytes, struct err *e)
{
	AUTO_CLOSE int owned = fd;

	if (file_write_full(owned, name, bytes.data, bytes.len, e) < 0)
		return -1;
	if (fsync(owned) < 0)
		return err_sys(e, errno, "syncing %s", name);
	if (close(take_fd(&owned)) < 0)
		return err_sys(e, errno, "closing %s", name);
	return 0;
}

int
file_replace(const char *path, mode_t mode, struct span bytes, struct err *e)
{
	char temp[PATH_MAX];
	int fd, len = snprintf(temp, sizeof(temp), "%s.XXXXXX", path);

	if (len < 0 || (size_t)len >= sizeof(temp))
		return err_set(e, ERR_LIMIT, "the path %.64s... is too long", path);
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "making %s", temp);
	if (fchmod(fd, mode) < 0) {
		(void)close(fd);
		err_sys(e, errno, "setting the mode of %s", temp);
		goto undo;
	}
	if (fill_and_close(fd, temp, bytes, e) < 0)
		goto undo;
	if (rename(temp, path) < 0) {
		err_sys(e, errno, "renaming %s to %s", temp, path);
		goto undo;
	}
	return dir_sync_parent(path, e);
undo:
	(void)unlink(temp);
	return -1;
}

int
file_create(const char *path, mode_t mode, struct span bytes, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return err_sys(e, errno, "creating %s", path);
	if (fill_and_close(fd, path, bytes, e) < 0 || dir_sync_parent(path, e) < 0) {
		(void)unlink(path);
		return -1;
	}
	return 0;
}

int
dir_sync(const char *dir, struct err *e)
{
	AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "opening the folder %s", dir);
	if (fsync(fd) < 0)
		return err_sys(e, errno, "syncing the folder %s", dir);
	return 0;
}

int
path_parent(const char *path, char *out, size_t out_size, struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *dir = slash ? path : ".";
	size_t len = slash && slash > path ? (size_t)(slash - path) : 1;

	if (len >= out_size)
		return err_set(e, ERR_LIMIT, "the path %.64s... is too long", path);
	memcpy(out, dir, len);
	out[len] = 0;
	return 0;
}

int
dir_sync_parent(const char *path, struct err *e)
{
	char dir[PATH_MAX];

	if (path_parent(path, dir, sizeof(dir), e) < 0)
		return -1;
	return dir_sync(dir, e);
}

int
file_rename(const char *from, const char *to, struct err *e)
{
	char from_dir[PATH_MAX], to_dir[PATH_MAX];

	if (path_parent(from, from_dir, sizeof(from_dir), e) < 0 ||
		path_parent(to, to_dir, sizeof(to_dir), e) < 0)
		return -1;
	if (rename(from, to) < 0)
		return err_sys(e, errno, "renaming %s to %s", from, to);
	if (dir_sync(to_dir, e) < 0)
		return -1;
	return strcmp(from_dir, to_dir) == 0 ? 0 : dir_sync(from_dir, e);
}

int
file_remove(const char *path, struct err *e)
{
	if (unlink(path) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "removing %s", path);
	return dir_sync_parent(path, e);
}

int
dir_make(const char *path, mode_t mode, struct err *e)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0)
		return err_sys(e, ENOENT, "making a folder without a name");
	if (len >= sizeof(part))
		return err_set(e, ERR_LIMIT, "the path %.64s... is too long", path);
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		struct stat st;

		if (part[i] != '/' && part[i] != 0)
			continue;
		part[i] = 0;
		if (mkdir(part, mode) < 0) {
			if (errno != EEXIST)
				return err_sys(e, errno, "making the folder %s", part);
			if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode))
				return err_sys(e, ENOTDIR, "making the folder %s", part);
		} else if (dir_sync_parent(part, e) < 0) {
			return -1;
		}
		part[i] = i < len ? '/' : 0;
	}
	return 0;
}

struct names {
	char **name;
	size_t count, cap;
};

static void
names_free(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->name[i]);
	free(n->name);
}

static int
names_add(struct names *n, const char *name, struct err *e)
{
	if (n->count == n->cap) {
		size_t cap = n->cap ? n->cap * 2 : 16;
		char **grown = reallocarray(n->name, cap, sizeof(*grown));

		if (!grown)
			return err_sys(e, ENOMEM, "listing a folder");
		n->name = grown;
		n->cap = cap;
	}
	n->name[n->count] = strdup(name);
	if (!n->name[n->count])
		return err_sys(e, ENOMEM, "listing a folder");
	n->count++;
	return 0;
}

static int
names_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
dir_each(const char *dir, size_t max, int (*each)(void *arg, const char *name, struct err *e),
	void *arg, struct err *e)
{
	CLEANUP(names_free) struct names names = {0};
	AUTO_DIR DIR *d = opendir(dir);
	struct dirent *entry;

	if (!d)
		return err_sys(e, errno, "opening the folder %s", dir);
	while (errno = 0, (entry = readdir(d))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (names.count == max)
			return err_set(
				e, ERR_LIMIT, "the folder %s has more than %zu entries", dir, max);
		if (names_add(&names, entry->d_name, e) < 0)
			return -1;
	}
	if (errno)
		return err_sys(e, errno, "reading the folder %s", dir);
	if (names.count > 0)
		qsort(names.name, names.count, sizeof(*names.name), names_compare);
	for (size_t i = 0; i < names.count; i++) {
		int rc = each(arg, names.name[i], e);

		if (rc != 0)
			return rc;
	}
	return 0;
}

int
file_open_standard(struct err *e)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return err_sys(e, errno, "opening /dev/null");
	(void)close(fd);
	return 0;
}

bool
file_exists(const char *path)
{
	return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

int
file_size(int fd, const char *name, uint64_t *size, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "looking at %s", name);
	if (S_ISBLK(st.st_mode)) {
		uint64_t bytes;

		if (ioctl(fd, BLKGETSIZE64, &bytes) < 0)
			return err_sys(e, errno, "asking the size of %s", name);
		*size = bytes;
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, "%s is neither a file nor a block device", name);
	*size = (uint64_t)st.st_size;
	return 0;
}

int
file_lock(const char *path, const char *what, int *fd, struct err *e)
{
	AUTO_CLOSE int opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (opened < 0 && errno == EROFS)
		opened = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (opened < 0)
		return err_sys(e, errno, "opening the lock %s", path);
	if (flock(opened, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_sys(e, errno, "locking %s", path);
		(void)err_set(
			e, ERR_REFUSED, "%s holds %s; wait for it, or stop it first", what, path);
		if (e)
			e->errnum = EBUSY;
		return -1;
	}
	*fd = take_fd(&opened);
	return 0;
}

int
path_join(char *out, size_t out_size, const char *dir, const char *name, struct err *e)
{
	int len = snprintf(out, out_size, "%s/%s", dir, name);

	if (len < 0 || (size_t)len >= out_size)
		return err_set(e, ERR_LIMIT, "the path %.64s.../%.64s is too long", dir, name);
	return 0;
}

bool
name_is_plain(const char *name)
{
	size_t len =
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-");

	return len > 0 && len <= NAME_PLAIN_MAX && name[len] == 0 && name[0] != '.' &&
	       name[0] != '-';
}
