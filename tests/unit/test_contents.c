#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/process.h"
#include "signer/contents.h"
#include "tests/unit/bundle_scene.h"
#include "tests/unit/folder.h"
#include "tests/unit/payload.h"

enum { BIG_BYTES = 300000, FOLDERS_DEEP = 20, DAMAGES = 400 };

/* A reader that never ends is a test that fails. */
enum { SECONDS_MOST = 240 };

static void
run(const char *const *argv)
{
	AUTO_BUF struct buf out = BUF_INIT(1 << 16);
	const struct process p = {.argv = argv, .output = &out, .timeout_ms = 60000};
	struct err e = ERR_INIT;
	int status = -1;

	if (process_run(&p, &status, &e) < 0 || status != 0)
		fail_msg("%s: exit %d: %s", argv[0], status, e.text);
}

static void
debugfs(const char *command)
{
	const char *const argv[] = {"debugfs", "-w", "-R", command, "image", NULL};

	run(argv);
}

static void
make_files(void)
{
	AUTO_FREE uint8_t *big = malloc(BIG_BYTES);
	char path[FOLDERS_DEEP * 2 + 16] = "root/deep";

	noise(big, BIG_BYTES, 7);
	assert_int_equal(
		mkdir("root", 0755) | mkdir("root/etc", 0755) | mkdir("root/lib", 0755), 0);
	assert_int_equal(folder_put("root/etc/hello", "hello", 5), 0);
	assert_int_equal(folder_put("root/etc/empty", "", 0), 0);
	assert_int_equal(folder_put("root/lib/big", big, BIG_BYTES), 0);
	assert_int_equal(folder_put("root/lib/two\nlines", "x", 1), 0);
	assert_int_equal(link("root/lib/big", "root/lib/same"), 0);
	assert_int_equal(symlink("hello", "root/etc/link"), 0);
	for (int i = 0; i < FOLDERS_DEEP; i++) {
		assert_int_equal(mkdir(path, 0755), 0);
		(void)strcat(path, "/d");
	}
	assert_int_equal(folder_put(path, "down here", 9), 0);
}

/* A small image of these files, with these words for mke2fs besides. */
static void
make_image(const char *type, const char *blocks, const char *features, const char *size)
{
	const char *const argv[] = {"mke2fs", "-q", "-F", "-t", type, "-b", blocks, "-O", features,
		"-d", "root", "image", size, NULL};

	(void)unlink("image");
	run(argv);
}

static int
setup(void **state)
{
	(void)alarm(SECONDS_MOST);
	if (folder_enter_memory(state) < 0)
		return -1;
	make_files();
	return 0;
}

static void
image_map(const char *path, struct unpacked *u)
{
	struct stat s;

	u->fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(u->fd >= 0);
	assert_int_equal(fstat(u->fd, &s), 0);
	u->size = (uint64_t)s.st_size;
	u->map = mmap(NULL, u->size, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, 0);
	assert_true(u->map != MAP_FAILED);
	u->data = u->map;
}

/* What the header promises of all contents. */
static void
contents_are_whole(const struct contents *c)
{
	uint64_t end = 0, sum = 0;

	for (size_t i = 0; i < c->extent_count; i++) {
		const struct extent *x = &c->extents[i];

		assert_int_equal(x->at, end);
		assert_true(x->size > 0 && x->owner < c->owner_count);
		assert_true(x->within < PAYLOAD_BYTES_MAX << 10);
		assert_ptr_equal(contents_at(c, x->at), x);
		assert_ptr_equal(contents_at(c, x->at + x->size - 1), x);
		end += x->size;
	}
	assert_int_equal(end, c->size);
	for (uint32_t i = 0; i < c->owner_count; i++)
		sum += c->owners[i].size;
	assert_int_equal(sum, c->size);
}

static void
look(const char *path, struct unpacked *u, struct contents *c)
{
	struct err e = ERR_INIT;

	image_map(path, u);
	if (contents_of_image(u, c, &e) < 0)
		fail_msg("%s", e.text);
	contents_are_whole(c);
}

static uint64_t
bytes_of(const struct contents *c, uint32_t owner)
{
	if (!c->owners)
		abort();
	return c->owners[owner].size;
}

static const struct owner *
owner_of(const struct contents *c, const char *path)
{
	const struct owner *o = contents_find(c, path);

	if (!o) {
		fail_msg("%s is not there", path);
		abort();
	}
	return o;
}

/* The extents of a file, put together, are its bytes. */
static void
has_file(const struct contents *c, const struct unpacked *u, const char *path, const char *from)
{
	const struct owner *o = owner_of(c, path);
	AUTO_BUF struct buf want = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	assert_int_equal(file_read(from, &want, NULL), 0);
	if (contents_read(c, u, (uint32_t)(o - c->owners), &got, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(span_equal(buf_span(&got), buf_span(&want)));
	assert_int_equal(o->length, want.len);
	assert_memory_equal(u->data + o->first, want.data, num_min(want.len, 1024));
	assert_in_range(o->size, want.len, want.len + 4096);
	got.max = 2 * want.len - 1;
	assert_int_equal(contents_read(c, u, (uint32_t)(o - c->owners), &got, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

static void
files_are_found_in_images_of_every_kind(void **state)
{
	static const char *const types[][4] = {{"ext4", "4096", "none", "8M"},
		{"ext4", "1024", "none", "8M"}, {"ext4", "1024", "^metadata_csum,^64bit", "4M"},
		{"ext3", "1024", "none", "8M"}, {"ext2", "1024", "none", "4M"},
		{"ext2", "2048", "none", "4M"}, {"ext4", "4096", "inline_data", "8M"},
		{"ext4", "4096", "bigalloc", "16M"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
		AUTO_CONTENTS struct contents c = CONTENTS_INIT;
		bool is_none = strcmp(types[i][2], "none") == 0;

		make_image(types[i][0], types[i][1], is_none ? "sparse_super" : types[i][2],
			types[i][3]);
		look("image", &u, &c);
		assert_string_equal(c.why, "");
		assert_int_equal(c.kind, IMAGE_EXT4);
		has_file(&c, &u, "/lib/big", "root/lib/big");
		if (strcmp(types[i][2], "inline_data") != 0)
			has_file(&c, &u, "/etc/hello", "root/etc/hello");
		assert_non_null(contents_find(&c, "/etc/"));
		assert_null(contents_find(&c, "/etc"));
		assert_null(contents_find(&c, "/lib/none"));
		assert_int_equal(contents_at(&c, 1024)->owner, OWNER_METADATA);
		assert_true(bytes_of(&c, OWNER_METADATA) > 3 * 1024);
		assert_true(bytes_of(&c, OWNER_FREE) > u.size / 4);
		assert_int_equal(bytes_of(&c, OWNER_IMAGE), 0);
	}
}

static void
names_are_fit_to_be_read_and_a_file_with_two_has_one(void **state)
{
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
	AUTO_CONTENTS struct contents c = CONTENTS_INIT;

	(void)state;
	make_image("ext4", "1024", "sparse_super", "8M");
	look("image", &u, &c);
	assert_non_null(contents_find(&c, "/lib/two?lines"));
	assert_non_null(contents_find(&c, "/etc/link"));
	assert_non_null(contents_find(&c, "/deep/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d"));
	assert_null(contents_find(&c, "/lib/same"));
	assert_string_equal(contents_path(&c, OWNER_FREE), "(free blocks)");
}

/* What is free in a file system that was written to is what its bitmap says, whatever is there. */
static void
free_blocks_with_old_bytes_in_them_are_free(void **state)
{
	AUTO_UNPACKED struct unpacked before = UNPACKED_INIT, u = UNPACKED_INIT;
	AUTO_CONTENTS struct contents was = CONTENTS_INIT, c = CONTENTS_INIT;
	uint64_t at;

	(void)state;
	make_image("ext4", "4096", "sparse_super", "8M");
	look("image", &before, &was);
	at = owner_of(&was, "/lib/big")->first;
	debugfs("rm /lib/same");
	debugfs("rm /lib/big");
	look("image", &u, &c);
	assert_null(contents_find(&c, "/lib/big"));
	assert_int_equal(contents_at(&c, at)->owner, OWNER_FREE);
	assert_false(span_is_zero(span_of(u.data + at, 4096)));
}

static void
folders_that_lead_to_themselves_have_files_without_names(void **state)
{
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
	AUTO_CONTENTS struct contents c = CONTENTS_INIT;
	size_t nameless = 0;

	(void)state;
	make_image("ext4", "1024", "sparse_super", "8M");
	debugfs("link /deep /deep/d/d/up");
	debugfs("unlink /deep");
	look("image", &u, &c);
	assert_string_equal(c.why, "");
	for (uint32_t i = OWNERS_FIXED; i < c.owner_count; i++)
		nameless += contents_path(&c, i)[0] == '(';
	assert_int_equal(nameless, FOLDERS_DEEP + 1);
	assert_non_null(contents_find(&c, "/etc/hello"));
}

static void
what_is_no_file_system_is_one_piece(void **state)
{
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
	AUTO_CONTENTS struct contents c = CONTENTS_INIT;

	(void)state;
	look("root/lib/big", &u, &c);
	assert_int_equal(c.kind, IMAGE_UNKNOWN);
	assert_int_equal(c.extent_count, 1);
	assert_int_equal(bytes_of(&c, OWNER_IMAGE), BIG_BYTES);
	assert_string_equal(contents_path(&c, OWNER_IMAGE), "(the image)");
}

static void
an_image_that_is_cut_off_has_no_files_and_says_why(void **state)
{
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
	AUTO_CONTENTS struct contents c = CONTENTS_INIT;

	(void)state;
	make_image("ext4", "1024", "sparse_super", "8M");
	assert_int_equal(truncate("image", 6 << 20), 0);
	look("image", &u, &c);
	assert_int_equal(c.kind, IMAGE_EXT4);
	assert_non_null(strstr(c.why, "larger than the image"));
	assert_int_equal(bytes_of(&c, OWNER_IMAGE), 6 << 20);
}

static void
refuses(const char *why)
{
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
	AUTO_CONTENTS struct contents c = CONTENTS_INIT;

	look("image", &u, &c);
	if (!strstr(c.why, why))
		fail_msg("'%s' lacks '%s'", c.why, why);
	assert_null(contents_find(&c, "/etc/hello"));
}

static void
blocks_outside_of_the_file_system_are_refused(void **state)
{
	(void)state;
	make_image("ext2", "1024", "sparse_super", "4M");
	debugfs("set_inode_field /etc/hello block[0] 4096");
	refuses("a block is outside");
}

static void
a_block_that_two_files_claim_is_counted_once(void **state)
{
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
	AUTO_CONTENTS struct contents before = CONTENTS_INIT, c = CONTENTS_INIT;
	char command[64];

	(void)state;
	make_image("ext2", "1024", "sparse_super", "4M");
	look("image", &u, &before);
	(void)snprintf(command, sizeof(command), "set_inode_field /etc/hello block[0] %u",
		(unsigned)(owner_of(&before, "/lib/big")->first / 1024 + 3));
	debugfs(command);
	unpacked_free(&u);
	look("image", &u, &c);
	assert_string_equal(c.why, "");
	has_file(&c, &u, "/lib/two?lines", "root/lib/two\nlines");
}

/* Three levels of 256 pointers each, all to the same block. */
static void
blocks_that_list_themselves_are_not_followed_for_ever(void **state)
{
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
	AUTO_CONTENTS struct contents c = CONTENTS_INIT;
	char command[64];
	uint64_t at;

	(void)state;
	make_image("ext2", "1024", "sparse_super", "4M");
	look("image", &u, &c);
	at = owner_of(&c, "/lib/big")->first;
	for (uint64_t i = 0; i < 1024; i += 4)
		num_put_le32((uint8_t *)u.map + at + i, (uint32_t)(at / 1024));
	(void)snprintf(command, sizeof(command), "set_inode_field /etc/hello block[TIND] %u",
		(unsigned)(at / 1024));
	debugfs(command);
	refuses("more blocks than there are");
}

/* Where inodes, folders and bitmaps are, a run of bytes of noise, of ones or of a copy from
 * elsewhere; nothing has a checksum that would show it at once. */
static void
damage(uint8_t *data, size_t size, unsigned seed)
{
	uint8_t bytes[12];
	size_t at, len;

	noise(bytes, sizeof(bytes), seed);
	at = num_get_le32(bytes) % (seed % 3 == 0 ? 2048 : size);
	len = 1 + bytes[4] % (seed % 5 == 0 ? 64U : 4U);
	len = (size_t)num_min(len, size - at);
	if (seed % 4 == 0)
		memset(data + at, 0xff, len);
	else if (seed % 4 == 1)
		memmove(data + at, data + num_get_le32(bytes + 6) % (size - len), len);
	else
		noise(data + at, len, seed + 1);
}

static void
damaged_images_end_in_a_list_or_a_reason(void **state)
{
	static const char *const features[] = {"^metadata_csum,^has_journal,^64bit",
		"^metadata_csum,^has_journal,^64bit,^extent,^dir_index", "metadata_csum"};
	unsigned listed = 0, unlisted = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(features); i++) {
		AUTO_BUF struct buf good = BUF_INIT(8 << 20);
		AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;

		make_image("ext4", "1024", features[i], i == 2 ? "8M" : "2M");
		assert_int_equal(file_read("image", &good, NULL), 0);
		image_map("image", &u);
		for (unsigned seed = 1; seed <= DAMAGES; seed++) {
			AUTO_CONTENTS struct contents c = CONTENTS_INIT;

			memcpy(u.map, good.data, good.len);
			for (unsigned n = 0; n <= seed % 6; n++)
				damage(u.map, 200 << 10, i * 100000 + seed * 8 + n);
			assert_int_equal(contents_of_image(&u, &c, NULL), 0);
			contents_are_whole(&c);
			if (c.why[0])
				unlisted++;
			else
				listed++;
		}
	}
	assert_true(listed > DAMAGES / 4 && unlisted > DAMAGES / 4);
}

static void
the_files_of_a_tree_are_found(void **state)
{
	static const char *const names[] = {"root"};
	static const enum payload_kind kinds[] = {PAYLOAD_TREE};
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
	AUTO_CONTENTS struct contents c = CONTENTS_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(unlink("root/lib/two\nlines"), 0);
	bundle_scene_pack("x.ota", 1, names, kinds);
	if (bundle_file_open("x.ota", &b, &e) < 0 || payload_unpack(&b, 0, 2, ".", &u, &e) < 0 ||
		contents_of(&b, 0, &u, &c, &e) < 0)
		fail_msg("%s", e.text);
	contents_are_whole(&c);
	assert_int_equal(c.kind, IMAGE_TREE);
	has_file(&c, &u, "lib/big", "root/lib/big");
	has_file(&c, &u, "etc/hello", "root/etc/hello");
	assert_int_equal(owner_of(&c, "etc/hello")->size, 5);
	assert_null(contents_find(&c, "etc/empty"));
	assert_int_equal(bytes_of(&c, OWNER_IMAGE), 0);
}

static void
kinds_are_told_by_their_first_bytes(void **state)
{
	static const struct {
		enum image_kind kind;
		const char *tool;
	} tools[] = {{IMAGE_GZIP, "gzip"}, {IMAGE_XZ, "xz"}, {IMAGE_ZSTD, "zstd"},
		{IMAGE_BZIP2, "bzip2"}};
	uint8_t begin[IMAGE_KIND_BYTES] = "hsqs";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		const char *const argv[] = {tools[i].tool, "-c", "root/lib/big", NULL};
		AUTO_BUF struct buf out = BUF_INIT(1 << 20);
		const struct process p = {.argv = argv, .output = &out, .timeout_ms = 60000};
		int status = -1;

		assert_int_equal(process_run(&p, &status, NULL), 0);
		assert_true(out.data && out.len > 2);
		assert_int_equal(image_kind_of(buf_span(&out)), tools[i].kind);
		assert_string_equal(image_kind_name(tools[i].kind), tools[i].tool);
		assert_true(image_kind_is_compressed(tools[i].kind));
		assert_int_equal(image_kind_of(span_of(out.data, 2)), IMAGE_UNKNOWN);
	}
	assert_int_equal(image_kind_of(span_of(begin, sizeof(begin))), IMAGE_SQUASHFS);
	begin[0] = 0;
	memcpy(begin + 0x202, "HdrS", 4);
	assert_int_equal(image_kind_of(span_of(begin, sizeof(begin))), IMAGE_KERNEL);
	assert_int_equal(image_kind_of(span_of(begin, 0x205)), IMAGE_UNKNOWN);
	assert_false(image_kind_is_compressed(IMAGE_EXT4));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, folder_leave)
	const struct CMUnitTest tests[] = {
		TEST(files_are_found_in_images_of_every_kind),
		TEST(names_are_fit_to_be_read_and_a_file_with_two_has_one),
		TEST(free_blocks_with_old_bytes_in_them_are_free),
		TEST(folders_that_lead_to_themselves_have_files_without_names),
		TEST(what_is_no_file_system_is_one_piece),
		TEST(an_image_that_is_cut_off_has_no_files_and_says_why),
		TEST(blocks_outside_of_the_file_system_are_refused),
		TEST(a_block_that_two_files_claim_is_counted_once),
		TEST(blocks_that_list_themselves_are_not_followed_for_ever),
		TEST(damaged_images_end_in_a_list_or_a_reason),
		TEST(the_files_of_a_tree_are_found),
		TEST(kinds_are_told_by_their_first_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
