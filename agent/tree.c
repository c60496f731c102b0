#include "agent/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "agent/beneath.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"

enum { DIR_MODE = 0755 };

/* One pass over the list: each() for every entry. */
struct pass {
	int root;
	const struct tree_list *list;
	const struct keep_going *keep_going;
	int (*each)(int root, const struct tree_entry *t, struct err *e);
};

static int
pass_run(const struct pass *p, struct err *e)
{
	AUTO_FILES struct files_reader *files = NULL;
	const struct keep_going *k = p->keep_going;
	const struct tree_entry *t;
	bool more;

	if (files_open(p->list->fd, p->list->name, p->list->offset, p->list->payload, &files, e) <
		0)
		return -1;
	for (;;) {
		if (files_next(files, &t, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if ((k && k->ask && k->ask(k->arg, e) < 0) || p->each(p->root, t, e) < 0)
			return -1;
	}
}

int
tree_new_path(const char *path, char *out, struct err *e)
{
	if (snprintf(out, PATH_MAX, "%s.new", path) >= PATH_MAX)
		return err_set(e, ERR_LIMIT, "the path %.64s... is too long", path);
	return 0;
}

int
tree_folder_open(const char *path, int *fd, struct err *e)
{
	int opened = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (opened < 0)
		return err_sys(e, errno, "opening the folder %s", path);
	*fd = opened;
	return 0;
}

/* First pass: hard links of an earlier attempt go, so that no file is written through two names. */
static int
hardlink_clear(int root, const struct tree_entry *t, struct err *e)
{
	struct stat st;
	bool there;

	if (t->type != TREE_HARDLINK)
		return 0;
	if (beneath_look(root, t->path, &st, &there, e) < 0)
		return -1;
	return there ? beneath_remove(root, t->path, e) : 0;
}

static bool
symlink_is_right(const struct beneath *at, const struct tree_entry *t)
{
	char now[TREE_PATH_MAX + 2];
	ssize_t len = readlinkat(at->dir, at->name, now, sizeof(now) - 1);

	return len >= 0 && (size_t)len == strlen(t->target) &&
	       memcmp(now, t->target, (size_t)len) == 0;
}

/* Whether what is there can stay: the engine mends a file's bytes, the last pass its metadata. */
static bool
can_stay(const struct beneath *at, const struct tree_entry *t, const struct stat *st)
{
	switch (t->type) {
	case TREE_DIR:
		return S_ISDIR(st->st_mode);
	case TREE_FILE:
		return S_ISREG(st->st_mode) && st->st_nlink == 1;
	case TREE_SYMLINK:
		return S_ISLNK(st->st_mode) && symlink_is_right(at, t);
	default:
		return false;
	}
}

static int
file_make(int root, const struct beneath *at, const struct tree_entry *t, bool there, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	int flags = O_WRONLY | O_NOFOLLOW | (there ? 0 : O_CREAT | O_EXCL);
	struct stat st;

	/* Nobody runs or reads what is not whole, and we may write it. */
	if (there && fchmodat(at->dir, at->name, 0600, 0) < 0)
		return err_sys(e, errno, "setting the mode of %s", t->path);
	if (beneath_open(root, t->path, flags, there ? 0 : 0600, &fd, e) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "looking at %s", t->path);
	if ((uint64_t)st.st_size != t->size && ftruncate(fd, (off_t)t->size) < 0)
		return err_sys(e, errno, "making %s", t->path);
	return 0;
}

static int
entry_make(
	int root, const struct beneath *at, const struct tree_entry *t, bool there, struct err *e)
{
	if (t->type == TREE_FILE)
		return file_make(root, at, t, there, e);
	if (there)
		return 0;
	if (t->type == TREE_DIR && mkdirat(at->dir, at->name, 0700) < 0)
		return err_sys(e, errno, "making the folder %s", t->path);
	if (t->type == TREE_SYMLINK && symlinkat(t->target, at->dir, at->name) < 0)
		return err_sys(e, errno, "making the link %s", t->path);
	return 0;
}

/* Second pass: everything that has a name of its own, files at their sizes. */
static int
entry_prepare(int root, const struct tree_entry *t, struct err *e)
{
	AUTO_BENEATH struct beneath at = {.dir = -1};
	struct stat st;
	bool there;

	if (t->type == TREE_HARDLINK)
		return 0;
	if (beneath_parent(root, t->path, &at, e) < 0)
		return -1;
	there = fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!there && errno != ENOENT)
		return err_sys(e, errno, "looking at %s", t->path);
	if (there && !can_stay(&at, t, &st)) {
		if (beneath_remove(root, t->path, e) < 0)
			return -1;
		there = false;
	}
	return entry_make(root, &at, t, there, e);
}

static int
xattrs_drop(const struct tree_entry *t, const char *path, struct err *e)
{
	static char names[XATTR_NAMES_MAX];
	ssize_t len = llistxattr(path, names, sizeof(names));

	if (len < 0 && errno != EOPNOTSUPP)
		return err_sys(e, errno, "listing attributes of %s", t->path);
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		if (tree_counts_xattr(names + at) && !json_object_get(t->xattrs, names + at) &&
			lremovexattr(path, names + at) < 0)
			return err_sys(e, errno, "removing an attribute of %s", t->path);
	}
	return 0;
}

static int
xattrs_set(const struct tree_entry *t, const char *path, struct err *e)
{
	const char *name;
	json_t *value;

	json_object_foreach (t->xattrs, name, value) {
		static uint8_t bytes[XATTR_VALUE_MAX];
		size_t len = json_string_length(value) / 2;

		if (len > sizeof(bytes))
			return err_set(
				e, ERR_LIMIT, "%s: the attribute %s is too long", t->path, name);
		if (hex_decode(json_string_value(value), bytes, len, e) < 0)
			return err_context(e, "%s: the attribute %s", t->path, name);
		if (lsetxattr(path, name, bytes, len, 0) < 0)
			return err_sys(e, errno, "setting the attribute %s of %s", name, t->path);
	}
	return 0;
}

/* Owner before mode, for chown() takes set-user-ID bits away, and capabilities with them; the time
 * last. */
static int
meta_set(const struct beneath *at, const struct tree_entry *t, struct err *e)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = t->mtime_s}};
	char path[64 + TREE_PATH_MAX];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", at->dir, at->name);
	if (fchownat(at->dir, at->name, t->uid, t->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "giving %s to its owner", t->path);
	if (t->type != TREE_SYMLINK && fchmodat(at->dir, at->name, t->mode, 0) < 0)
		return err_sys(e, errno, "setting the mode of %s", t->path);
	if (xattrs_drop(t, path, e) < 0 || (t->xattrs && xattrs_set(t, path, e) < 0))
		return -1;
	if (utimensat(at->dir, at->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "setting the time of %s", t->path);
	return 0;
}

static int
hardlink_make(int root, const struct beneath *at, const struct tree_entry *t, struct err *e)
{
	AUTO_BENEATH struct beneath first = {.dir = -1};

	if (beneath_parent(root, t->target, &first, e) < 0)
		return -1;
	if (linkat(first.dir, first.name, at->dir, at->name, 0) < 0)
		return err_sys(e, errno, "linking %s to %s", t->path, t->target);
	return 0;
}

/* Third pass: hard links, and what is to be said of all but folders. */
static int
entry_finish(int root, const struct tree_entry *t, struct err *e)
{
	AUTO_BENEATH struct beneath at = {.dir = -1};

	if (t->type == TREE_DIR)
		return 0;
	if (beneath_parent(root, t->path, &at, e) < 0)
		return -1;
	return t->type == TREE_HARDLINK ? hardlink_make(root, &at, t, e) : meta_set(&at, t, e);
}

/* Last pass: folders, whose times changed with everything that was made in them. */
static int
folder_finish(int root, const struct tree_entry *t, struct err *e)
{
	AUTO_BENEATH struct beneath at = {.dir = -1};

	if (t->type != TREE_DIR)
		return 0;
	if (beneath_parent(root, t->path, &at, e) < 0)
		return -1;
	return meta_set(&at, t, e);
}

static int
new_root(const char *path, int *fd, struct err *e)
{
	if (mkdir(path, DIR_MODE) < 0 && errno != EEXIST)
		return err_sys(e, errno, "making the folder %s", path);
	if (tree_folder_open(path, fd, e) < 0)
		return -1;
	/* Whatever the umask. */
	return fchmod(*fd, DIR_MODE) < 0 ? err_sys(e, errno, "setting the mode of %s", path) : 0;
}

/* Everything in PATH.new that has to have a place before bytes come. */
static int
prepare(const char *path, const struct tree_list *list, const struct engine *g, int root,
	struct err *e)
{
	struct pass clear = {root, list, g->keep_going, hardlink_clear};
	struct pass make = {root, list, g->keep_going, entry_prepare};

	if (pass_run(&clear, e) < 0 || pass_run(&make, e) < 0)
		return err_context(e, "%s", path);
	return 0;
}

static int
fill(const char *path, const struct tree_running *running, const struct tree_list *list,
	const struct engine *g, int root, struct err *e)
{
	CLEANUP(tree_place_close) struct tree_place *tree = NULL;
	AUTO_WANTS struct wants *wrong = NULL;
	struct pass finish = {root, list, g->keep_going, entry_finish};
	struct pass folders = {root, list, g->keep_going, folder_finish};
	struct engine own = *g;
	struct place place;

	if (tree_place_open(root, list, &tree, e) < 0)
		return -1;
	place = tree_place_of(tree);
	own.place = &place;
	if (engine_compare(&own, &wrong, e) < 0 ||
		(running && tree_take(running, list, &own, wrong, e) < 0) ||
		engine_mend(&own, wrong, e) < 0 || pass_run(&finish, e) < 0 ||
		pass_run(&folders, e) < 0)
		return err_context(e, "%s", path);
	if (syncfs(root) < 0)
		return err_sys(e, errno, "syncing %s", path);
	return 0;
}

/* Whether there is nothing but what the list wants: all of that has been made, but for the hard
 * links, so a surplus is what an attempt at another tree has left. */
static int
is_clean(int root, const struct tree_list *list, const struct keep_going *keep_going, bool *clean,
	struct err *e)
{
	AUTO_FILES struct files_reader *files = NULL;
	const struct tree_entry *t;
	uint64_t found, wanted = 0;
	bool more;

	if (beneath_count(root, keep_going, &found, e) < 0 ||
		files_open(list->fd, list->name, list->offset, list->payload, &files, e) < 0)
		return -1;
	for (;;) {
		if (files_next(files, &t, &more, e) < 0)
			return -1;
		if (!more)
			break;
		wanted += t->type != TREE_HARDLINK;
	}
	*clean = found == wanted;
	return 0;
}

static int
prepare_clean(const char *path, const struct tree_list *list, const struct engine *g, int *root,
	struct err *e)
{
	bool clean;

	if (new_root(path, root, e) < 0 || prepare(path, list, g, *root, e) < 0 ||
		is_clean(*root, list, g->keep_going, &clean, e) < 0)
		return -1;
	if (clean)
		return 0;
	log_info("%s holds what another attempt has left; it is made anew", path);
	(void)close(take_fd(root));
	if (beneath_remove_at(path, g->keep_going, e) < 0 || new_root(path, root, e) < 0)
		return -1;
	return prepare(path, list, g, *root, e);
}

int
tree_build(const char *path, const struct tree_running *running, const struct tree_list *list,
	const struct engine *g, struct err *e)
{
	AUTO_CLOSE int root = -1;
	char new_path[PATH_MAX];

	if (tree_new_path(path, new_path, e) < 0 || prepare_clean(new_path, list, g, &root, e) < 0)
		return -1;
	return fill(new_path, running, list, g, root, e);
}

int
tree_check_chunks(
	const char *path, const struct tree_list *list, const struct engine *g, struct err *e)
{
	CLEANUP(tree_place_close) struct tree_place *tree = NULL;
	AUTO_CLOSE int root = -1;
	char new_path[PATH_MAX];
	struct engine own = *g;
	struct place place;

	if (tree_new_path(path, new_path, e) < 0 || tree_folder_open(new_path, &root, e) < 0 ||
		tree_place_open(root, list, &tree, e) < 0)
		return -1;
	place = tree_place_of(tree);
	own.place = &place;
	return engine_check(&own, NULL, NULL, e);
}

int
tree_swap_in(const char *path, const struct keep_going *keep_going, struct err *e)
{
	char new_path[PATH_MAX];

	if (tree_new_path(path, new_path, e) < 0 || beneath_remove_at(path, keep_going, e) < 0)
		return -1;
	return file_rename(new_path, path, e);
}
