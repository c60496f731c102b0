#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/archive.h"
#include "common/format/bundle.h"

#define BLOCK ((size_t)512)

enum { SAMPLE_MEMBERS = 9, BUNDLE_MAX = 64 * 1024 };

static const char manifest_json[] = "{\"signed\":{},\"signatures\":[]}";

/* A bundle of an image with hints and cuts and a tree, its parts all in one file. */
struct sample {
	struct manifest m;
	struct bundle_layout l;
	struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES];
	int parts_fd, fd;
	uint8_t bytes[BUNDLE_MAX];
	size_t len;
};

static const char *const sample_names[SAMPLE_MEMBERS] = {"manifest.json", "rootfs.index",
	"app.index", "app.files", "rootfs.seals", "rootfs.hints", "rootfs.cuts", "rootfs.data",
	"app.data"};

static int
memory_file(void)
{
	int fd = memfd_create("bundle", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void
add_member(struct sample *s, size_t payload, enum member_role role, size_t size, uint64_t *at)
{
	struct member *m = &s->m.payloads[payload].members[role];
	uint8_t bytes[2000];
	struct err e = ERR_INIT;

	assert_true(size <= sizeof(bytes));
	memset(bytes, 'a' + (int)(4 * payload + role), sizeof(bytes));
	assert_int_equal(file_pwrite_full(s->parts_fd, "parts", bytes, size, *at, &e), 0);
	*m = (struct member){
		.present = true, .size = size, .digest = digest_of(span_of(bytes, size))};
	s->parts[payload][role] = (struct bundle_part){.fd = s->parts_fd, .offset = *at};
	*at += size;
}

static void
sample_manifest(struct sample *s)
{
	uint64_t at = 7;

	memset(s, 0, sizeof(*s));
	s->parts_fd = memory_file();
	s->fd = memory_file();
	s->m.payload_count = 2;
	(void)strcpy(s->m.payloads[0].name, "rootfs");
	(void)strcpy(s->m.payloads[1].name, "app");
	s->m.payloads[1].kind = PAYLOAD_TREE;
	add_member(s, 0, MEMBER_INDEX, 104, &at);
	add_member(s, 0, MEMBER_SEALS, 16, &at);
	add_member(s, 0, MEMBER_HINTS, 8, &at);
	add_member(s, 0, MEMBER_CUTS, 288, &at);
	add_member(s, 0, MEMBER_DATA, 1500, &at);
	add_member(s, 1, MEMBER_INDEX, 32, &at);
	add_member(s, 1, MEMBER_FILES, 512, &at);
	add_member(s, 1, MEMBER_DATA, 0, &at);
}

static struct sample *
sample_make(void)
{
	struct sample *s = calloc(1, sizeof(*s));
	struct err e = ERR_INIT;

	assert_non_null(s);
	sample_manifest(s);
	assert_int_equal(bundle_layout(&s->m, strlen(manifest_json), &s->l, &e), 0);
	if (bundle_write(s->fd, "x.ota", &s->m, span_str(manifest_json), s->parts, &e) < 0)
		fail_msg("%s", e.text);
	s->len = (size_t)s->l.total_size;
	assert_true(s->len <= sizeof(s->bytes));
	assert_int_equal(file_pread_full(s->fd, "x.ota", s->bytes, s->len, 0, &e), 0);
	return s;
}

static void
sample_free(struct sample **s)
{
	if (!*s)
		return;
	(void)close((*s)->fd);
	(void)close((*s)->parts_fd);
	free(*s);
}
#define AUTO_SAMPLE CLEANUP(sample_free)

/* Writes bytes[0 .. len) anew, and checks them. */
static int
recheck(struct sample *s, bool head_only, struct err *e)
{
	assert_int_equal(ftruncate(s->fd, 0), 0);
	assert_int_equal(file_pwrite_full(s->fd, "x.ota", s->bytes, s->len, 0, e), 0);
	return bundle_check_layout(s->fd, "x.ota", &s->m, &s->l, head_only, e);
}

static void
assert_refused(struct sample *s, const char *says)
{
	struct err e = ERR_INIT;

	assert_int_equal(recheck(s, false, &e), -1);
	if (e.class != ERR_MALFORMED || !strstr(e.text, says))
		fail_msg("class %s, \"%s\" (not \"%s\")", err_class_name(e.class), e.text, says);
}

/* Takes one header and no more, so that libarchive does not fill up a member of a TiB with zeros
 * when it is freed. */
struct header_taker {
	uint8_t *out;
	bool taken;
};

static la_ssize_t
take_header(struct archive *a, void *arg, const void *data, size_t len)
{
	struct header_taker *t = arg;

	if (t->taken) {
		archive_set_error(a, EIO, "enough");
		return -1;
	}
	assert_int_equal(len, BLOCK);
	memcpy(t->out, data, len);
	t->taken = true;
	return (la_ssize_t)len;
}

/* A header as libarchive writes it, independent of our own. */
static void
archive_header(uint8_t out[BLOCK], const char *name, uint64_t size, unsigned type)
{
	AUTO_ARCHIVE_ENTRY struct archive_entry *entry = archive_entry_new();
	struct archive *a = archive_write_new();
	struct header_taker t = {.out = out};

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, type);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(entry, "/etc/shadow");
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, (la_int64_t)size);
	assert_int_equal(archive_write_set_format_gnutar(a), ARCHIVE_OK);
	assert_int_equal(archive_write_set_bytes_per_block(a, 0), ARCHIVE_OK);
	assert_int_equal(archive_write_open(a, &t, NULL, take_header, NULL), ARCHIVE_OK);
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	(void)archive_write_free(a);
}

/* Lists fd with libarchive: names and sizes, in order. */
static void
assert_listed(int fd, const char *const *names, const uint64_t *sizes, size_t count)
{
	AUTO_ARCHIVE_READ struct archive *a = archive_read_new();
	struct archive_entry *entry;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(archive_read_support_format_tar(a), ARCHIVE_OK);
	assert_int_equal(archive_read_open_fd(a, fd, 65536), ARCHIVE_OK);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(archive_read_next_header(a, &entry), ARCHIVE_OK);
		assert_string_equal(archive_entry_pathname(entry), names[i]);
		assert_int_equal(archive_entry_filetype(entry), AE_IFREG);
		assert_true((uint64_t)archive_entry_size(entry) == sizes[i]);
	}
	assert_int_equal(archive_read_next_header(a, &entry), ARCHIVE_EOF);
}

static void
bundle_is_a_tar_with_its_members_in_order(void **state)
{
	static const uint64_t sizes[SAMPLE_MEMBERS] = {
		sizeof(manifest_json) - 1, 104, 32, 512, 16, 8, 288, 1500, 0};
	AUTO_SAMPLE struct sample *s = sample_make();
	struct err e = ERR_INIT;
	uint64_t size;

	(void)state;
	assert_listed(s->fd, sample_names, sizes, SAMPLE_MEMBERS);
	assert_int_equal(file_size(s->fd, "x.ota", &size, &e), 0);
	assert_int_equal(size, s->l.total_size);
	assert_int_equal(s->l.head_size, 5 * BLOCK + 5 * BLOCK);
	assert_int_equal(size, 9 * BLOCK + 5 * BLOCK + 2 * BLOCK + 3 * BLOCK + 2 * BLOCK);
}

static void
bundle_is_accepted_and_gives_what_was_put_in(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	struct digest head, expected;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(bundle_check_layout(s->fd, "x.ota", &s->m, &s->l, false, &e), 0);
	assert_int_equal(bundle_check_layout(s->fd, "x.ota", &s->m, &s->l, true, &e), 0);
	assert_int_equal(bundle_read_manifest(s->fd, "x.ota", &json, &e), 0);
	assert_string_equal(buf_str(&json), manifest_json);
	for (int role = 0; role < MEMBER_ROLES; role++) {
		for (size_t p = 0; p < 2; p++) {
			if (s->m.payloads[p].members[role].present)
				assert_int_equal(bundle_check_member(s->fd, "x.ota", &s->l, &s->m,
							 p, (enum member_role)role, &e),
					0);
		}
	}
	assert_int_equal(bundle_head(s->fd, "x.ota", &s->l, &head, &e), 0);
	expected = digest_of(span_of(s->bytes, (size_t)s->l.head_size));
	assert_true(digest_equal(&head, &expected));
}

static void
bundle_of_the_same_parts_is_the_same_bytes(void **state)
{
	AUTO_SAMPLE struct sample *a = sample_make(), *b = sample_make();

	(void)state;
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->bytes, b->bytes, a->len);
}

static void
bundle_with_any_byte_of_a_header_or_padding_flipped_is_refused(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();
	size_t content = 0;

	(void)state;
	for (size_t i = 0; i < s->len; i++) {
		struct err e = ERR_INIT;

		s->bytes[i] ^= 0x20;
		/* What a member holds is a matter of its digest. */
		if (recheck(s, false, &e) == 0)
			content++;
		else
			assert_int_equal(e.class, ERR_MALFORMED);
		s->bytes[i] ^= 0x20;
	}
	assert_int_equal(content, strlen(manifest_json) + 104 + 32 + 512 + 16 + 8 + 288 + 1500);
}

static void
bundle_cut_anywhere_is_refused(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();
	size_t whole = s->len;

	(void)state;
	for (s->len = 0; s->len < whole; s->len++) {
		struct err e = ERR_INIT;

		assert_int_equal(recheck(s, false, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		/* The head is good as soon as it is whole. */
		assert_int_equal(recheck(s, true, &e), s->len < s->l.head_size ? -1 : 0);
	}
}

static void
bundle_with_anything_behind_it_is_refused(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();

	(void)state;
	s->len++;
	assert_refused(s, "1 bytes stand behind its end");
	s->len += BLOCK - 1;
	assert_refused(s, "512 bytes stand behind its end");
	/* GNU tar's own padding to 40 blocks too: one bundle, one size. */
	s->len = 20480;
	assert_refused(s, "stand behind its end");
}

/* Puts a block in at `at`, moving the rest. */
static void
insert_block(struct sample *s, size_t at, const uint8_t block[BLOCK])
{
	memmove(s->bytes + at + BLOCK, s->bytes + at, s->len - at);
	memcpy(s->bytes + at, block, BLOCK);
	s->len += BLOCK;
}

static void
bundle_with_a_member_that_is_not_listed_is_refused_wherever_it_stands(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();
	uint64_t places[] = {0, s->l.offset[0][MEMBER_INDEX] - BLOCK, s->l.head_size,
		s->l.offset[0][MEMBER_DATA] - BLOCK, s->l.total_size - 2 * BLOCK};
	uint8_t evil[BLOCK], copy[BUNDLE_MAX];
	size_t len = s->len;

	(void)state;
	memcpy(copy, s->bytes, sizeof(copy));
	archive_header(evil, "evil.sh", 0, AE_IFREG);
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		insert_block(s, (size_t)places[i], evil);
		assert_refused(s,
			i + 1 < ARRAY_LEN(places) ? "member 'evil.sh' stands where" : "not zeros");
		memcpy(s->bytes, copy, sizeof(copy));
		s->len = len;
	}
}

static void
bundle_with_a_doubled_or_missing_member_is_refused(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();
	size_t at = (size_t)s->l.offset[1][MEMBER_INDEX] - BLOCK;
	uint8_t block[BLOCK];

	(void)state;
	/* app.index again: its header, then its one block. */
	memcpy(block, s->bytes + at + BLOCK, BLOCK);
	insert_block(s, at, block);
	memcpy(block, s->bytes + at + BLOCK, BLOCK);
	insert_block(s, at, block);
	assert_refused(s, "member 'app.index' stands where app.files was expected");
	memmove(s->bytes + at, s->bytes + at + 4 * BLOCK, s->len - at - 4 * BLOCK);
	s->len -= 4 * BLOCK;
	assert_refused(s, "member 'app.files' stands where app.index was expected");
	s->len = at;
	memset(s->bytes + s->len, 0, 2 * BLOCK);
	s->len += 2 * BLOCK;
	assert_refused(s, "the members end where app.index was expected");
}

static void
bundle_with_members_in_another_order_is_refused(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();
	size_t first = (size_t)s->l.offset[0][MEMBER_INDEX] - BLOCK;
	uint8_t both[4 * BLOCK];

	(void)state;
	/* rootfs.index and app.index, two blocks each. */
	memcpy(both, s->bytes + first + 2 * BLOCK, 2 * BLOCK);
	memcpy(both + 2 * BLOCK, s->bytes + first, 2 * BLOCK);
	memcpy(s->bytes + first, both, sizeof(both));
	assert_refused(s, "member 'app.index' stands where rootfs.index was expected");
}

static void
bundle_with_a_member_of_another_type_or_size_is_refused(void **state)
{
	static const unsigned types[] = {AE_IFLNK, AE_IFDIR, AE_IFCHR, AE_IFIFO};
	AUTO_SAMPLE struct sample *s = sample_make();
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		archive_header(
			s->bytes + s->l.offset[1][MEMBER_DATA] - BLOCK, "app.data", 0, types[i]);
		/* A folder's name gets a slash, so that it is another name besides. */
		assert_refused(s, "app.data");
	}
	archive_header(s->bytes + s->l.offset[1][MEMBER_DATA] - BLOCK, "app.data", 0, AE_IFREG);
	assert_int_equal(recheck(s, false, &e), 0);
	archive_header(
		s->bytes + s->l.offset[0][MEMBER_DATA] - BLOCK, "rootfs.data", 1499, AE_IFREG);
	assert_refused(s, "member rootfs.data has another type, size");
}

static void
bundle_with_terminal_codes_in_a_name_does_not_print_them(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();
	uint8_t *h = s->bytes + s->l.offset[0][MEMBER_DATA] - BLOCK;

	(void)state;
	archive_header(h, "\x1b[2J", 0, AE_IFREG);
	assert_refused(s, "member '?[2J' stands");
	memset(h, 'x', BLOCK);
	assert_refused(s, "stands where rootfs.data was expected");
}

static void
bundle_member_with_other_content_is_untrusted(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();
	struct err e = ERR_INIT;

	(void)state;
	s->bytes[s->l.offset[0][MEMBER_DATA] + 1499] ^= 1;
	assert_int_equal(recheck(s, false, &e), 0);
	assert_int_equal(bundle_check_member(s->fd, "x.ota", &s->l, &s->m, 0, MEMBER_DATA, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_non_null(strstr(e.text, "rootfs.data"));
	assert_int_equal(
		bundle_check_member(s->fd, "x.ota", &s->l, &s->m, 0, MEMBER_FILES, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

static void
assert_no_manifest(struct sample *s, enum err_class class, const char *says)
{
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	struct err e = ERR_INIT;

	assert_int_equal(ftruncate(s->fd, 0), 0);
	assert_int_equal(file_pwrite_full(s->fd, "x.ota", s->bytes, s->len, 0, &e), 0);
	assert_int_equal(bundle_read_manifest(s->fd, "x.ota", &json, &e), -1);
	if (e.class != class || !strstr(e.text, says))
		fail_msg("class %s, \"%s\" (not \"%s\")", err_class_name(e.class), e.text, says);
	assert_int_equal(json.len, 0);
}

static void
bundle_manifest_is_read_from_nothing_else(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();
	size_t whole = s->len;

	(void)state;
	s->len = 0;
	assert_no_manifest(s, ERR_MALFORMED, "x.ota");
	s->len = BLOCK + strlen(manifest_json) - 1;
	assert_no_manifest(s, ERR_MALFORMED, "x.ota");
	s->len = whole;
	archive_header(s->bytes, "manifest.jsonx", strlen(manifest_json), AE_IFREG);
	assert_no_manifest(s, ERR_MALFORMED, "no bundle");
	archive_header(s->bytes, "./manifest.json", strlen(manifest_json), AE_IFREG);
	assert_no_manifest(s, ERR_MALFORMED, "no bundle");
	archive_header(s->bytes, "manifest.json", 0, AE_IFLNK);
	assert_no_manifest(s, ERR_LIMIT, "of 0 bytes");
	archive_header(s->bytes, "manifest.json", MANIFEST_BYTES_MAX + 1, AE_IFREG);
	assert_no_manifest(s, ERR_LIMIT, "of 262145 bytes");
	archive_header(s->bytes, "manifest.json", 1ULL << 40, AE_IFREG);
	assert_no_manifest(s, ERR_MALFORMED, "has no size");
	archive_header(s->bytes, "manifest.json", strlen(manifest_json), AE_IFREG);
	s->bytes[156] = '5';
	assert_no_manifest(s, ERR_MALFORMED, "another type");
	s->bytes[156] = '0';
	s->bytes[BLOCK + strlen(manifest_json)] = 'x';
	assert_no_manifest(s, ERR_MALFORMED, "not zeros");
}

static void
bundle_layout_knows_its_limits(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();
	struct bundle_layout l = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(bundle_layout(&s->m, 0, &l, &e), -1);
	assert_int_equal(bundle_layout(&s->m, MANIFEST_BYTES_MAX, &l, &e), 0);
	memset(&l, 0, sizeof(l));
	assert_int_equal(bundle_layout(&s->m, MANIFEST_BYTES_MAX + 1, &l, &e), -1);
	s->m.payloads[1].members[MEMBER_FILES].size = HEAD_BYTES_MAX;
	assert_int_equal(bundle_layout(&s->m, 10, &l, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	s->m.payloads[1].members[MEMBER_FILES].size = 0;
	s->m.payloads[0].members[MEMBER_DATA].size = UINT64_MAX - 4096;
	assert_int_equal(bundle_layout(&s->m, 10, &l, &e), -1);
	s->m.payloads[0].members[MEMBER_DATA].size = UINT64_MAX;
	assert_int_equal(bundle_layout(&s->m, 10, &l, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(l.total_size, 0);
}

/* Places from sizes, where libarchive's header is the judge: a sparse file with nothing in it but
 * headers is a bundle, and lists as one. */
static void
assert_large_member(uint64_t size)
{
	const char *const names[] = {"manifest.json", "p.index", "p.data"};
	const uint64_t sizes[] = {2, 32, size};
	AUTO_FREE struct manifest *m = calloc(1, sizeof(*m));
	AUTO_CLOSE int fd = memory_file();
	struct bundle_layout l;
	struct err e = ERR_INIT;
	uint8_t h[BLOCK];

	assert_non_null(m);
	m->payload_count = 1;
	(void)strcpy(m->payloads[0].name, "p");
	m->payloads[0].members[MEMBER_INDEX] = (struct member){.present = true, .size = 32};
	m->payloads[0].members[MEMBER_DATA] = (struct member){.present = true, .size = size};
	assert_int_equal(bundle_layout(m, 2, &l, &e), 0);
	assert_int_equal(l.offset[0][MEMBER_DATA], 5 * BLOCK);
	assert_true(l.total_size == 5 * BLOCK + num_div_up(size, BLOCK) * BLOCK + 1024);
	assert_int_equal(ftruncate(fd, (off_t)l.total_size), 0);
	archive_header(h, names[0], 2, AE_IFREG);
	assert_int_equal(file_pwrite_full(fd, "x", h, BLOCK, 0, &e), 0);
	archive_header(h, names[1], 32, AE_IFREG);
	assert_int_equal(file_pwrite_full(fd, "x", h, BLOCK, 2 * BLOCK, &e), 0);
	archive_header(h, names[2], size, AE_IFREG);
	assert_int_equal(file_pwrite_full(fd, "x", h, BLOCK, 4 * BLOCK, &e), 0);
	if (bundle_check_layout(fd, "x.ota", m, &l, false, &e) < 0)
		fail_msg("%s", e.text);
	assert_listed(fd, names, sizes, ARRAY_LEN(names));
	assert_int_equal(ftruncate(fd, (off_t)l.total_size + 1), 0);
	assert_int_equal(bundle_check_layout(fd, "x.ota", m, &l, false, &e), -1);
}

static void
bundle_members_may_be_larger_than_2_4_and_8_gib(void **state)
{
	static const uint64_t edges[] = {2ULL << 30, 4ULL << 30, 8ULL << 30, PAYLOAD_BYTES_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
		assert_large_member(edges[i] - 1);
		assert_large_member(edges[i]);
		if (edges[i] < PAYLOAD_BYTES_MAX)
			assert_large_member(edges[i] + 1);
	}
}

static void
bundle_is_not_written_when_a_part_is_short(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();
	struct err e = ERR_INIT;
	uint64_t size;

	(void)state;
	assert_int_equal(ftruncate(s->fd, 0), 0);
	s->m.payloads[0].members[MEMBER_DATA].size = 2ULL << 40;
	assert_int_equal(
		bundle_write(s->fd, "x.ota", &s->m, span_str(manifest_json), s->parts, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "rootfs.data"));
	/* The rest of the TiB was not filled up with zeros. */
	assert_int_equal(file_size(s->fd, "x.ota", &size, &e), 0);
	assert_true(size < BUNDLE_MAX);
}

static void
bundle_write_reports_a_file_that_takes_no_more(void **state)
{
	AUTO_SAMPLE struct sample *s = sample_make();
	AUTO_CLOSE int full = open("/dev/full", O_RDWR | O_CLOEXEC);
	struct err e = ERR_INIT;

	(void)state;
	assert_true(full >= 0);
	assert_int_equal(
		bundle_write(full, "x.ota", &s->m, span_str(manifest_json), s->parts, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(e.errnum, ENOSPC);
	assert_non_null(strstr(e.text, "x.ota"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bundle_is_a_tar_with_its_members_in_order),
		cmocka_unit_test(bundle_is_accepted_and_gives_what_was_put_in),
		cmocka_unit_test(bundle_of_the_same_parts_is_the_same_bytes),
		cmocka_unit_test(bundle_with_any_byte_of_a_header_or_padding_flipped_is_refused),
		cmocka_unit_test(bundle_cut_anywhere_is_refused),
		cmocka_unit_test(bundle_with_anything_behind_it_is_refused),
		cmocka_unit_test(
			bundle_with_a_member_that_is_not_listed_is_refused_wherever_it_stands),
		cmocka_unit_test(bundle_with_a_doubled_or_missing_member_is_refused),
		cmocka_unit_test(bundle_with_members_in_another_order_is_refused),
		cmocka_unit_test(bundle_with_a_member_of_another_type_or_size_is_refused),
		cmocka_unit_test(bundle_with_terminal_codes_in_a_name_does_not_print_them),
		cmocka_unit_test(bundle_member_with_other_content_is_untrusted),
		cmocka_unit_test(bundle_manifest_is_read_from_nothing_else),
		cmocka_unit_test(bundle_layout_knows_its_limits),
		cmocka_unit_test(bundle_members_may_be_larger_than_2_4_and_8_gib),
		cmocka_unit_test(bundle_is_not_written_when_a_part_is_short),
		cmocka_unit_test(bundle_write_reports_a_file_that_takes_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
