#include "common/format/bundle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/archive.h"
#include "common/limits.h"

enum {
	BLOCK_BYTES = 512,
	END_BLOCKS = 2,
	MEMBER_NAME_SIZE = 100, /* of the header's field; ours are at most 70 bytes */
	SIZE_AT = 124,
	SIZE_DIGITS = 11,
	SUM_AT = 148,
	SUM_BYTES = 8,
	COPY_BYTES = 256 * 1024,
};

static const char manifest_name[] = "manifest.json";

/* Eleven octal digits hold less than this; from here on a size stands in base 256. */
static const uint64_t octal_bytes_end = 8ULL << 30;

static void
member_name(const struct payload *p, enum member_role role, char out[MEMBER_NAME_SIZE])
{
	(void)snprintf(out, MEMBER_NAME_SIZE, "%s.%s", p->name, member_role_name(role));
}

static void
put_size(uint8_t field[SIZE_DIGITS + 1], uint64_t size)
{
	if (size < octal_bytes_end) {
		(void)snprintf((char *)field, SIZE_DIGITS + 1, "%0*" PRIo64, SIZE_DIGITS, size);
		return;
	}
	for (int i = SIZE_DIGITS; i > 0; i--) {
		field[i] = (uint8_t)size;
		size >>= 8;
	}
	field[0] = 0x80;
}

/* The one header that a member of this name and size may have: to the byte what libarchive's gnutar
 * writer makes of a plain file of mode 0644, user, group and time 0. */
static void
header_make(uint8_t h[BLOCK_BYTES], const char *name, uint64_t size)
{
	unsigned sum = 0;

	memset(h, 0, BLOCK_BYTES);
	memcpy(h, name, strnlen(name, MEMBER_NAME_SIZE - 1));
	memcpy(h + 100, "0000644", 8);
	memcpy(h + 108, "0000000", 8);
	memcpy(h + 116, "0000000", 8);
	put_size(h + SIZE_AT, size);
	memcpy(h + 136, "00000000000", 12);
	h[156] = '0';
	memcpy(h + 257, "ustar  ", 8);
	memset(h + SUM_AT, ' ', SUM_BYTES);
	for (size_t i = 0; i < BLOCK_BYTES; i++)
		sum += h[i];
	(void)snprintf((char *)h + SUM_AT, SUM_BYTES - 1, "%06o", sum);
}

static uint64_t
padding_after(uint64_t size)
{
	return (BLOCK_BYTES - size % BLOCK_BYTES) % BLOCK_BYTES;
}

/* Sets *offset to where the content of a member that begins at *end stands, and moves *end behind
 * the member. */
static int
place(uint64_t *end, uint64_t size, uint64_t *offset, struct err *e)
{
	uint64_t content, behind;

	if (num_add(*end, BLOCK_BYTES, &content, "the bundle's size", e) < 0 ||
		num_add(content, size, &behind, "the bundle's size", e) < 0 ||
		num_add(behind, padding_after(size), &behind, "the bundle's size", e) < 0)
		return -1;
	*offset = content;
	*end = behind;
	return 0;
}

/* Members by place in the file, the manifest not counted: for every role all payloads. False where
 * the payload has no such member. */
static bool
member_at(const struct manifest *m, size_t i, size_t *payload, enum member_role *role)
{
	*role = (enum member_role)(i / m->payload_count);
	*payload = i % m->payload_count;
	return m->payloads[*payload].members[*role].present;
}

static size_t
places(const struct manifest *m)
{
	return MEMBER_ROLES * m->payload_count;
}

static bool
in_head(enum member_role role)
{
	return role == MEMBER_INDEX || role == MEMBER_FILES;
}

int
bundle_layout(
	const struct manifest *m, uint64_t manifest_size, struct bundle_layout *out, struct err *e)
{
	struct bundle_layout l = {.manifest_size = manifest_size};
	enum member_role role;
	uint64_t end = 0;
	size_t p;

	if (manifest_size < 1 || manifest_size > MANIFEST_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "a manifest of %" PRIu64 " bytes", manifest_size);
	if (place(&end, manifest_size, &l.manifest_offset, e) < 0)
		return -1;
	l.head_size = end;
	for (size_t i = 0; i < places(m); i++) {
		if (!member_at(m, i, &p, &role))
			continue;
		if (place(&end, m->payloads[p].members[role].size, &l.offset[p][role], e) < 0)
			return -1;
		if (in_head(role))
			l.head_size = end;
	}
	if (l.head_size > HEAD_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "indexes and lists of files of %" PRIu64 " bytes",
			l.head_size);
	if (num_add(end, END_BLOCKS * BLOCK_BYTES, &l.total_size, "the bundle's size", e) < 0)
		return -1;
	*out = l;
	return 0;
}

/* What stands where another header was expected, for a message. */
static int
header_refuse(const uint8_t h[BLOCK_BYTES], const char *expected, struct err *e)
{
	char found[MEMBER_NAME_SIZE];

	memcpy(found, h, sizeof(found) - 1);
	found[sizeof(found) - 1] = 0;
	for (char *c = found; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	if (!*found)
		return err_set(e, ERR_MALFORMED, "the members end where %s was expected", expected);
	if (strcmp(found, expected) != 0)
		return err_set(e, ERR_MALFORMED, "member '%s' stands where %s was expected", found,
			expected);
	return err_set(e, ERR_MALFORMED,
		"member %s has another type, size, owner, mode or time than it must have",
		expected);
}

static int
check_zeros(int fd, const char *name, uint64_t offset, size_t len, const char *what, struct err *e)
{
	static const uint8_t zeros[END_BLOCKS * BLOCK_BYTES];
	uint8_t got[END_BLOCKS * BLOCK_BYTES];

	if (file_pread_full(fd, name, got, len, offset, e) < 0)
		return -1;
	if (memcmp(got, zeros, len) != 0)
		return err_set(
			e, ERR_MALFORMED, "%s: the bytes behind %s are not zeros", name, what);
	return 0;
}

/* The header before a member's content, and the padding behind it. */
static int
check_place(
	int fd, const char *name, const char *member, uint64_t offset, uint64_t size, struct err *e)
{
	uint8_t expected[BLOCK_BYTES], got[BLOCK_BYTES];

	header_make(expected, member, size);
	if (file_pread_full(fd, name, got, sizeof(got), offset - BLOCK_BYTES, e) < 0)
		return err_context(e, "%s", member);
	if (memcmp(got, expected, sizeof(got)) != 0) {
		header_refuse(got, member, e);
		return err_context(e, "%s", name);
	}
	return check_zeros(fd, name, offset + size, (size_t)padding_after(size), member, e);
}

int
bundle_read_manifest(int fd, const char *name, struct buf *out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(MANIFEST_BYTES_MAX);
	char digits[SIZE_DIGITS + 1] = "";
	uint8_t h[BLOCK_BYTES];
	uint64_t size;

	if (file_pread_full(fd, name, h, sizeof(h), 0, e) < 0)
		return -1;
	if (memcmp(h, manifest_name, sizeof(manifest_name)) != 0)
		return err_set(e, ERR_MALFORMED, "%s is no bundle: it does not begin with %s", name,
			manifest_name);
	memcpy(digits, h + SIZE_AT, SIZE_DIGITS);
	if (strspn(digits, "01234567") != SIZE_DIGITS)
		return err_set(e, ERR_MALFORMED, "%s: %s has no size", name, manifest_name);
	size = strtoull(digits, NULL, 8);
	if (size < 1 || size > MANIFEST_BYTES_MAX)
		return err_set(
			e, ERR_LIMIT, "%s: %s of %" PRIu64 " bytes", name, manifest_name, size);
	if (check_place(fd, name, manifest_name, BLOCK_BYTES, size, e) < 0 ||
		buf_reserve(&bytes, (size_t)size, e) < 0 ||
		file_pread_full(fd, name, bytes.data, (size_t)size, BLOCK_BYTES, e) < 0)
		return -1;
	return buf_append(out, bytes.data, (size_t)size, e);
}

static int
check_end(int fd, const char *name, const struct bundle_layout *l, struct err *e)
{
	uint64_t end = l->total_size - END_BLOCKS * BLOCK_BYTES;

	return check_zeros(fd, name, end, END_BLOCKS * BLOCK_BYTES, "the last member", e);
}

/* Last of all: before that a member too many is named, which tells more than a size. */
static int
check_size(int fd, const char *name, const struct bundle_layout *l, bool head_only, struct err *e)
{
	uint64_t size, expected = head_only ? l->head_size : l->total_size;

	if (file_size(fd, name, &size, e) < 0)
		return -1;
	if (size < expected)
		return err_set(e, ERR_MALFORMED,
			"%s is cut: it has %" PRIu64 " of %" PRIu64 " bytes", name, size, expected);
	if (size > l->total_size)
		return err_set(e, ERR_MALFORMED, "%s: %" PRIu64 " bytes stand behind its end", name,
			size - l->total_size);
	return 0;
}

int
bundle_check_layout(int fd, const char *name, const struct manifest *m,
	const struct bundle_layout *l, bool head_only, struct err *e)
{
	char member[MEMBER_NAME_SIZE];
	enum member_role role;
	size_t p;

	if (check_place(fd, name, manifest_name, l->manifest_offset, l->manifest_size, e) < 0)
		return -1;
	for (size_t i = 0; i < places(m); i++) {
		if (!member_at(m, i, &p, &role) || (head_only && !in_head(role)))
			continue;
		member_name(&m->payloads[p], role, member);
		if (check_place(fd, name, member, l->offset[p][role],
			    m->payloads[p].members[role].size, e) < 0)
			return -1;
	}
	if (!head_only && check_end(fd, name, l, e) < 0)
		return -1;
	return check_size(fd, name, l, head_only, e);
}

int
bundle_check_member(int fd, const char *name, const struct bundle_layout *l,
	const struct manifest *m, size_t payload, enum member_role role, struct err *e)
{
	const struct member *expected = &m->payloads[payload].members[role];
	char member[MEMBER_NAME_SIZE];
	struct digest got;

	member_name(&m->payloads[payload], role, member);
	if (!expected->present)
		return err_set(e, ERR_MALFORMED, "%s: there is no %s", name, member);
	if (digest_fd(fd, name, l->offset[payload][role], expected->size, &got, e) < 0)
		return err_context(e, "%s", member);
	if (!digest_equal(&got, &expected->digest))
		return err_set(
			e, ERR_UNTRUSTED, "%s: %s is not what the manifest says", name, member);
	return 0;
}

int
bundle_head(
	int fd, const char *name, const struct bundle_layout *l, struct digest *out, struct err *e)
{
	return digest_fd(fd, name, 0, l->head_size, out, e);
}

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
	char member[MEMBER_NAME_SIZE];
	enum member_role role;
	size_t p;

	if (archive_write_set_format_gnutar(a) != ARCHIVE_OK ||
		archive_write_set_bytes_per_block(a, 0) != ARCHIVE_OK ||
		archive_write_open(a, s, NULL, sink_write, NULL) != ARCHIVE_OK)
		return sink_check(s, a, false, e);
	if (write_header(a, s, manifest_name, manifest_json.len, e) < 0 ||
		write_bytes(a, s, manifest_json, e) < 0)
		return -1;
	for (size_t i = 0; i < places(m); i++) {
		uint64_t size;

		if (!member_at(m, i, &p, &role))
			continue;
		size = m->payloads[p].members[role].size;
		member_name(&m->payloads[p], role, member);
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
