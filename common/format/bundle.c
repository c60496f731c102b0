#include "common/format/bundle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/bundle_members.h"
#include "common/limits.h"

enum {
	BLOCK_BYTES = 512,
	END_BLOCKS = 2,
	SIZE_AT = 124,
	SIZE_DIGITS = 11,
	SUM_AT = 148,
	SUM_BYTES = 8,
};

/* Eleven octal digits hold less than this; from here on a size stands in base 256. */
static const uint64_t octal_bytes_end = 8ULL << 30;

void
bundle_member_name(
	const struct payload *p, enum member_role role, char out[BUNDLE_MEMBER_NAME_SIZE])
{
	(void)snprintf(out, BUNDLE_MEMBER_NAME_SIZE, "%s.%s", p->name, member_role_name(role));
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
	memcpy(h, name, strnlen(name, BUNDLE_MEMBER_NAME_SIZE - 1));
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

bool
bundle_member_at(const struct manifest *m, size_t i, size_t *payload, enum member_role *role)
{
	*role = (enum member_role)(i / m->payload_count);
	*payload = i % m->payload_count;
	return m->payloads[*payload].members[*role].present;
}

size_t
bundle_places(const struct manifest *m)
{
	return MEMBER_ROLES * m->payload_count;
}

static bool
in_head(enum member_role role)
{
	return role < MEMBER_HEAD_ROLES;
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
	for (size_t i = 0; i < bundle_places(m); i++) {
		if (!bundle_member_at(m, i, &p, &role))
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
	char found[BUNDLE_MEMBER_NAME_SIZE];

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
	if (memcmp(h, BUNDLE_MANIFEST_NAME, sizeof(BUNDLE_MANIFEST_NAME)) != 0)
		return err_set(e, ERR_MALFORMED, "%s is no bundle: it does not begin with %s", name,
			BUNDLE_MANIFEST_NAME);
	memcpy(digits, h + SIZE_AT, SIZE_DIGITS);
	if (strspn(digits, "01234567") != SIZE_DIGITS)
		return err_set(e, ERR_MALFORMED, "%s: %s has no size", name, BUNDLE_MANIFEST_NAME);
	size = strtoull(digits, NULL, 8);
	if (size < 1 || size > MANIFEST_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "%s: %s of %" PRIu64 " bytes", name,
			BUNDLE_MANIFEST_NAME, size);
	if (check_place(fd, name, BUNDLE_MANIFEST_NAME, BLOCK_BYTES, size, e) < 0 ||
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
	char member[BUNDLE_MEMBER_NAME_SIZE];
	enum member_role role;
	size_t p;

	if (check_place(fd, name, BUNDLE_MANIFEST_NAME, l->manifest_offset, l->manifest_size, e) <
		0)
		return -1;
	for (size_t i = 0; i < bundle_places(m); i++) {
		if (!bundle_member_at(m, i, &p, &role) || (head_only && !in_head(role)))
			continue;
		bundle_member_name(&m->payloads[p], role, member);
		if (check_place(fd, name, member, l->offset[p][role],
			    m->payloads[p].members[role].size, e) < 0)
			return -1;
	}
	if (!head_only && check_end(fd, name, l, e) < 0)
		return -1;
	return check_size(fd, name, l, head_only, e);
}

static int
put_header(
	int fd, const char *name, const char *member, uint64_t offset, uint64_t size, struct err *e)
{
	uint8_t h[BLOCK_BYTES];

	header_make(h, member, size);
	return file_pwrite_full(fd, name, h, sizeof(h), offset - BLOCK_BYTES, e);
}

int
bundle_put_headers(int fd, const char *name, const struct manifest *m,
	const struct bundle_layout *l, struct err *e)
{
	char member[BUNDLE_MEMBER_NAME_SIZE];
	enum member_role role;
	size_t p;

	if (ftruncate(fd, (off_t)l->head_size) < 0)
		return err_sys(e, errno, "writing %s", name);
	if (put_header(fd, name, BUNDLE_MANIFEST_NAME, l->manifest_offset, l->manifest_size, e) < 0)
		return -1;
	for (size_t i = 0; i < bundle_places(m); i++) {
		if (!bundle_member_at(m, i, &p, &role) || !in_head(role))
			continue;
		bundle_member_name(&m->payloads[p], role, member);
		if (put_header(fd, name, member, l->offset[p][role],
			    m->payloads[p].members[role].size, e) < 0)
			return -1;
	}
	return 0;
}

int
bundle_check_member(int fd, const char *name, const struct bundle_layout *l,
	const struct manifest *m, size_t payload, enum member_role role, struct err *e)
{
	const struct member *expected = &m->payloads[payload].members[role];
	char member[BUNDLE_MEMBER_NAME_SIZE];
	struct digest got;

	bundle_member_name(&m->payloads[payload], role, member);
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
