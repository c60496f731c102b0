#include "agent/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/num.h"

/* What direct reads and writes are multiples of. No device that we know asks for more. */
enum { DIRECT_BYTES = 4096 };

void
slot_close(struct slot *s)
{
	cleanup_fd(&s->fd);
	cleanup_fd(&s->direct);
	s->fd = s->direct = -1;
}

/* The same slot once more, whatever its path means by now. Its first descriptor has it for itself
 * already. */
static int
direct_open(int fd)
{
	char path[sizeof("/proc/self/fd/") + 16];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_DIRECT | O_CLOEXEC | O_NOCTTY);
}

static int
type_check(const struct slot_class *class, const char *path, const struct stat *st, struct err *e)
{
	if (class->type == SLOT_BLOCK && !S_ISBLK(st->st_mode))
		return err_set(e, ERR_USAGE, "%s is not a block device, as agent.conf says", path);
	if (class->type == SLOT_FILE && !S_ISREG(st->st_mode))
		return err_set(e, ERR_USAGE, "%s is not a file, as agent.conf says", path);
	return 0;
}

int
slot_open(
	const struct slot_class *class, enum side side, bool write, struct slot *out, struct err *e)
{
	int exclusive = class->type == SLOT_BLOCK && write ? O_EXCL : 0;
	const char *path = class->path[side];
	AUTO_SLOT struct slot s = SLOT_INIT;
	struct stat st;

	(void)snprintf(s.name, sizeof(s.name), "%s %s", class->name, side_name(side));
	if (class->type == SLOT_DIR)
		return err_set(e, ERR_REFUSED, "slot %s is a folder: no image goes there", s.name);
	s.fd = open(path, (write ? O_RDWR : O_RDONLY) | exclusive | O_CLOEXEC | O_NOCTTY);
	if (s.fd < 0 && errno == ENOENT && class->type == SLOT_FILE)
		return err_sys(e, ENOENT,
			"slot %s: %s (make it once, as large as a partition would be: "
			"truncate -s SIZE %s)",
			s.name, path, path);
	if (s.fd < 0)
		return err_sys(e, errno, "slot %s: opening %s", s.name, path);
	if (fstat(s.fd, &st) < 0)
		return err_sys(e, errno, "slot %s: looking at %s", s.name, path);
	if (type_check(class, path, &st, e) < 0 || file_size(s.fd, path, &s.size, e) < 0)
		return err_context(e, "slot %s", s.name);
	s.block = S_ISBLK(st.st_mode);
	if (write)
		s.direct = direct_open(s.fd);
	*out = s;
	s.fd = s.direct = -1;
	return 0;
}

int
slot_check_apart(const struct slot_class *class, struct err *e)
{
	struct stat st[SIDES];

	for (size_t i = 0; i < SIDES; i++) {
		if (stat(class->path[i], &st[i]) < 0)
			return err_sys(e, errno, "slot %s %s: %s", class->name,
				side_name((enum side)i), class->path[i]);
	}
	if ((st[0].st_dev == st[1].st_dev && st[0].st_ino == st[1].st_ino) ||
		(S_ISBLK(st[0].st_mode) && S_ISBLK(st[1].st_mode) &&
			st[0].st_rdev == st[1].st_rdev))
		return err_set(e, ERR_REFUSED,
			"slot %s: %s and %s are the same place; correct agent.conf", class->name,
			class->path[SIDE_A], class->path[SIDE_B]);
	return 0;
}

int
slot_sync(const struct slot *s, struct err *e)
{
	int rc;

	if (fsync(s->fd) < 0)
		return err_sys(e, errno, "syncing slot %s", s->name);
	/* Needs CAP_SYS_ADMIN; without it the advice below does nearly as well. */
	if (s->block && ioctl(s->fd, BLKFLSBUF, 0) < 0 && errno != EACCES && errno != EPERM)
		return err_sys(e, errno, "flushing slot %s", s->name);
	rc = posix_fadvise(s->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (rc != 0)
		return err_sys(e, rc, "dropping the cache of slot %s", s->name);
	return 0;
}

/* How much of it may go past the cache. */
static size_t
direct_part(const struct slot *s, const void *data, size_t len, uint64_t offset)
{
	if (s->direct < 0 || offset % DIRECT_BYTES != 0 || (uintptr_t)data % DIRECT_BYTES != 0)
		return 0;
	return len - len % DIRECT_BYTES;
}

/* The device or its file system takes nothing past the cache, or not in such pieces. */
static bool
is_wanted_otherwise(const struct err *why)
{
	return why->errnum == EINVAL || why->errnum == EOPNOTSUPP;
}

static int
slot_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	const struct slot *s = arg;
	size_t done = direct_part(s, data, len, offset);
	struct err why;

	if (done > 0 && file_pread_full(s->direct, s->name, data, done, offset, &why) < 0) {
		if (!is_wanted_otherwise(&why)) {
			*e = why;
			return err_own(e);
		}
		done = 0;
	}
	return file_pread_full(s->fd, s->name, (char *)data + done, len - done, offset + done, e) <
			       0
		       ? err_own(e)
		       : 0;
}

int
slot_digest(const struct slot *s, uint64_t len, const struct keep_going *keep_going,
	struct digest *out, struct err *e)
{
	CLEANUP(digest_abandon) struct digest_state *sum = NULL;
	uint8_t piece[CHUNK_BYTES];

	if (digest_begin(&sum, e) < 0)
		return -1;
	for (uint64_t done = 0; done < len;) {
		size_t step = (size_t)num_min(len - done, sizeof(piece));

		if (keep_going_ask(keep_going, e) < 0)
			return -1;
		if (file_pread_full(s->fd, s->name, piece, step, done, e) < 0)
			return err_own(e);
		digest_add(sum, piece, step);
		done += step;
	}
	*out = digest_end(&sum);
	return 0;
}

/* To write a part of a block the kernel reads it. Where that cannot be done there is nothing behind
 * the image's end to be kept, and the whole block is written. */
static int
worn_write(const struct slot *s, const void *data, size_t len, uint64_t offset, struct err *e)
{
	_Alignas(DIRECT_BYTES) uint8_t block[DIRECT_BYTES] = {0};

	if (!place_is_worn(e) || s->direct < 0 || len > DIRECT_BYTES ||
		offset % DIRECT_BYTES != 0 || s->size - offset < DIRECT_BYTES)
		return -1;
	memcpy(block, data, len);
	return file_pwrite_full(s->direct, s->name, block, sizeof(block), offset, e);
}

/* Threads may write at once; there is one slot that is written. */
static int
cached_write(struct slot *s, const void *data, size_t len, uint64_t offset, struct err *e)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct err why;
	int rc;

	if (len == 0)
		return 0;
	if (file_pwrite_full(s->fd, s->name, data, len, offset, &why) < 0) {
		rc = worn_write(s, data, len, offset, &why);
		if (rc < 0)
			*e = why;
		return rc;
	}
	(void)pthread_mutex_lock(&lock);
	rc = writeback_add(&s->writeback, s->fd, s->name, offset, len, e);
	(void)pthread_mutex_unlock(&lock);
	return rc;
}

static int
slot_write(void *arg, const void *data, size_t len, uint64_t offset, struct err *e)
{
	struct slot *s = arg;
	struct err why;
	uint64_t end;
	size_t done;

	/* install_check() saw to it; here it keeps a file slot from growing whatever happens. */
	if (num_add(offset, len, &end, s->name, e) < 0)
		return -1;
	if (end > s->size)
		return err_set(e, ERR_SYSTEM, "slot %s ends before byte %llu", s->name,
			(unsigned long long)end);
	done = direct_part(s, data, len, offset);
	if (done > 0 && file_pwrite_full(s->direct, s->name, data, done, offset, &why) < 0) {
		if (!is_wanted_otherwise(&why)) {
			*e = why;
			return -1;
		}
		done = 0;
	}
	return cached_write(s, (const char *)data + done, len - done, offset + done, e);
}

/* Into the kernel's cache, where it is read through that. */
static void
slot_soon(void *arg, uint64_t offset, uint64_t len)
{
	const struct slot *s = arg;

	if (s->direct < 0)
		(void)posix_fadvise(s->fd, (off_t)offset, (off_t)len, POSIX_FADV_WILLNEED);
}

static int
slot_zero(void *arg, uint64_t offset, uint64_t len, uint64_t *written, struct err *e)
{
	struct slot *s = arg;
	struct place p = slot_place(s);

	*written = 0;
	if (!s->holeless && offset <= s->size && len <= s->size - offset &&
		fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			(off_t)len) == 0)
		return 0;
	/* Not every device and file system has holes. */
	return place_zero_by_writing(&p, offset, len, written, e);
}

struct place
slot_place(struct slot *s)
{
	return (struct place){s, slot_read, slot_write, slot_zero, true, slot_soon};
}
