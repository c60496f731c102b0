#include "signer/image.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/text.h"
#include "common/format/archive.h"
#include "signer/gzip_file.h"

enum { ARCHIVE_READ_STEP = 256 * 1024 };

struct image {
	const char *path;
	int fd;
	uint64_t total, done;
	struct gzip_file *gzip;	 /* one of these, */
	struct archive *archive; /* or neither for a raw image */
	bool ended;
};

struct filter {
	const char *suffix;
	int code;
	int (*support)(struct archive *);
};

static const struct filter filters[] = {
	{".gz", ARCHIVE_FILTER_GZIP, NULL}, /* see gzip_file.h */
	{".xz", ARCHIVE_FILTER_XZ, archive_read_support_filter_xz},
	{".zst", ARCHIVE_FILTER_ZSTD, archive_read_support_filter_zstd},
};

void
image_close(struct image **i)
{
	if (!*i)
		return;
	gzip_file_close(&(*i)->gzip);
	cleanup_archive_read(&(*i)->archive);
	cleanup_fd(&(*i)->fd);
	free(*i);
	*i = NULL;
}

static const struct filter *
filter_by_name(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		if (text_ends_with(path, filters[i].suffix))
			return &filters[i];
	}
	return NULL;
}

static int
not_compressed(const struct image *i, const struct filter *f, struct err *e)
{
	return err_set(e, ERR_MALFORMED,
		"%s: its name ends in %s, but it is not compressed that way; rename it or "
		"compress it",
		i->path, f->suffix);
}

static int
open_gzip(struct image *i, const struct filter *f, struct err *e)
{
	bool yes;

	if (gzip_file_is(i->fd, i->path, &yes, e) < 0)
		return -1;
	return yes ? gzip_file_open(i->fd, i->path, &i->gzip, e) : not_compressed(i, f, e);
}

/* libarchive takes a file whose filter does not know it for a raw one, which would pack compressed
 * bytes, or an error page, as an image: so what it found is compared with what the name says. */
static int
open_compressed(struct image *i, const struct filter *f, struct err *e)
{
	struct archive_entry *entry = NULL;
	int status;

	i->archive = archive_read_new();
	if (!i->archive)
		return err_sys(e, ENOMEM, "reading %s", i->path);
	if (f->support(i->archive) != ARCHIVE_OK ||
		archive_read_support_format_raw(i->archive) != ARCHIVE_OK ||
		archive_read_support_format_empty(i->archive) != ARCHIVE_OK)
		return err_archive(e, i->archive, "reading %s", i->path);
	if (archive_read_open_fd(i->archive, i->fd, ARCHIVE_READ_STEP) != ARCHIVE_OK)
		return err_archive(e, i->archive, "reading %s", i->path);
	status = archive_read_next_header(i->archive, &entry);
	if (status != ARCHIVE_OK && status != ARCHIVE_EOF)
		return err_archive(e, i->archive, "reading %s", i->path);
	if (archive_filter_code(i->archive, 0) != f->code)
		return not_compressed(i, f, e);
	i->ended = status == ARCHIVE_EOF;
	return 0;
}

/* A pipe would block its opening, so the path is looked at first. */
static int
check_type(const char *path, struct err *e)
{
	struct stat s;

	if (stat(path, &s) < 0)
		return err_sys(e, errno, "opening %s", path);
	if (!S_ISREG(s.st_mode) && !S_ISBLK(s.st_mode))
		return err_set(e, ERR_USAGE,
			"%s: an image is a file or a block device; say `kind: tree` for a folder",
			path);
	return 0;
}

int
image_open(const char *path, struct image **out, struct err *e)
{
	const struct filter *f = filter_by_name(path);
	AUTO_IMAGE struct image *i = calloc(1, sizeof(*i));

	if (!i)
		return err_sys(e, ENOMEM, "reading %s", path);
	i->path = path;
	i->fd = -1;
	if (check_type(path, e) < 0 || file_open_read(path, &i->fd, e) < 0 ||
		file_size(i->fd, path, &i->total, e) < 0)
		return -1;
	if (f && (f->support ? open_compressed(i, f, e) : open_gzip(i, f, e)) < 0)
		return -1;
	*out = TAKE_PTR(i);
	return 0;
}

static int
read_compressed(struct image *i, uint8_t *data, size_t len, size_t *got, struct err *e)
{
	size_t have = 0;

	while (have < len && !i->ended) {
		la_ssize_t n = archive_read_data(i->archive, data + have, len - have);

		if (n < 0)
			return err_archive(e, i->archive, "decompressing %s", i->path);
		have += (size_t)n;
		i->ended = n == 0;
	}
	i->done = (uint64_t)archive_filter_bytes(i->archive, -1);
	*got = have;
	return 0;
}

int
image_read(struct image *i, uint8_t *data, size_t len, size_t *got, struct err *e)
{
	ssize_t n;

	if (i->archive)
		return read_compressed(i, data, len, got, e);
	if (i->gzip) {
		if (gzip_file_read(i->gzip, data, len, got, e) < 0)
			return -1;
		i->done = gzip_file_done(i->gzip);
		return 0;
	}
	n = file_read_some(i->fd, i->path, data, len, e);
	if (n < 0)
		return -1;
	i->done += (uint64_t)n;
	*got = (size_t)n;
	return 0;
}

uint64_t
image_done(const struct image *i)
{
	return i->done;
}

uint64_t
image_total(const struct image *i)
{
	return i->total;
}
