#include <errno.h>
#include <stdlib.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/archive.h"
#include "common/format/bundle.h"
#include "common/format/bundle_members.h"
#include "common/limits.h"

enum { COPY_BYTES = 256 * 1024 };

/* Where libarchive's bytes go. It is told of no failure while it writes, for it then frees less
 * than it took; once given up it gets one, so that it does not fill a member that ends early with
 * zeros, a TiB of them where need be. */
struct sink {
	int fd;
	const char *name;
	uint64_t at;
	struct err e; /* of the first write that failed; nothing is written after it */
	bool given_up;
};

static la_ssize_t
sink_write(struct archive *a, void *arg, const void *data, size_t len)
{
	struct sink *s = arg;

	if (s->given_up) {
		archive_set_error(a, EIO, "given up");
		return -1;
	}
	if (s->e.class == ERR_NONE &&
		file_pwrite_full(s->fd, s->name, data, len, s->at, &s->e) == 0)
		s->at += len;
	return (la_ssize_t)len;
}

/* What came of a call into libarchive, and of the writing that it did. */
static int
sink_check(const struct sink *s, struct archive *a, bool good, struct err *e)
{
	if (s->e.class != ERR_NONE) {
		if (e)
			*e = s->e;
		return -1;
	}
	return good ? 0 : err_archive(e, a, "writing %s", s->name);
}

static int
write_header(
	struct archive *a, const struct sink *s, const char *member, uint64_t size, struct err *e)
{
	AUTO_ARCHIVE_ENTRY struct archive_entry *entry = archive_entry_new();

	if (!entry)
		return err_sys(e, ENOMEM, "writing %s", s->name);
	archive_entry_set_pathname(entry, member);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, (la_int64_t)size);
	archive_entry_set_mtime(entry, 0, 0);
	return sink_check(s, a, archive_write_header(a, entry) == ARCHIVE_OK, e);
}

static int
write_bytes(struct archive *a, const struct sink *s, struct span bytes, struct err *e)
{
	la_ssize_t taken = archive_write_data(a, bytes.data, bytes.len);

	return sink_check(s, a, taken == (la_ssize_t)bytes.len, e);
}

static int
write_part(struct archive *a, const struct sink *s, const struct bundle_part *part,
	const char *member, uint64_t size, struct err *e)
{
	AUTO_FREE uint8_t *copy = malloc(COPY_BYTES);

	if (!copy)
		return err_sys(e, ENOMEM, "writing %s", s->name);
	for (uint64_t done = 0; done < size;) {
		size_t len = (size_t)num_min(size - done, COPY_BYTES);

		if (file_pread_full(part->fd, member, copy, len, part->offset + done, e) < 0 ||
			write_bytes(a, s, span_of(copy, len), e) < 0)
			return -1;
		done += len;
	}
	return 0;
}

static int
write_members(struct archive *a, struct sink *s, const struct manifest *m,
	struct span manifest_json, struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES],
	struct err *e)
{
	char member[BUNDLE_MEMBER_NAME_SIZE];
	enum member_role role;
	size_t p;

	if (archive_write_set_format_gnutar(a) != ARCHIVE_OK ||
		archive_write_set_bytes_per_block(a, 0) != ARCHIVE_OK ||
		archive_write_open(a, s, NULL, sink_write, NULL) != ARCHIVE_OK)
		return sink_check(s, a, false, e);
	if (write_header(a, s, BUNDLE_MANIFEST_NAME, manifest_json.len, e) < 0 ||
		write_bytes(a, s, manifest_json, e) < 0)
		return -1;
	for (size_t i = 0; i < bundle_places(m); i++) {
		uint64_t size;

		if (!bundle_member_at(m, i, &p, &role))
			continue;
		size = m->payloads[p].members[role].size;
		bundle_member_name(&m->payloads[p], role, member);
		if (write_header(a, s, member, size, e) < 0 ||
			write_part(a, s, &parts[p][role], member, size, e) < 0)
			return -1;
	}
	return sink_check(s, a, archive_write_close(a) == ARCHIVE_OK, e);
}

int
bundle_write(int fd, const char *name, const struct manifest *m, struct span manifest_json,
	struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES], struct err *e)
{
	struct sink s = {.fd = fd, .name = name};
	struct bundle_layout l;
	struct archive *a;
	int result;

	if (bundle_layout(m, manifest_json.len, &l, e) < 0)
		return -1;
	a = archive_write_new();
	if (!a)
		return err_sys(e, ENOMEM, "writing %s", name);
	result = write_members(a, &s, m, manifest_json, parts, e);
	s.given_up = true;
	(void)archive_write_free(a);
	if (result < 0)
		return -1;
	/* A libarchive that writes other headers one day is found here, and not on the boxes. */
	return bundle_check_layout(fd, name, m, &l, false, e);
}
