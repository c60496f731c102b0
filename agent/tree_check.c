/* Whether a folder holds exactly what a tree's list says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "agent/beneath.h"
#include "agent/tree.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"

struct check {
	int root;
	const struct tree_list *list;
	const struct keep_going *keep_going;
	uint64_t entries;
	struct err *why;
	bool same;
};

/* Notes the first difference, and returns 0: a difference is no error. */
static int
differs(struct check *c, const struct tree_entry *t, const char *what)
{
	c->same = false;
	err_set(c->why, ERR_SYSTEM, "%s: %s", t->path, what);
	return 0;
}

static mode_t
type_bits(enum tree_type type)
{
	return type == TREE_DIR ? S_IFDIR : type == TREE_SYMLINK ? S_IFLNK : S_IFREG;
}

static int
ask(const struct check *c, struct err *e)
{
	return keep_going_ask(c->keep_going, e);
}

/* The bytes of a file, from the disk and not from the cache. */
static int
content_digest(const struct check *c, int fd, const struct tree_entry *t, struct digest *out,
	struct err *e)
{
	CLEANUP(digest_abandon) struct digest_state *state = NULL;
	uint8_t data[CHUNK_BYTES];

	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (digest_begin(&state, e) < 0)
		return -1;
	for (uint64_t done = 0; done < t->size;) {
		size_t step = (size_t)num_min(t->size - done, sizeof(data));

		if (ask(c, e) < 0)
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
	struct digest now;

	if ((uint64_t)st->st_size != t->size)
		return differs(c, t, "its size differs");
	if (beneath_open(c->root, t->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd, e) < 0 ||
		content_digest(c, fd, t, &now, e) < 0)
		return -1;
	if (digest_equal(&now, &t->sha256))
		return 0;
	(void)differs(c, t, "its content differs");
	c->why->class = ERR_UNTRUSTED;
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
		return differs(c, t, "its mode differs");
	if (st->st_uid != t->uid || st->st_gid != t->gid)
		return differs(c, t, "its owner differs");
	if (st->st_mtim.tv_sec != t->mtime_s)
		return differs(c, t, "its time differs");
	/* There is no l*xattr call with a folder's descriptor. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", at->dir, at->name);
	return xattrs_check(c, t, path, e);
}

static int
entry_check(struct check *c, const struct tree_entry *t, struct err *e)
{
	AUTO_BENEATH struct beneath at = {.dir = -1};
	struct stat st;

	if (beneath_parent(c->root, t->path, &at, e) < 0)
		return -1;
	if (fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? differs(c, t, "it is missing")
				       : err_sys(e, errno, "looking at %s", t->path);
	if ((st.st_mode & S_IFMT) != type_bits(t->type))
		return differs(c, t, "it is of another type");
	if (t->type == TREE_HARDLINK)
		return hardlink_check(c, t, &st, e);
	if (meta_check(c, t, &at, &st, e) < 0)
		return -1;
	if (!c->same)
		return 0;
	if (t->type == TREE_FILE)
		return file_check(c, t, &st, e);
	return t->type == TREE_SYMLINK ? symlink_check(c, t, at.dir, at.name, e) : 0;
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
	while (c->same) {
		if (ask(c, e) < 0 || files_next(files, &t, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		c->entries++;
		if (entry_check(c, t, e) < 0)
			return -1;
	}
	return 0;
}

int
tree_check(const char *path, const struct tree_list *list, const struct keep_going *keep_going,
	bool *same, struct err *why, struct err *e)
{
	AUTO_CLOSE int root = -1;
	struct check c = {.list = list, .keep_going = keep_going, .why = why, .same = true};
	uint64_t found;

	if (!file_exists(path)) {
		err_set(why, ERR_SYSTEM, "%s is missing", path);
		*same = false;
		return 0;
	}
	if (tree_folder_open(path, &root, e) < 0)
		return -1;
	c.root = root;
	if (list_check(&c, e) < 0 || beneath_count(root, keep_going, &found, e) < 0)
		return -1;
	/* All that is listed is there; with as many entries in all there is nothing else. */
	if (c.same && found != c.entries) {
		c.same = false;
		err_set(why, ERR_SYSTEM, "%s holds %llu entries more than its list", path,
			(unsigned long long)(found - c.entries));
	}
	*same = c.same;
	return 0;
}
