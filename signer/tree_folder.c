#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "signer/tree.h"

static void
fts_cleanup(FTS **f)
{
	if (*f)
		(void)fts_close(*f);
}

static int
read_xattr(const struct tree *t, struct tree_item *item, const char *path, const char *name,
	struct err *e)
{
	AUTO_FREE char *value = malloc(XATTR_SIZE_MAX);
	ssize_t len;

	if (!value)
		return err_sys(e, ENOMEM, "listing %s", t->source);
	len = lgetxattr(path, name, value, XATTR_SIZE_MAX);
	if (len < 0)
		return err_sys(e, errno, "reading the attribute %s of %s", name, path);
	return tree_add_xattr(t, item, name, value, (size_t)len, e);
}

static int
read_xattrs(const struct tree *t, struct tree_item *item, const char *path, struct err *e)
{
	AUTO_FREE char *names = NULL;
	ssize_t len = llistxattr(path, NULL, 0);

	if (len == 0 || (len < 0 && errno == ENOTSUP))
		return 0;
	names = malloc(XATTR_LIST_MAX);
	if (!names)
		return err_sys(e, ENOMEM, "listing %s", t->source);
	len = llistxattr(path, names, XATTR_LIST_MAX);
	if (len < 0)
		return err_sys(e, errno, "reading the attributes of %s", path);
	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		if (read_xattr(t, item, path, name, e) < 0)
			return -1;
	}
	return 0;
}

static int
read_target(const struct tree *t, struct tree_item *item, const char *path, struct err *e)
{
	char text[PATH_MAX];
	ssize_t len = readlink(path, text, sizeof(text) - 1);

	if (len < 0)
		return err_sys(e, errno, "reading the link %s", path);
	text[len] = '\0';
	item->target = strdup(text);
	return item->target ? 0 : err_sys(e, ENOMEM, "listing %s", t->source);
}

static const char *
type_name(mode_t mode)
{
	return S_ISSOCK(mode) ? "a socket" : S_ISFIFO(mode) ? "a pipe" : "a device";
}

static int
add_entry(struct tree *t, const FTSENT *found, const char *path, struct err *e)
{
	const struct stat *s = found->fts_statp;
	struct tree_item *item;

	if (!S_ISDIR(s->st_mode) && !S_ISREG(s->st_mode) && !S_ISLNK(s->st_mode))
		return err_set(e, ERR_REFUSED,
			"%s: %s is %s, which bundles do not carry; remove it, or make it when the "
			"system starts",
			t->source, path, type_name(s->st_mode));
	if (tree_add(t, path, &item, e) < 0)
		return -1;
	item->type = S_ISDIR(s->st_mode)   ? TREE_DIR
		     : S_ISREG(s->st_mode) ? TREE_FILE
					   : TREE_SYMLINK;
	item->mode = s->st_mode & 07777;
	item->uid = s->st_uid;
	item->gid = s->st_gid;
	item->mtime_s = s->st_mtime;
	item->size = item->type == TREE_FILE ? (uint64_t)s->st_size : 0;
	item->dev = s->st_dev;
	item->ino = s->st_ino;
	item->nlink = s->st_nlink;
	if (item->type == TREE_SYMLINK && read_target(t, item, found->fts_accpath, e) < 0)
		return -1;
	return read_xattrs(t, item, found->fts_accpath, e);
}

static int
visit(struct tree *t, const FTSENT *found, struct err *e)
{
	const char *path;

	switch (found->fts_info) {
	case FTS_DP:
		return 0;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		return err_sys(e, found->fts_errno, "reading %s", found->fts_path);
	default:
		break;
	}
	if (found->fts_level == FTS_ROOTLEVEL)
		return 0;
	path = found->fts_path + strlen(t->source);
	while (*path == '/')
		path++;
	return add_entry(t, found, path, e);
}

int
tree_scan_folder(struct tree *t, struct err *e)
{
	AUTO_FREE char *source = strdup(t->source);
	char *roots[] = {source, NULL};
	FTSENT *found;

	if (!source)
		return err_sys(e, ENOMEM, "listing %s", t->source);
	/* The source itself may be a link to the folder. */
	CLEANUP(fts_cleanup)
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	if (!walk)
		return err_sys(e, errno, "reading %s", t->source);
	while ((errno = 0, found = fts_read(walk))) {
		if (visit(t, found, e) < 0)
			return -1;
	}
	return errno == 0 ? 0 : err_sys(e, errno, "reading %s", t->source);
}
