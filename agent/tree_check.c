/* Whether a folder holds exactly what a tree's list says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "agent/beneath.h"
#include "agent/place.h"
#include "agent/tree.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"

struct check {
	int root;
	const struct tree_list *list;
	const struct keep_going *keep_going;
	const struct tree_watch *watch;
	uint64_t offset; /* of the file that is looked at, in the payload */
	uint64_t found;	 /* entries of the list that have something at their path */
	bool over;	 /* no more is to be told */
};

/* Returns 0: a difference is no error. */
static int
differs(struct check *c, const struct tree_entry *t, const char *what)
{
	if (!c->over)
		c->over = !c->watch->differs(c->watch->arg, t->path, what);
	return 0;
}

static mode_t
type_bits(enum tree_type type)
{
	return type == TREE_DIR ? S_IFDIR : type == TREE_SYMLINK ? S_IFLNK : S_IFREG;
}

/* The bytes of a file, from the disk and not from the cache. */
static int
content_digest(const struct keep_going *keep_going, int fd, const struct tree_entry *t,
	struct digest *out, struct err *e)
{
	CLEANUP(digest_abandon) struct digest_state *state = NULL;
	uint8_t data[CHUNK_BYTES];

	if (digest_begin(&state, e) < 0)
		return -1;
	for (uint64_t done = 0; done < t->size;) {
		size_t step = (size_t)num_min(t->size - done, sizeof(data));

		if (keep_going_ask(keep_going, e) < 0)
			return -1;
		if (file_pread_full(fd, t->path, data, step, done, e) < 0)
			return err_own(e);
		digest_add(state, data, step);
		done += step;
	}
	*out = digest_end(&state);
	return 0;
}

static int
file_check(struct check *c, const struct tree_entry *t, const struct stat *st, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	int rc;

	if ((uint64_t)st->st_size != t->size)
		return differs(c, t, "its size differs");
	if (beneath_open(c->root, t->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd, e) < 0)
		return -1;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	rc = c->watch->content(c->watch->arg, fd, t, c->offset, e);
	if (rc < 0)
		return -1;
	c->over = rc == TREE_ENOUGH;
	return 0;
}

static int
symlink_check(struct check *c, const struct tree_entry *t, int dir, const char *name, struct err *e)
{
	char target[TREE_PATH_MAX + 2];
	ssize_t len = readlinkat(dir, name, target, sizeof(target) - 1);

	if (len < 0)
		return err_sys(e, errno, "reading the link %s", t->path);
	target[len] = 0;
	return strcmp(target, t->target) == 0 ? 0 : differs(c, t, "it links to another place");
}

static int
hardlink_check(struct check *c, const struct tree_entry *t, const struct stat *st, struct err *e)
{
	struct stat first;
	bool there;

	if (beneath_look(c->root, t->target, &first, &there, e) < 0)
		return -1;
	if (!there || first.st_ino != st->st_ino || first.st_dev != st->st_dev)
		return differs(c, t, "it is not the file that it should be");
	return 0;
}

bool
tree_counts_xattr(const char *name)
{
	return strncmp(name, "security.", 9) != 0 || strcmp(name, "security.capability") == 0;
}

static int
xattrs_listed_check(struct check *c, const struct tree_entry *t, const char *path, struct err *e)
{
	const char *name;
	json_t *wanted;

	json_object_foreach (t->xattrs, name, wanted) {
		static uint8_t value[XATTR_VALUE_MAX];
		static char hex[2 * XATTR_VALUE_MAX + 1];
		ssize_t len = lgetxattr(path, name, value, sizeof(value));

		if (len < 0 && errno != ENODATA && errno != EOPNOTSUPP)
			return err_sys(e, errno, "reading attributes of %s", t->path);
		if (len < 0)
			return differs(c, t, "an extended attribute is missing");
		hex_encode(value, (size_t)len, hex);
		if (strcmp(hex, json_string_value(wanted)) != 0)
			return differs(c, t, "an extended attribute differs");
	}
	return 0;
}

static int
xattrs_check(struct check *c, const struct tree_entry *t, const char *path, struct err *e)
{
	static char names[XATTR_NAMES_MAX];
	ssize_t len = llistxattr(path, names, sizeof(names));

	if (len < 0 && errno != EOPNOTSUPP)
		return err_sys(e, errno, "listing attributes of %s", t->path);
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		if (tree_counts_xattr(names + at) && !json_object_get(t->xattrs, names + at))
			return differs(c, t, "it has an extended attribute too many");
	}
	return t->xattrs ? xattrs_listed_check(c, t, path, e) : 0;
}

static int
meta_check(struct check *c, const struct tree_entry *t, const struct beneath *at,
	const struct stat *st, struct err *e)
{
	char path[64 + TREE_PATH_MAX];

	if (t->type != TREE_SYMLINK && (st->st_mode & 07777) != t->mode)
		(void)differs(c, t, "its mode differs");
	if (st->st_uid != t->uid || st->st_gid != t->gid)
		(void)differs(c, t, "its owner differs");
	if (st->st_mtim.tv_sec != t->mtime_s)
		(void)differs(c, t, "its time differs");
	if (c->over)
		return 0;
	/* There is no l*xattr call with a folder's descriptor. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", at->dir, at->name);
	return xattrs_check(c, t, path, e);
}

static int
entry_check(struct check *c, const struct tree_entry *t, const struct beneath *at,
	const struct stat *st, struct err *e)
{
	if ((st->st_mode & S_IFMT) != type_bits(t->type))
		return differs(c, t, "it is of another type");
	if (t->type == TREE_HARDLINK)
		return hardlink_check(c, t, st, e);
	if (meta_check(c, t, at, st, e) < 0)
		return -1;
	if (c->over)
		return 0;
	if (t->type == TREE_FILE)
		return file_check(c, t, st, e);
	return t->type == TREE_SYMLINK ? symlink_check(c, t, at->dir, at->name, e) : 0;
}

/* Where a folder of the path is missing, or something else by now, so is all that was in it. */
static int
path_check(struct check *c, const struct tree_entry *t, struct err *e)
{
	AUTO_BENEATH struct beneath at = {.dir = -1};
	struct stat st;

	if (beneath_parent(c->root, t->path, &at, e) < 0) {
		if (e->errnum != ENOENT && e->errnum != ENOTDIR && e->errnum != ELOOP)
			return -1;
		return differs(c, t, "it is missing");
	}
	if (fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? differs(c, t, "it is missing")
				       : err_sys(e, errno, "looking at %s", t->path);
	c->found++;
	return entry_check(c, t, &at, &st, e);
}

static int
list_check(struct check *c, struct err *e)
{
	AUTO_FILES struct files_reader *files = NULL;
	const struct tree_entry *t;
	bool more;

	if (files_open(c->list->fd, c->list->name, c->list->offset, c->list->payload, &files, e) <
		0)
		return -1;
	while (!c->over) {
		if (keep_going_ask(c->keep_going, e) < 0 || files_next(files, &t, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (path_check(c, t, e) < 0)
			return -1;
		c->offset += t->size;
	}
	return 0;
}

int
tree_compare(const char *path, const struct tree_list *list, const struct keep_going *keep_going,
	const struct tree_watch *watch, uint64_t *extra, struct err *e)
{
	AUTO_CLOSE int root = -1;
	struct check c = {.list = list, .keep_going = keep_going, .watch = watch};
	uint64_t there;

	if (tree_folder_open(path, &root, e) < 0)
		return -1;
	c.root = root;
	if (list_check(&c, e) < 0 || beneath_count(root, keep_going, &there, e) < 0)
		return -1;
	*extra = c.over || there < c.found ? 0 : there - c.found;
	return 0;
}

/* Whoever installs needs one difference only. */
struct first {
	const struct keep_going *keep_going;
	struct err *why;
	bool same;
};

static bool
first_differs(void *arg, const char *path, const char *what)
{
	struct first *f = arg;

	f->same = false;
	err_set(f->why, ERR_SYSTEM, "%s: %s", path, what);
	return false;
}

static int
first_content(void *arg, int fd, const struct tree_entry *t, uint64_t offset, struct err *e)
{
	struct first *f = arg;
	struct digest now;

	(void)offset;
	if (content_digest(f->keep_going, fd, t, &now, e) < 0) {
		if (!place_is_worn(e))
			return -1;
		(void)first_differs(f, t->path, e->text);
		return TREE_ENOUGH;
	}
	if (digest_equal(&now, &t->sha256))
		return 0;
	(void)first_differs(f, t->path, "its content differs");
	f->why->class = ERR_UNTRUSTED;
	return TREE_ENOUGH;
}

int
tree_check(const char *path, const struct tree_list *list, const struct keep_going *keep_going,
	bool *same, struct err *why, struct err *e)
{
	struct first f = {keep_going, why, true};
	const struct tree_watch watch = {&f, first_differs, first_content};
	uint64_t extra;

	if (!file_exists(path)) {
		err_set(why, ERR_SYSTEM, "%s is missing", path);
		*same = false;
		return 0;
	}
	if (tree_compare(path, list, keep_going, &watch, &extra, e) < 0)
		return -1;
	/* All that is listed is there; with as many entries in all there is nothing else. */
	if (f.same && extra > 0) {
		f.same = false;
		err_set(why, ERR_SYSTEM, "%s holds %llu entries more than its list", path,
			(unsigned long long)extra);
	}
	*same = f.same;
	return 0;
}
