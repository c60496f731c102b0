#include "agent/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/base/cleanup.h"

int
beneath_open(int root, const char *path, int flags, mode_t mode, int *fd, struct err *e)
{
	struct open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	long opened = syscall(SYS_openat2, root, path, &how, sizeof(how));

	if (opened < 0)
		return err_sys(e, errno, "opening %s", path);
	*fd = (int)opened;
	return 0;
}

int
beneath_parent(int root, const char *path, struct beneath *out, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char dir[TREE_PATH_MAX + 1];

	if (!slash || (size_t)(slash - path) > TREE_PATH_MAX) {
		memcpy(dir, ".", 2);
	} else {
		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = 0;
	}
	if (beneath_open(root, dir, O_PATH | O_DIRECTORY, 0, &out->dir, e) < 0)
		return -1;
	out->name = slash ? slash + 1 : path;
	return 0;
}

void
beneath_close(struct beneath *b)
{
	cleanup_fd(&b->dir);
	b->dir = -1;
}

int
beneath_look(int root, const char *path, struct stat *st, bool *there, struct err *e)
{
	AUTO_BENEATH struct beneath at = {.dir = -1};

	if (beneath_parent(root, path, &at, e) < 0) {
		if (e->errnum != ENOENT && e->errnum != ENOTDIR && e->errnum != ELOOP)
			return -1;
		*there = false;
		return 0;
	}
	*there = fstatat(at.dir, at.name, st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!*there && errno != ENOENT)
		return err_sys(e, errno, "looking at %s", path);
	return 0;
}

/* Called for every entry of a folder; going on while it returns 0. */
struct walk {
	int (*each)(
		struct walk *w, int dir, const char *name, const struct stat *st, struct err *e);
	const struct keep_going *keep_going; /* asked before each; or NULL */
	dev_t device;
	uint64_t count;
};

/* dir is taken over. */
static int
walk_dir(struct walk *w, int dir, const char *path, struct err *e)
{
	AUTO_DIR DIR *d = fdopendir(dir);
	struct dirent *entry;

	if (!d) {
		err_sys(e, errno, "reading the folder %s", path);
		(void)close(dir);
		return -1;
	}
	while (errno = 0, (entry = readdir(d))) {
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (keep_going_ask(w->keep_going, e) < 0)
			return -1;
		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_sys(e, errno, "looking at %s", entry->d_name);
		if (st.st_dev != w->device)
			return err_set(e, ERR_REFUSED,
				"%s: %s is on another file system; unmount it first", path,
				entry->d_name);
		if (w->each(w, dirfd(d), entry->d_name, &st, e) < 0)
			return -1;
	}
	return errno ? err_sys(e, errno, "reading the folder %s", path) : 0;
}

/* A folder in dir, its entries first. Depth is bounded: paths are not longer than PATH_MAX. */
static int
walk_sub(struct walk *w, int dir, const char *name, struct err *e)
{
	int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (sub < 0)
		return err_sys(e, errno, "opening the folder %s", name);
	return walk_dir(w, sub, name, e);
}

static int
remove_each(struct walk *w, int dir, const char *name, const struct stat *st, struct err *e)
{
	bool folder = S_ISDIR(st->st_mode);

	if (folder && walk_sub(w, dir, name, e) < 0)
		return -1;
	if (unlinkat(dir, name, folder ? AT_REMOVEDIR : 0) < 0)
		return err_sys(e, errno, "removing %s", name);
	return 0;
}

static int
remove_named(int dir, const char *name, const char *path, const struct keep_going *keep_going,
	struct err *e)
{
	struct walk w = {.each = remove_each, .keep_going = keep_going};
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "looking at %s", path);
	w.device = st.st_dev;
	return remove_each(&w, dir, name, &st, e) < 0 ? err_context(e, "removing %s", path) : 0;
}

int
beneath_remove(int root, const char *path, struct err *e)
{
	AUTO_BENEATH struct beneath at = {.dir = -1};

	if (beneath_parent(root, path, &at, e) < 0)
		return -1;
	return remove_named(at.dir, at.name, path, NULL, e);
}

int
beneath_remove_at(const char *path, const struct keep_going *keep_going, struct err *e)
{
	return remove_named(AT_FDCWD, path, path, keep_going, e);
}

static int
count_each(struct walk *w, int dir, const char *name, const struct stat *st, struct err *e)
{
	w->count++;
	return S_ISDIR(st->st_mode) ? walk_sub(w, dir, name, e) : 0;
}

static int
walk_root(struct walk *w, int root, struct err *e)
{
	struct stat st;
	int dir = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(e, errno, "opening a folder");
	if (fstat(dir, &st) < 0) {
		err_sys(e, errno, "looking at a folder");
		(void)close(dir);
		return -1;
	}
	w->device = st.st_dev;
	return walk_dir(w, dir, ".", e);
}

int
beneath_count(int root, const struct keep_going *keep_going, uint64_t *out, struct err *e)
{
	struct walk w = {.each = count_each, .keep_going = keep_going};

	if (walk_root(&w, root, e) < 0)
		return -1;
	*out = w.count;
	return 0;
}

/* A walk that knows where it is. */
struct tour {
	struct walk w;
	char path[PATH_MAX];
	size_t len; /* of the folder's path */
	int (*each)(void *arg, const char *path, struct err *e);
	void *arg;
};

static int
tour_each(struct walk *w, int dir, const char *name, const struct stat *st, struct err *e)
{
	struct tour *t = (struct tour *)(void *)w;
	size_t len = t->len, room = sizeof(t->path) - len;
	int written = snprintf(t->path + len, room, "%s%s", len ? "/" : "", name);
	int rc;

	if (written < 0 || (size_t)written >= room)
		return err_set(e, ERR_LIMIT, "the path of %s is too long", name);
	t->len = len + (size_t)written;
	rc = t->each(t->arg, t->path, e);
	if (rc == 0 && S_ISDIR(st->st_mode))
		rc = walk_sub(w, dir, name, e);
	t->len = len;
	return rc;
}

int
beneath_each(int root, const struct keep_going *keep_going,
	int (*each)(void *arg, const char *path, struct err *e), void *arg, struct err *e)
{
	struct tour t = {
		.w = {.each = tour_each, .keep_going = keep_going}, .each = each, .arg = arg};

	return walk_root(&t.w, root, e);
}
