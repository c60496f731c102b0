#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/process.h"
#include "common/crypto/random.h"
#include "common/format/files.h"
#include "signer/packer.h"
#include "signer/pipeline.h"
#include "tests/unit/folder.h"
#include "tests/unit/packed_scene.h"

static const char dir[] = ".";

static const char *
at(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	(void)snprintf(path, PATH_MAX, "%s/%s", dir, name);
	return path;
}

static void
put(const char *name, const void *data, size_t len)
{
	struct err e = ERR_INIT;

	if (file_replace(at(name), 0644, span_of(data, len), &e) < 0)
		fail_msg("%s", e.text);
}

/* Bytes that look like a file system: runs of zeros, text that shrinks, noise that does not. */
static uint8_t *
image_bytes(size_t len, unsigned kind)
{
	uint8_t *data = calloc(1, len + 1);

	assert_non_null(data);
	for (size_t i = 0; kind > 0 && i < len; i++)
		data[i] = (uint8_t)(i * 7 / 100 + i / 5000);
	if (kind > 1) {
		for (size_t i = 0; i + CHUNK_BYTES <= len; i += 5 * CHUNK_BYTES) {
			random_bytes(data + i, CHUNK_BYTES);
			if (i + 3 * CHUNK_BYTES <= len)
				memset(data + i + CHUNK_BYTES, 0, 2 * CHUNK_BYTES);
		}
	}
	return data;
}

static struct recipe_payload
source_of(const char *name, enum payload_kind kind)
{
	struct recipe_payload source = {.name = "rootfs", .slot_class = "slot", .kind = kind};

	(void)snprintf(source.source, sizeof(source.source), "%s/%s", dir, name);
	return source;
}

static void
pack(const char *name, enum payload_kind kind, unsigned threads, struct packed *out)
{
	struct recipe_payload source = source_of(name, kind);
	struct err e = ERR_INIT;

	if (payload_pack(&source, 6, threads, dir, out, &e) < 0)
		fail_msg("%s", e.text);
}

static void
image_survives(const uint8_t *data, size_t len)
{
	CLEANUP(packed_free) struct packed p = PACKED_INIT;
	CLEANUP(packed_free) struct packed more = PACKED_INIT;
	AUTO_FREE uint8_t *back = malloc(len + CHUNK_BYTES);
	struct digest whole = digest_of(span_of(data, len));
	uint64_t zeros = 0;

	put("image", data, len);
	pack("image", PAYLOAD_IMAGE, 1, &p);
	pack("image", PAYLOAD_IMAGE, 4, &more);
	same_packed(&p, &more);
	assert_int_equal(p.payload.size, len);
	assert_true(digest_equal(&p.payload.digest, &whole));
	for (int i = 0; i < MEMBER_ROLES; i++)
		member_is_as_it_says(&p, (enum member_role)i);
	assert_int_equal(unpack(&p, back, len + CHUNK_BYTES, &zeros), len);
	assert_memory_equal(back, data, len);
	hints_are_right(&p, data, len);
	cuts_are_right(&p, data);
	seals_are_right(&p);
	assert_string_equal(p.payload.name, "rootfs");
	assert_string_equal(p.payload.slot_class, "slot");
}

static void
images_of_all_sizes_survive_packing_with_any_number_of_threads(void **state)
{
	static const size_t sizes[] = {1, 4095, 4096, 4097, CHUNK_BYTES - 1, CHUNK_BYTES,
		CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 40 * CHUNK_BYTES + 12345, 80 * CHUNK_BYTES + 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (unsigned kind = 0; kind < 3; kind++) {
			AUTO_FREE uint8_t *data = image_bytes(sizes[i], kind);

			image_survives(data, sizes[i]);
		}
	}
}

static void
zeros_cost_one_entry(void **state)
{
	CLEANUP(packed_free) struct packed p = PACKED_INIT;
	AUTO_FREE uint8_t *data = image_bytes(50 * CHUNK_BYTES, 0),
			  *back = malloc(50 * CHUNK_BYTES);
	uint64_t zeros = 0;

	(void)state;
	put("image", data, 50 * CHUNK_BYTES);
	pack("image", PAYLOAD_IMAGE, 3, &p);
	assert_int_equal(p.payload.members[MEMBER_DATA].size, 0);
	assert_int_equal(
		p.payload.members[MEMBER_INDEX].size, INDEX_HEADER_BYTES + INDEX_ENTRY_BYTES);
	cuts_are_right(&p, data);
	assert_int_equal(unpack(&p, back, 50 * CHUNK_BYTES, &zeros), 50 * CHUNK_BYTES);
	assert_int_equal(zeros, 1);
}

static void
refuses(const char *name, enum payload_kind kind, unsigned threads, const char *why)
{
	struct recipe_payload source = source_of(name, kind);
	struct packed p = PACKED_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(payload_pack(&source, 6, threads, dir, &p, &e), -1);
	if (!strstr(e.text, why) || !strstr(e.text, name))
		fail_msg("'%s' lacks '%s' or '%s'", e.text, why, name);
	for (int i = 0; i < MEMBER_ROLES; i++)
		assert_int_equal(p.fd[i], -1);
}

static void
what_is_no_image_is_refused(void **state)
{
	(void)state;
	put("empty", "", 0);
	refuses("empty", PAYLOAD_IMAGE, 2, "the image is empty");
	refuses("missing", PAYLOAD_IMAGE, 2, "No such file");
	assert_int_equal(mkdir(at("folder"), 0755), 0);
	refuses("folder", PAYLOAD_IMAGE, 2, "kind: tree");
	assert_int_equal(mkfifo(at("pipe"), 0644), 0);
	refuses("pipe", PAYLOAD_IMAGE, 2, "a file or a block device");
	put("page.gz", "<html>not found</html>", 22);
	refuses("page.gz", PAYLOAD_IMAGE, 2, "not compressed that way");
	refuses("folder", PAYLOAD_TREE, 2, "the tree is empty");
	refuses("pipe", PAYLOAD_TREE, 2, "a folder or a tarball");
	refuses("page.gz", PAYLOAD_TREE, 2, "");
}

/* What a tool makes of a file, cut after len bytes where there are more. */
static void
put_cut(const char *tool, const char *from, const char *to, size_t len)
{
	const char *const argv[] = {tool, "-c", at(from), NULL};
	AUTO_BUF struct buf out = BUF_INIT(1 << 20);
	const struct process run = {.argv = argv, .output = &out, .timeout_ms = 60000};
	int status = -1;

	assert_int_equal(process_run(&run, &status, NULL), 0);
	assert_int_equal(status, 0);
	put(to, out.data, (size_t)num_min(out.len, len));
}

static void
a_damaged_compressed_image_is_refused(void **state)
{
	static const char *const tools[][2] = {
		{"gzip", "cut.gz"}, {"xz", "cut.xz"}, {"zstd", "cut.zst"}};
	AUTO_FREE uint8_t *data = image_bytes(10 * CHUNK_BYTES, 2);

	(void)state;
	put("image", data, 10 * CHUNK_BYTES);
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		put_cut(tools[i][0], "image", tools[i][1], 100000);
		refuses(tools[i][1], PAYLOAD_IMAGE, 1, "");
		refuses(tools[i][1], PAYLOAD_IMAGE, 4, "");
	}
}

/* Packs damaged versions of a compressed file: it is refused, or its bytes are the same. */
static void
flips_are_noticed(const char *name, enum payload_kind kind, size_t step)
{
	CLEANUP(packed_free) struct packed whole = PACKED_INIT;
	struct recipe_payload source = source_of(name, kind);
	AUTO_BUF struct buf bytes = BUF_INIT(1 << 20);
	AUTO_CLOSE int fd = open(at(name), O_RDWR | O_CLOEXEC);
	size_t refused = 0;

	assert_int_equal(file_read(at(name), &bytes, NULL), 0);
	pack(name, kind, 1, &whole);
	for (size_t i = 0; i < bytes.len; i += step) {
		CLEANUP(packed_free) struct packed p = PACKED_INIT;
		uint8_t flipped = bytes.data[i] ^ (uint8_t)(1 << (i % 8));
		struct err e = ERR_INIT;

		assert_int_equal(pwrite(fd, &flipped, 1, (off_t)i), 1);
		if (payload_pack(&source, 6, 1, dir, &p, &e) == 0)
			same_packed(&p, &whole);
		else
			refused++;
		assert_int_equal(pwrite(fd, bytes.data + i, 1, (off_t)i), 1);
	}
	for (size_t len = bytes.len - 1; len > step; len -= step) {
		CLEANUP(packed_free) struct packed p = PACKED_INIT;
		struct err e = ERR_INIT;

		assert_int_equal(ftruncate(fd, (off_t)len), 0);
		if (payload_pack(&source, 6, 1, dir, &p, &e) == 0)
			same_packed(&p, &whole);
	}
	assert_true(refused > bytes.len / step / 2);
}

/* Records are how many blocks of 512 bytes the tarball is padded to. */
static void
compressed_sources_are_guarded(const char *records, size_t step)
{
	static const char *const tools[][3] = {{"gzip", "i.gz", "t.tar.gz"},
		{"xz", "i.xz", "t.tar.xz"}, {"zstd", "i.zst", "t.tar.zst"},
		{"bzip2", NULL, "t.tar.bz2"}};
	const char *const tar[] = {"tar", "-b", records, "-cf", "t.tar", "i", NULL};
	const struct process run = {.argv = tar, .timeout_ms = 60000};
	int status = -1;

	assert_int_equal(process_run(&run, &status, NULL), 0);
	assert_int_equal(status, 0);
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		if (tools[i][1] && step == 1) {
			put_cut(tools[i][0], "i", tools[i][1], SIZE_MAX);
			flips_are_noticed(tools[i][1], PAYLOAD_IMAGE, 1);
		}
		put_cut(tools[i][0], "t.tar", tools[i][2], SIZE_MAX);
		flips_are_noticed(tools[i][2], PAYLOAD_TREE, step);
	}
}

static void
a_compressed_source_that_was_damaged_is_never_packed_as_it_came(void **state)
{
	AUTO_FREE uint8_t *noise = malloc(1000);

	(void)state;
	random_bytes(noise, 1000);
	put("i", noise, 1000);
	compressed_sources_are_guarded("4", 1);
	/* Here the checksum stands far behind the end of the archive. */
	compressed_sources_are_guarded("2048", 37);
}

static void
a_tree_survives_packing_with_any_number_of_threads(void **state)
{
	CLEANUP(packed_free) struct packed p = PACKED_INIT;
	CLEANUP(packed_free) struct packed more = PACKED_INIT;
	AUTO_FREE uint8_t *zeros = image_bytes(3 * CHUNK_BYTES, 0),
			  *text = image_bytes(CHUNK_BYTES + 7, 1), *back = malloc(8 * CHUNK_BYTES);
	AUTO_FILES struct files_reader *r = NULL;
	const struct tree_entry *t = NULL;
	uint64_t runs = 0, at_byte = 0;
	struct err e = ERR_INIT;
	bool more_lines = true;
	size_t lines = 0;

	(void)state;
	assert_int_equal(mkdir(at("tree"), 0755), 0);
	assert_int_equal(mkdir(at("tree/b"), 0755), 0);
	put("tree/a", zeros, 3 * CHUNK_BYTES);
	put("tree/b-c", text, CHUNK_BYTES + 7);
	put("tree/b/zeros", zeros, 2 * CHUNK_BYTES);
	put("tree/b/empty", "", 0);
	assert_int_equal(link(at("tree/b-c"), at("tree/b/linked")), 0);
	assert_int_equal(symlink("../a", at("tree/b/symbolic")), 0);
	pack("tree", PAYLOAD_TREE, 1, &p);
	pack("tree", PAYLOAD_TREE, 4, &more);
	same_packed(&p, &more);
	for (int i = 0; i < MEMBER_ROLES; i++)
		member_is_as_it_says(&p, (enum member_role)i);
	assert_int_equal(p.payload.size, 6 * CHUNK_BYTES + 7);
	assert_true(digest_equal(&p.payload.digest, &p.payload.members[MEMBER_FILES].digest));
	assert_int_equal(unpack(&p, back, 8 * CHUNK_BYTES, &runs), p.payload.size);
	assert_int_equal(runs, 2);
	if (files_open(p.fd[MEMBER_FILES], "files", 0, &p.payload, &r, &e) < 0)
		fail_msg("%s", e.text);
	while (files_next(r, &t, &more_lines, &e) == 0 && more_lines) {
		static const char *const paths[] = {
			"a", "b", "b/empty", "b/linked", "b/symbolic", "b/zeros", "b-c"};
		static const enum tree_type types[] = {TREE_FILE, TREE_DIR, TREE_FILE, TREE_FILE,
			TREE_SYMLINK, TREE_FILE, TREE_HARDLINK};

		assert_true(lines < ARRAY_LEN(paths));
		assert_string_equal(t->path, paths[lines]);
		assert_int_equal(t->type, types[lines]);
		if (t->type == TREE_FILE) {
			struct digest d = digest_of(span_of(back + at_byte, t->size));

			assert_true(digest_equal(&d, &t->sha256));
			at_byte += t->size;
		}
		if (t->type == TREE_HARDLINK)
			assert_string_equal(t->target, "b/linked");
		lines++;
	}
	if (more_lines)
		fail_msg("%s", e.text);
	assert_int_equal(lines, 7);
}

struct feed {
	uint64_t total, read, written, fail_read_at, fail_write_at;
	bool inside_read, read_twice;
	uint64_t apart; /* what two threads write */
	bool inside_write, out_of_order;
};

static int
feed_read(void *arg, struct piece *p, bool *more, struct err *e)
{
	struct feed *f = arg;

	f->read_twice = f->read_twice || f->inside_read;
	f->inside_read = true;
	if (f->read == f->fail_read_at)
		return err_set(e, ERR_SYSTEM, "read failed");
	if (f->read == f->total) {
		*more = false;
		return 0;
	}
	num_put_le64(p->plain, f->read++);
	p->len = 8;
	f->inside_read = false;
	return 0;
}

static int
feed_write(void *arg, const struct piece *p, struct err *e)
{
	struct feed *f = arg;

	f->out_of_order =
		f->out_of_order || f->inside_write || num_get_le64(p->plain) != f->written;
	f->inside_write = true;
	if (f->written == f->fail_write_at)
		return err_set(e, ERR_SYSTEM, "write failed");
	f->written++;
	f->inside_write = false;
	return 0;
}

static void
pieces_are_written_in_the_order_of_reading(void **state)
{
	static const unsigned threads[] = {1, 2, 3, 8, 32};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		struct feed f = {
			.total = 20000, .fail_read_at = UINT64_MAX, .fail_write_at = UINT64_MAX};
		struct pipeline p = {.threads = threads[i],
			.level = 1,
			.read = feed_read,
			.write = feed_write,
			.arg = &f};
		struct err e = ERR_INIT;

		assert_int_equal(pipeline_run(&p, &e), 0);
		assert_false(f.read_twice || f.out_of_order);
		assert_int_equal(f.written, 20000);
	}
}

static void
a_failure_of_any_part_ends_all_threads(void **state)
{
	(void)state;
	for (unsigned threads = 1; threads <= 8; threads++) {
		struct feed f = {.total = 5000, .fail_read_at = 1000, .fail_write_at = UINT64_MAX};
		struct pipeline p = {.threads = threads,
			.level = 1,
			.read = feed_read,
			.write = feed_write,
			.arg = &f};
		struct err e = ERR_INIT;

		assert_int_equal(pipeline_run(&p, &e), -1);
		assert_string_equal(e.text, "read failed");
		f = (struct feed){.total = 5000, .fail_read_at = UINT64_MAX, .fail_write_at = 1000};
		assert_int_equal(pipeline_run(&p, &e), -1);
		assert_string_equal(e.text, "write failed");
		assert_int_equal(f.written, 1000);
		assert_false(f.read_twice || f.out_of_order);
		p.level = 10;
		assert_int_equal(pipeline_run(&p, &e), -1);
	}
}

static int
count_entry(void *arg, const char *name, struct err *e)
{
	(void)name;
	(void)e;
	*(size_t *)arg += 1;
	return 0;
}

static void
packing_leaves_no_file_behind(void **state)
{
	AUTO_FREE uint8_t *data = image_bytes(5 * CHUNK_BYTES, 2);
	CLEANUP(packed_free) struct packed p = PACKED_INIT;
	size_t names = 0;

	(void)state;
	put("image", data, 5 * CHUNK_BYTES);
	pack("image", PAYLOAD_IMAGE, 2, &p);
	refuses("missing", PAYLOAD_IMAGE, 2, "");
	assert_int_equal(dir_each(dir, 100, count_entry, &names, NULL), 0);
	assert_int_equal(names, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			images_of_all_sizes_survive_packing_with_any_number_of_threads,
			folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(zeros_cost_one_entry, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			what_is_no_image_is_refused, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_damaged_compressed_image_is_refused, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_compressed_source_that_was_damaged_is_never_packed_as_it_came,
			folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(a_tree_survives_packing_with_any_number_of_threads,
			folder_enter, folder_leave),
		cmocka_unit_test(pieces_are_written_in_the_order_of_reading),
		cmocka_unit_test(a_failure_of_any_part_ends_all_threads),
		cmocka_unit_test_setup_teardown(
			packing_leaves_no_file_behind, folder_enter, folder_leave),
	};

	return cmocka_run_group_tests_name("packer", tests, NULL, NULL);
}
