#include "agent/shelf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/source.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"
#include "common/limits.h"

static int
path_of(const char *dir, bool tree_only, enum side side, const char *end, char *out, struct err *e)
{
	char name[32];

	(void)snprintf(
		name, sizeof(name), "head.%s%s%s", tree_only ? "link." : "", side_name(side), end);
	return path_join(out, PATH_MAX, dir, name, e);
}

int
shelf_path(const struct conf *c, bool tree_only, enum side side, char *out, struct err *e)
{
	return path_of(c->state_dir, tree_only, side, "", out, e);
}

/* A file system that does not say how large it is has room. */
static bool
has_room(const char *dir, uint64_t bytes)
{
	struct statvfs fs;

	return statvfs(dir, &fs) < 0 || fs.f_blocks == 0 ||
	       (uint64_t)fs.f_bavail * fs.f_frsize >= bytes;
}

static int
head_write(const char *path, const struct head *h, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct file_source file = {.fd = h->fd, .name = h->name};
	struct source source = source_file(&file);

	if (fd < 0)
		return err_sys(e, errno, "making %s", path);
	if (source_copy(&source, h->layout.head_size, fd, path, e) < 0)
		return -1;
	return fsync(fd) < 0 ? err_sys(e, errno, "syncing %s", path) : 0;
}

/* What an attempt that was cut off has left is written over by the next. */
int
shelf_keep(
	const struct conf *c, bool tree_only, enum side side, const struct head *h, struct err *e)
{
	uint64_t needed = h->layout.head_size + 2 * SHELF_SPARE_BYTES;
	char path[PATH_MAX], fresh[PATH_MAX];

	if (shelf_path(c, tree_only, side, path, e) < 0 ||
		path_of(c->state_dir, tree_only, side, ".new", fresh, e) < 0)
		return -1;
	/* What was kept of this side is of no more use. */
	if (!has_room(c->state_dir, needed) &&
		(unlink(path) < 0 || !has_room(c->state_dir, needed)))
		return err_set(e, ERR_SYSTEM, "%s has no room for the %llu bytes of its index",
			c->state_dir, (unsigned long long)h->layout.head_size);
	if (head_write(fresh, h, e) == 0)
		return file_rename(fresh, path, e);
	(void)unlink(fresh);
	return -1;
}

int
shelf_take(const struct conf *c, bool tree_only, enum side side, const struct digest *manifest,
	struct head *out, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char path[PATH_MAX];

	if (shelf_path(c, tree_only, side, path, e) < 0 || file_open_regular(path, &fd, e) < 0)
		return -1;
	if (head_verify_kept(fd, path, manifest, out, e) < 0)
		return err_own(e);
	(void)take_fd(&fd);
	return 0;
}

void
shelf_make_room(const char *state_dir, uint64_t bytes)
{
	static const char *const ends[] = {"", ".new"};
	unsigned given_up = 0;
	char path[PATH_MAX];

	if (has_room(state_dir, bytes + SHELF_SPARE_BYTES))
		return;
	for (unsigned i = 0; i < 2 * SIDES * ARRAY_LEN(ends); i++) {
		if (path_of(state_dir, i & 1, i & 2 ? SIDE_B : SIDE_A, ends[i / 4], path, NULL) ==
				0 &&
			unlink(path) == 0)
			given_up++;
	}
	if (given_up > 0)
		log_warning("%s is nearly full: what audits need is given up", state_dir);
}
