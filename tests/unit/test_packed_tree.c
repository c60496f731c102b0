#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/archive.h"
#include "signer/output.h"
#include "signer/tree.h"
#include "tests/unit/folder.h"

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
put(const char *name, const char *text)
{
	struct err e = ERR_INIT;

	if (file_replace(at(name), 0640, span_str(text), &e) < 0)
		fail_msg("%s", e.text);
}

/* A tarball of these entries. A size of a hard link's or folder's content is 0. */
struct given {
	const char *path;
	__LA_MODE_T type;
	const char *text; /* content, or symbolic link's target */
	const char *hard; /* hard link's target */
	const char *xattr;
};

static void
give(struct archive *a, const struct given *g)
{
	AUTO_ARCHIVE_ENTRY struct archive_entry *entry = archive_entry_new();
	bool file = g->type == AE_IFREG && !g->hard;

	archive_entry_set_pathname(entry, g->path);
	archive_entry_set_filetype(entry, g->type);
	archive_entry_set_perm(entry, 04751);
	archive_entry_set_uid(entry, 3000000);
	archive_entry_set_gid(entry, 7);
	archive_entry_set_mtime(entry, 1234567890, 999);
	archive_entry_set_size(entry, file ? (la_int64_t)strlen(g->text) : 0);
	if (g->type == AE_IFLNK)
		archive_entry_set_symlink(entry, g->text);
	if (g->hard)
		archive_entry_set_hardlink(entry, g->hard);
	if (g->xattr)
		archive_entry_xattr_add_entry(entry, "security.capability", g->xattr, 3);
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	if (file)
		assert_int_equal(archive_write_data(a, g->text, strlen(g->text)), strlen(g->text));
}

static void
put_tarball(const char *name, const struct given *given, size_t count)
{
	struct archive *a = archive_write_new();

	assert_int_equal(archive_write_set_format_pax(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, at(name)), ARCHIVE_OK);
	for (size_t i = 0; i < count; i++)
		give(a, &given[i]);
	assert_int_equal(archive_write_free(a), ARCHIVE_OK);
}

static void
open_tree(const char *name, struct tree *t)
{
	struct err e = ERR_INIT;
	static char source[PATH_MAX];

	(void)strcpy(source, at(name));
	if (tree_open(source, dir, t, &e) < 0)
		fail_msg("%s", e.text);
}

static void
refuses(const char *name, const char *why)
{
	AUTO_TREE struct tree t = {.spool = -1};
	struct err e = ERR_INIT;

	assert_int_equal(tree_open(at(name), dir, &t, &e), -1);
	if (!strstr(e.text, why))
		fail_msg("'%s' lacks '%s'", e.text, why);
	assert_int_equal(t.count, 0);
}

static void
refuses_given(const struct given *given, size_t count, const char *why)
{
	put_tarball("bad.tar", given, count);
	refuses("bad.tar", why);
}
#define REFUSES(why, ...)                                                                          \
	refuses_given((const struct given[]){__VA_ARGS__},                                         \
		ARRAY_LEN(((const struct given[]){__VA_ARGS__})), why)

static const struct tree_item *
item_at(const struct tree *t, size_t i, const char *path, enum tree_type type)
{
	assert_true(i < t->count);
	assert_string_equal(t->items[i]->path, path);
	assert_int_equal(t->items[i]->type, type);
	return t->items[i];
}

static void
content_is(const struct tree *t, const struct tree_item *item, const char *text)
{
	AUTO_CLOSE int fd = -1;
	uint64_t offset = 0;
	char got[64];
	struct err e = ERR_INIT;

	assert_int_equal(item->size, strlen(text));
	assert_int_equal(tree_file_open(t, item, &fd, &offset, &e), 0);
	assert_int_equal(file_pread_full(fd, "f", got, item->size, offset, &e), 0);
	assert_memory_equal(got, text, item->size);
	assert_int_equal(tree_file_check(t, item, fd, &e), 0);
}

static void
a_folder_is_listed_in_the_order_of_the_format(void **state)
{
	AUTO_TREE struct tree t = {.spool = -1};
	const struct tree_item *item;
	struct stat s;

	(void)state;
	assert_int_equal(mkdir(at("t"), 0755), 0);
	assert_int_equal(mkdir(at("t/a"), 0701), 0);
	put("t/a-b", "one");
	put("t/a/x", "three");
	assert_int_equal(chmod(at("t/a-b"), 04750), 0);
	assert_int_equal(symlink("a-b", at("t/z")), 0);
	open_tree("t", &t);
	assert_int_equal(t.count, 4);
	assert_int_equal(item_at(&t, 0, "a", TREE_DIR)->mode, 0701);
	content_is(&t, item_at(&t, 1, "a/x", TREE_FILE), "three");
	item = item_at(&t, 2, "a-b", TREE_FILE);
	assert_int_equal(stat(at("t/a-b"), &s), 0);
	assert_int_equal(item->mode, 04750);
	assert_int_equal(item->uid, s.st_uid);
	assert_int_equal(item->gid, s.st_gid);
	assert_int_equal(item->mtime_s, s.st_mtime);
	assert_string_equal(item_at(&t, 3, "z", TREE_SYMLINK)->target, "a-b");
	assert_int_equal(t.size, 8);
}

static void
a_folder_may_be_named_by_a_link_or_with_a_slash(void **state)
{
	AUTO_TREE struct tree by_link = {.spool = -1}, by_slash = {.spool = -1};

	(void)state;
	assert_int_equal(mkdir(at("t"), 0755), 0);
	put("t/a", "one");
	assert_int_equal(symlink("t", at("l")), 0);
	open_tree("l", &by_link);
	item_at(&by_link, 0, "a", TREE_FILE);
	open_tree("t//", &by_slash);
	item_at(&by_slash, 0, "a", TREE_FILE);
}

static void
names_of_one_file_become_links_to_the_first_of_them(void **state)
{
	AUTO_TREE struct tree t = {.spool = -1};

	(void)state;
	assert_int_equal(mkdir(at("t"), 0755), 0);
	put("t/b", "shared");
	assert_int_equal(link(at("t/b"), at("t/c")), 0);
	assert_int_equal(link(at("t/b"), at("t/a")), 0);
	/* Another name outside of the tree is none of its business. */
	put("outside", "other");
	assert_int_equal(link(at("outside"), at("t/d")), 0);
	open_tree("t", &t);
	content_is(&t, item_at(&t, 0, "a", TREE_FILE), "shared");
	assert_string_equal(item_at(&t, 1, "b", TREE_HARDLINK)->target, "a");
	assert_string_equal(item_at(&t, 2, "c", TREE_HARDLINK)->target, "a");
	content_is(&t, item_at(&t, 3, "d", TREE_FILE), "other");
	assert_int_equal(t.size, 11);
}

static void
devices_sockets_and_pipes_are_refused_by_name(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("t"), 0755), 0);
	assert_int_equal(mkfifo(at("t/fifo"), 0644), 0);
	refuses("t", "fifo is a pipe");
	assert_int_equal(unlink(at("t/fifo")), 0);
	assert_int_equal(mknod(at("t/sock"), S_IFSOCK | 0644, 0), 0);
	refuses("t", "sock is a socket");
	REFUSES("dev/null is a device", {.path = "dev/null", .type = AE_IFCHR});
	REFUSES("sda is a device", {.path = "sda", .type = AE_IFBLK});
	REFUSES("p is a pipe", {.path = "p", .type = AE_IFIFO});
}

static void
a_tarball_is_listed_with_what_it_leaves_out(void **state)
{
	static const struct given given[] = {
		{"./", AE_IFDIR, "", NULL, NULL},
		{"./z/late", AE_IFREG, "late", NULL, "cap"},
		{"b/hard", AE_IFREG, "", "./z//late", NULL},
		{"b/hard2", AE_IFREG, "", "b/hard", NULL},
		{"a/b/c/", AE_IFDIR, "", NULL, NULL},
		{"a/b/soft", AE_IFLNK, "../x y", NULL, NULL},
		{"c-soft", AE_IFREG, "", "a/b/soft", NULL},
		{"empty", AE_IFREG, "", NULL, NULL},
	};
	AUTO_TREE struct tree t = {.spool = -1};
	const struct tree_item *item;

	(void)state;
	put_tarball("t.tar", given, ARRAY_LEN(given));
	open_tree("t.tar", &t);
	item = item_at(&t, 0, "a", TREE_DIR);
	assert_int_equal(item->mode, 0755);
	assert_int_equal(item->uid, 0);
	assert_int_equal(item->mtime_s, 0);
	item_at(&t, 1, "a/b", TREE_DIR);
	item = item_at(&t, 2, "a/b/c", TREE_DIR);
	assert_int_equal(item->mode, 04751);
	assert_int_equal(item->uid, 3000000);
	assert_int_equal(item->gid, 7);
	assert_int_equal(item->mtime_s, 1234567890);
	assert_string_equal(item_at(&t, 3, "a/b/soft", TREE_SYMLINK)->target, "../x y");
	item_at(&t, 4, "b", TREE_DIR);
	item = item_at(&t, 5, "b/hard", TREE_FILE);
	content_is(&t, item, "late");
	assert_string_equal(
		json_string_value(json_object_get(item->xattrs, "security.capability")), "636170");
	item = item_at(&t, 6, "b/hard2", TREE_HARDLINK);
	assert_string_equal(item->target, "b/hard");
	assert_null(item->xattrs);
	assert_string_equal(item_at(&t, 7, "c-soft", TREE_SYMLINK)->target, "../x y");
	content_is(&t, item_at(&t, 8, "empty", TREE_FILE), "");
	item_at(&t, 9, "z", TREE_DIR);
	assert_string_equal(item_at(&t, 10, "z/late", TREE_HARDLINK)->target, "b/hard");
	assert_int_equal(t.count, 11);
	assert_int_equal(t.size, 4);
}

static void
a_tarball_that_could_mean_two_things_is_refused(void **state)
{
	char deep[TREE_PATH_MAX + 3];

	(void)state;
	memset(deep, 'd', sizeof(deep));
	for (size_t i = 200; i < sizeof(deep); i += 200)
		deep[i] = '/';
	deep[sizeof(deep) - 1] = '\0';
	REFUSES("a is in it twice", {"a", AE_IFREG, "1", NULL, NULL},
		{"./a", AE_IFREG, "2", NULL, NULL});
	REFUSES("absolute", {"/etc/passwd", AE_IFREG, "1", NULL, NULL});
	REFUSES("'..'", {"a/../../b", AE_IFREG, "1", NULL, NULL});
	REFUSES("a/b is in a, which is no folder", {"a", AE_IFLNK, "/", NULL, NULL},
		{"a/b", AE_IFREG, "1", NULL, NULL});
	REFUSES("which is no file in it", {"a", AE_IFREG, "", "b", NULL});
	REFUSES("which is no file in it", {"d", AE_IFDIR, "", NULL, NULL},
		{"a", AE_IFREG, "", "d", NULL});
	REFUSES("which is no file in it", {"a", AE_IFREG, "", "a", NULL});
	REFUSES("absolute", {"a", AE_IFREG, "", "/etc/passwd", NULL});
	REFUSES("longer than", {deep, AE_IFREG, "1", NULL, NULL});
	REFUSES("a?b: a path with control characters", {"a\nb", AE_IFREG, "1", NULL, NULL});
	REFUSES("target with control characters", {"a", AE_IFLNK, "\033[31m", NULL, NULL});
}

static void
a_name_that_is_not_utf8_is_refused(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("t"), 0755), 0);
	put("t/caf\xe9", "x");
	refuses("t", "caf?: a path with control characters, or not UTF-8");
}

static void
an_acl_is_refused_and_other_attributes_are_kept(void **state)
{
	char path[] = "x";
	struct tree_item item = {.path = path};
	struct tree t = {.source = "t", .spool = -1};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(tree_add_xattr(&t, &item, "system.posix_acl_access", "x", 1, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(tree_add_xattr(&t, &item, "system.nfs4_acl", "x", 1, &e), 0);
	assert_null(item.xattrs);
	assert_int_equal(tree_add_xattr(&t, &item, "user.a", "\0\xff", 2, &e), 0);
	assert_int_equal(tree_add_xattr(&t, &item, "user.b", "", 0, &e), 0);
	assert_string_equal(json_string_value(json_object_get(item.xattrs, "user.a")), "00ff");
	assert_string_equal(json_string_value(json_object_get(item.xattrs, "user.b")), "");
	assert_int_equal(tree_add_xattr(&t, &item, "user.\xff", "", 0, &e), -1);
	json_decref(item.xattrs);
}

static void
a_file_that_changes_while_it_is_packed_is_noticed(void **state)
{
	AUTO_TREE struct tree t = {.spool = -1};
	AUTO_CLOSE int fd = -1;
	uint64_t offset = 0;
	struct err e = ERR_INIT;
	int none = -1;

	(void)state;
	assert_int_equal(mkdir(at("t"), 0755), 0);
	put("t/a", "one");
	put("t/b", "two");
	open_tree("t", &t);
	assert_int_equal(tree_file_open(&t, t.items[0], &fd, &offset, &e), 0);
	assert_int_equal(truncate(at("t/a"), 17), 0);
	assert_int_equal(tree_file_check(&t, t.items[0], fd, &e), -1);
	assert_non_null(strstr(e.text, "a changed while it was packed"));
	put("t/b", "new");
	assert_int_equal(tree_file_open(&t, t.items[1], &none, &offset, &e), -1);
	assert_non_null(strstr(e.text, "b was replaced while it was packed"));
	assert_int_equal(none, -1);
}

/* Read, or refused; the sanitizers watch. */
static void
every_prefix_and_byte_flip_of_a_tarball_is_read_or_refused(void **state)
{
	static const struct given given[] = {
		{"d", AE_IFDIR, "", NULL, NULL},
		{"d/a", AE_IFREG, "content", NULL, "cap"},
		{"d/b", AE_IFREG, "", "d/a", NULL},
		{"d/c", AE_IFLNK, "a", NULL, NULL},
	};
	AUTO_BUF struct buf tar = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	AUTO_CLOSE int fd = -1;
	size_t read = 0;

	(void)state;
	put_tarball("t.tar", given, ARRAY_LEN(given));
	assert_int_equal(file_read(at("t.tar"), &tar, &e), 0);
	put("x.tar", "");
	fd = open(at("x.tar"), O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t i = 0; i < tar.len; i++) {
		AUTO_TREE struct tree t = {.spool = -1};

		tar.data[i] ^= (uint8_t)(1 << (i % 8));
		assert_int_equal(file_pwrite_full(fd, "x", tar.data, tar.len, 0, &e), 0);
		tar.data[i] ^= (uint8_t)(1 << (i % 8));
		if (tree_open(at("x.tar"), dir, &t, &e) == 0)
			read++;
		else
			assert_true(e.text[0]);
	}
	for (size_t len = tar.len; len > 0; len -= (len > 2000 ? 97 : 1)) {
		AUTO_TREE struct tree t = {.spool = -1};

		assert_int_equal(ftruncate(fd, (off_t)len), 0);
		if (tree_open(at("x.tar"), dir, &t, &e) == 0)
			read++;
	}
	assert_true(read > 0);
}

static void
an_output_is_there_whole_or_not_at_all(void **state)
{
	AUTO_OUTPUT struct output dropped = OUTPUT_INIT, kept = OUTPUT_INIT;
	AUTO_BUF struct buf got = BUF_INIT(100);
	struct err e = ERR_INIT;

	(void)state;
	put("f", "old");
	assert_int_equal(output_begin(at("f"), &dropped, &e), 0);
	assert_int_equal(file_write_full(dropped.fd, "f", "half", 4, &e), 0);
	output_end(&dropped);
	assert_int_equal(output_begin(at("f"), &kept, &e), 0);
	assert_int_equal(file_write_full(kept.fd, "f", "new", 3, &e), 0);
	assert_int_equal(output_commit(&kept, &e), 0);
	assert_int_equal(file_read(at("f"), &got, &e), 0);
	assert_string_equal(buf_str(&got), "new");
	assert_int_equal(output_begin(at("no/f"), &dropped, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(output_begin(at("f/"), &dropped, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_enter, folder_leave)
	const struct CMUnitTest tests[] = {
		TEST(a_folder_is_listed_in_the_order_of_the_format),
		TEST(a_folder_may_be_named_by_a_link_or_with_a_slash),
		TEST(names_of_one_file_become_links_to_the_first_of_them),
		TEST(devices_sockets_and_pipes_are_refused_by_name),
		TEST(a_tarball_is_listed_with_what_it_leaves_out),
		TEST(a_tarball_that_could_mean_two_things_is_refused),
		TEST(a_name_that_is_not_utf8_is_refused),
		TEST(an_acl_is_refused_and_other_attributes_are_kept),
		TEST(a_file_that_changes_while_it_is_packed_is_noticed),
		TEST(every_prefix_and_byte_flip_of_a_tarball_is_read_or_refused),
		TEST(an_output_is_there_whole_or_not_at_all),
	};

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests_name("packed tree", tests, NULL, NULL);
}
