#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/archive.h"
#include "signer/gzip_file.h"
#include "signer/output.h"
#include "signer/tree.h"

enum { ARCHIVE_READ_STEP = 256 * 1024, SPOOL_STEP = 256 * 1024 };

/* No filter that runs another program is among these, nor gzip's: see gzip_file.h. */
static int (*const supports[])(struct archive *) = {
	archive_read_support_format_tar,
	archive_read_support_format_empty,
	archive_read_support_filter_bzip2,
	archive_read_support_filter_compress,
	archive_read_support_filter_lz4,
	archive_read_support_filter_lzma,
	archive_read_support_filter_xz,
	archive_read_support_filter_zstd,
};

/* A gzip file under libarchive. */
struct gzip_input {
	struct gzip_file *file;
	uint8_t piece[ARCHIVE_READ_STEP];
};

static void
gzip_input_free(struct gzip_input **g)
{
	if (!*g)
		return;
	gzip_file_close(&(*g)->file);
	free(*g);
	*g = NULL;
}

static la_ssize_t
gzip_input_read(struct archive *a, void *arg, const void **data)
{
	struct gzip_input *g = arg;
	struct err e = ERR_INIT;
	size_t got = 0;

	if (gzip_file_read(g->file, g->piece, sizeof(g->piece), &got, &e) < 0) {
		archive_set_error(a, e.errnum ? e.errnum : EILSEQ, "%s", e.text);
		return -1;
	}
	*data = g->piece;
	return (la_ssize_t)got;
}

static int
tarball_input(
	const struct tree *t, struct archive *a, int fd, struct gzip_input **gzip, struct err *e)
{
	bool yes;
	int status;

	if (gzip_file_is(fd, t->source, &yes, e) < 0)
		return -1;
	if (yes) {
		*gzip = calloc(1, sizeof(**gzip));
		if (!*gzip)
			return err_sys(e, ENOMEM, "reading %s", t->source);
		if (gzip_file_open(fd, t->source, &(*gzip)->file, e) < 0)
			return -1;
		status = archive_read_open(a, *gzip, NULL, gzip_input_read, NULL);
	} else {
		status = archive_read_open_fd(a, fd, ARCHIVE_READ_STEP);
	}
	return status == ARCHIVE_OK ? 0 : err_archive(e, a, "reading %s", t->source);
}

static int
tarball_new(const struct tree *t, struct archive **out, struct err *e)
{
	AUTO_ARCHIVE_READ struct archive *a = archive_read_new();

	if (!a)
		return err_sys(e, ENOMEM, "reading %s", t->source);
	for (size_t i = 0; i < ARRAY_LEN(supports); i++) {
		if (supports[i](a) != ARCHIVE_OK)
			return err_archive(e, a, "reading %s", t->source);
	}
	/* Read on behind the end of the archive, for checksums stand at the end of the file. */
	if (archive_read_set_options(a, "read_concatenated_archives") != ARCHIVE_OK)
		return err_archive(e, a, "reading %s", t->source);
	*out = TAKE_PTR(a);
	return 0;
}

/* Path as PAYLOAD.files writes it: "./a//b/" is "a/b". *out is "" for the root. */
static int
clean_path(const struct tree *t, const char *path, char out[TREE_PATH_MAX + 1], struct err *e)
{
	size_t len = 0;

	if (path[0] == '/')
		return err_set(e, ERR_REFUSED,
			"%s: %.200s: absolute paths are refused; make the tarball with `tar -C`",
			t->source, path);
	while (*path) {
		size_t part = strcspn(path, "/");

		if (part == 2 && memcmp(path, "..", 2) == 0)
			return err_set(
				e, ERR_REFUSED, "%s: a path with '..' in it is refused", t->source);
		if (part > 0 && !(part == 1 && path[0] == '.')) {
			if (len + (len > 0) + part > TREE_PATH_MAX)
				return err_set(e, ERR_LIMIT, "%s: a path is longer than %d bytes",
					t->source, TREE_PATH_MAX);
			if (len > 0)
				out[len++] = '/';
			memcpy(out + len, path, part);
			len += part;
		}
		path += part + (path[part] == '/');
	}
	out[len] = '\0';
	return 0;
}

static int
spool_data(struct tree *t, struct archive *a, struct tree_item *item, uint64_t *end, struct err *e)
{
	AUTO_FREE char *piece = malloc(SPOOL_STEP);
	la_ssize_t n;

	if (!piece)
		return err_sys(e, ENOMEM, "reading %s", t->source);
	item->offset = *end;
	while ((n = archive_read_data(a, piece, SPOOL_STEP)) > 0) {
		if (*end + (uint64_t)n > PAYLOAD_BYTES_MAX)
			return err_set(e, ERR_LIMIT, "%s: larger than 1 TiB", t->source);
		if (file_pwrite_full(t->spool, t->source, piece, (size_t)n, *end, e) < 0)
			return -1;
		*end += (uint64_t)n;
	}
	if (n < 0)
		return err_archive(e, a, "reading %s: %s", t->source, item->path);
	item->size = *end - item->offset;
	return 0;
}

static int
copy_xattrs(
	const struct tree *t, struct archive_entry *entry, struct tree_item *item, struct err *e)
{
	const char *name;
	const void *value;
	size_t len;

	if (archive_entry_acl_types(entry) != 0)
		return err_set(e, ERR_REFUSED, "%s: %s has an ACL, which bundles do not carry",
			t->source, item->path);
	(void)archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &len) == ARCHIVE_OK) {
		if (tree_add_xattr(t, item, name, value, len, e) < 0)
			return -1;
	}
	return 0;
}

static int
copy_target(
	const struct tree *t, struct archive_entry *entry, struct tree_item *item, struct err *e)
{
	const char *hard = archive_entry_hardlink(entry), *symbolic = archive_entry_symlink(entry);
	char path[TREE_PATH_MAX + 1];

	if (hard) {
		if (clean_path(t, hard, path, e) < 0)
			return -1;
		item->type = TREE_HARDLINK;
		item->target = strdup(path);
	} else {
		item->type = TREE_SYMLINK;
		item->target = strdup(symbolic ? symbolic : "");
	}
	return item->target ? 0 : err_sys(e, ENOMEM, "reading %s", t->source);
}

static int
check_kind(const struct tree *t, struct archive_entry *entry, const char *path, struct err *e)
{
	__LA_MODE_T type = archive_entry_filetype(entry);

	if (archive_entry_hardlink(entry) || type == AE_IFREG || type == AE_IFDIR ||
		type == AE_IFLNK)
		return 0;
	return err_set(e, ERR_REFUSED,
		"%s: %s is %s, which bundles do not carry; leave it out, or make it when the "
		"system starts",
		t->source, path,
		type == AE_IFSOCK  ? "a socket"
		: type == AE_IFIFO ? "a pipe"
				   : "a device");
}

static int
check_owner(const struct tree *t, struct archive_entry *entry, const char *path, struct err *e)
{
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);

	if (uid < 0 || uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX)
		return err_set(e, ERR_LIMIT,
			"%s: %s belongs to %" PRId64 ":%" PRId64 ", which no Linux system has",
			t->source, path, uid, gid);
	return 0;
}

/* The number of an entry stands for the inode that only it has so far. */
static int
add_entry(struct tree *t, struct archive *a, struct archive_entry *entry, uint64_t *end,
	struct err *e)
{
	const char *name = archive_entry_pathname(entry);
	char path[TREE_PATH_MAX + 1];
	struct tree_item *item;

	if (!name)
		return err_set(e, ERR_REFUSED, "%s: the name of a file is not UTF-8", t->source);
	if (clean_path(t, name, path, e) < 0)
		return -1;
	if (path[0] == '\0')
		return 0;
	if (check_kind(t, entry, path, e) < 0 || check_owner(t, entry, path, e) < 0 ||
		tree_add(t, path, &item, e) < 0)
		return -1;
	item->mode = archive_entry_perm(entry) & 07777;
	item->uid = (uint32_t)archive_entry_uid(entry);
	item->gid = (uint32_t)archive_entry_gid(entry);
	item->mtime_s = archive_entry_mtime(entry);
	item->ino = t->count;
	item->nlink = 1;
	item->type = archive_entry_filetype(entry) == AE_IFDIR ? TREE_DIR : TREE_FILE;
	if ((archive_entry_hardlink(entry) || archive_entry_filetype(entry) == AE_IFLNK) &&
		copy_target(t, entry, item, e) < 0)
		return -1;
	if (copy_xattrs(t, entry, item, e) < 0)
		return -1;
	return item->type == TREE_FILE ? spool_data(t, a, item, end, e) : 0;
}

/* A warning of libarchive's means that something was lost on the way, which may not go unseen. */
int
tree_scan_tarball(struct tree *t, const char *scratch, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	CLEANUP(gzip_input_free) struct gzip_input *gzip = NULL;
	AUTO_ARCHIVE_READ struct archive *a = NULL;
	struct archive_entry *entry;
	uint64_t end = 0;
	int status;

	if (file_open_read(t->source, &fd, e) < 0 || scratch_open(scratch, &t->spool, e) < 0 ||
		tarball_new(t, &a, e) < 0 || tarball_input(t, a, fd, &gzip, e) < 0)
		return -1;
	while ((status = archive_read_next_header(a, &entry)) == ARCHIVE_OK) {
		if (add_entry(t, a, entry, &end, e) < 0)
			return -1;
	}
	if (status != ARCHIVE_EOF)
		return err_archive(e, a, "reading %s", t->source);
	return 0;
}
