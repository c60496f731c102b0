#include "tests/unit/rig.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "agent/beneath.h"
#include "agent/tree.h"

static char big[3 * CHUNK_BYTES + 100];

static const struct rig_entry ENTRIES[] = {
	{.path = "big", .content = big, .mode = 0444},
	{.path = "bin", .mode = 0755},
	{.path = "bin/app", .content = "the app", .mode = 04755},
	{.path = "bin/b", .hardlink = "bin/app"},
	{.path = "bin/c", .link = "app"},
	{.path = "bin/empty", .content = "", .mode = 0600},
	{.path = "etc", .mode = 0500},
	{.path = "outside", .link = "/etc/passwd"},
};

struct bench {
	struct made made;
	struct buf files;
	int files_fd, index_fd;
	struct tree_list list;
	struct memory_source source;
	struct source as_source;
	struct install_stats stats;
	struct index_reader *index, *scout;
	struct made_stored stored;
	struct engine g;
	unsigned asks_left;
	struct keep_going keep_going;
};

static int
ask(void *arg, struct err *e)
{
	struct bench *b = arg;

	if (b->asks_left == 0)
		return err_set(e, ERR_STOPPED, "stopped by the test");
	b->asks_left--;
	return 0;
}

static void
bench_make(struct bench *b, const struct rig_entry *entries, size_t count)
{
	struct err e = ERR_INIT;

	*b = (struct bench){.files = BUF_INIT(1 << 20), .asks_left = UINT32_MAX};
	rig_tree(&b->made, &b->files, "app", "app", entries, count);
	b->files_fd = memory_file(buf_span(&b->files));
	b->index_fd = memory_file(buf_span(&b->made.index));
	b->list = (struct tree_list){b->files_fd, "bundle", &b->made.p, 0};
	b->source.bytes = buf_span(&b->made.data);
	b->as_source = memory_source(&b->source);
	b->keep_going = (struct keep_going){ask, b};
	assert_int_equal(index_open(b->index_fd, "index", 0, &b->made.p, &b->index, &e), 0);
	assert_int_equal(index_open(b->index_fd, "index", 0, &b->made.p, &b->scout, &e), 0);
	made_stored_make(&b->stored, &b->made);
	b->g = (struct engine){.index = b->index,
		.stored = b->stored.stored,
		.scout = b->scout,
		.source = &b->as_source,
		.keep_going = &b->keep_going,
		.stats = &b->stats};
}

static void
bench_free(struct bench *b)
{
	index_close(&b->index);
	index_close(&b->scout);
	made_stored_free(&b->stored);
	(void)close(b->files_fd);
	(void)close(b->index_fd);
	made_free(&b->made);
	buf_free(&b->files);
}

static void
assert_same(struct bench *b, const char *path, bool wanted)
{
	struct err e = ERR_INIT, why = ERR_INIT;
	bool same = !wanted;

	if (tree_check(path, &b->list, NULL, &same, &why, &e) < 0)
		fail_msg("%s", e.text);
	if (same != wanted)
		fail_msg("same is %d: %s", same, why.text);
}

static void
tree_is_built_checked_and_put_in_place(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e = ERR_INIT;
	struct stat st, other;

	(void)state;
	bench_make(&b, ENTRIES, ARRAY_LEN(ENTRIES));
	if (tree_build("app", NULL, &b.list, &b.g, &e) < 0)
		fail_msg("%s", e.text);
	assert_same(&b, "app.new", true);
	assert_int_equal(access("app", F_OK), -1);
	assert_int_equal(tree_swap_in("app", NULL, &e), 0);
	assert_same(&b, "app", true);
	assert_int_equal(access("app.new", F_OK), -1);
	assert_int_equal(stat("app/bin/app", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 04755);
	assert_int_equal(st.st_mtim.tv_sec, 1600000000);
	assert_int_equal(stat("app/bin/b", &other), 0);
	assert_int_equal(st.st_ino, other.st_ino);
	assert_int_equal(b.stats.bytes_fetched, b.made.data.len);
}

/* A large old tree takes minutes to remove, in which a stop comes and a watchdog waits. */
static void
a_stop_between_two_trees_leaves_the_new_one_whole(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(mkdir("app", 0755), 0);
	for (int i = 0; i < 5; i++) {
		char path[16];

		(void)snprintf(path, sizeof(path), "app/%d", i);
		rig_file(path, "x");
	}
	bench_make(&b, ENTRIES, ARRAY_LEN(ENTRIES));
	assert_int_equal(tree_build("app", NULL, &b.list, &b.g, &e), 0);
	b.asks_left = 3;
	assert_int_equal(tree_swap_in("app", &b.keep_going, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	b.asks_left = UINT32_MAX;
	assert_same(&b, "app.new", true);
	assert_same(&b, "app", false);
	assert_int_equal(tree_swap_in("app", &b.keep_going, &e), 0);
	assert_same(&b, "app", true);
}

/* What is at the place already is replaced as a whole. */
static void
older_tree_gives_way(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(mkdir("app", 0755), 0);
	assert_int_equal(mkdir("app/old", 0755), 0);
	rig_file("app/old/file", "x");
	assert_int_equal(symlink("/etc", "app/old/link"), 0);
	bench_make(&b, ENTRIES, ARRAY_LEN(ENTRIES));
	assert_same(&b, "app", false);
	assert_int_equal(tree_build("app", NULL, &b.list, &b.g, &e), 0);
	assert_int_equal(tree_swap_in("app", NULL, &e), 0);
	assert_same(&b, "app", true);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
}

/* What is changed in a folder changes the folder's own time as well. */
#define BIN_AS_IT_WAS "; touch -d @1600000000 app.new/bin"

static void
every_difference_is_seen(void **state)
{
	static const char *const changes[] = {"chmod 644 app.new/bin/empty",
		"printf 'The app' > app.new/bin/app; touch -d @1600000000 app.new/bin/app",
		"touch app.new/bin/app",
		"rm app.new/bin/b; cp -p app.new/bin/app app.new/bin/b" BIN_AS_IT_WAS,
		"ln -sfn ap app.new/bin/c; touch -h -d @1600000000 app.new/bin/c" BIN_AS_IT_WAS,
		"printf x > app.new/etc/more", "printf x > app.new/more", "rm app.new/bin/empty",
		"touch app.new/etc", "rm app.new/bin/empty; mkdir -m 600 app.new/bin/empty",
		"printf x >> app.new/bin/empty; touch -d @1600000000 app.new/bin/empty",
		"touch -h app.new/bin/c", "chown 1 app.new/bin/empty", "chown :1 app.new/bin/empty",
		"rm app.new/bin/empty; mkfifo -m 600 app.new/bin/empty; "
		"touch -d @1600000000 app.new/bin/empty" BIN_AS_IT_WAS,
		"rm app.new/big; ln -s /etc/passwd app.new/big"};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		CLEANUP(bench_free) struct bench b;

		if (getuid() != 0 && strstr(changes[i], "chown"))
			continue;
		bench_make(&b, ENTRIES, ARRAY_LEN(ENTRIES));
		assert_int_equal(tree_build("app", NULL, &b.list, &b.g, &e), 0);
		assert_same(&b, "app.new", true);
		assert_int_equal(system(changes[i]), 0);
		assert_same(&b, "app.new", false);
	}
}

/* Whatever an attempt has left, the next one makes it right; what was right is not fetched again.
 */
static void
stopped_anywhere_it_resumes(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned asks = 0; asks < 60; asks++) {
		CLEANUP(bench_free) struct bench b;

		assert_int_equal(beneath_remove_at("app.new", NULL, &e), 0);
		bench_make(&b, ENTRIES, ARRAY_LEN(ENTRIES));
		b.asks_left = asks;
		if (tree_build("app", NULL, &b.list, &b.g, &e) < 0)
			assert_int_equal(e.class, ERR_STOPPED);
		b.asks_left = UINT32_MAX;
		if (tree_build("app", NULL, &b.list, &b.g, &e) < 0)
			fail_msg("%s", e.text);
		assert_same(&b, "app.new", true);
		/* A file that got its second name before the stop is fetched again. */
		assert_true(b.source.given <= b.made.data.len + strlen("the app"));
	}
}

static void
what_another_attempt_left_is_cleared(void **state)
{
	static const char *const leftovers[] = {"mkdir app.new; printf x > app.new/foreign",
		"mkdir -p app.new/bin/app/deep/er", "mkdir -p app.new/bin; ln -s /etc app.new/etc",
		"mkdir app.new; ln -s /tmp app.new/bin",
		"mkdir -p app.new/bin; printf secret > keep; ln keep app.new/bin/empty",
		"mkdir -p app.new/bin; mkfifo app.new/bin/app",
		"mkdir -p app.new; printf 123456789 > app.new/big; chmod 0 app.new/big"};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(leftovers); i++) {
		CLEANUP(bench_free) struct bench b;

		assert_int_equal(beneath_remove_at("app.new", NULL, &e), 0);
		assert_int_equal(system(leftovers[i]), 0);
		bench_make(&b, ENTRIES, ARRAY_LEN(ENTRIES));
		if (tree_build("app", NULL, &b.list, &b.g, &e) < 0)
			fail_msg("%s: %s", leftovers[i], e.text);
		assert_same(&b, "app.new", true);
	}
	assert_int_equal(system("test \"$(cat keep)\" = secret"), 0);
}

/* Of any file but the list. */
static int read_errnum, list_fd;

ssize_t
pread(int fd, void *data, size_t len, off_t offset)
{
	if (read_errnum == 0 || fd == list_fd)
		return syscall(SYS_pread64, fd, data, len, offset);
	errno = read_errnum;
	return -1;
}

/* It is made anew like any other that is not as it should be. A disk that is gone is no
 * difference. */
static void
file_that_cannot_be_read_differs(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e = ERR_INIT, why = ERR_INIT;
	bool same = true;

	(void)state;
	bench_make(&b, ENTRIES, ARRAY_LEN(ENTRIES));
	assert_int_equal(tree_build("app", NULL, &b.list, &b.g, &e), 0);
	list_fd = b.files_fd;
	read_errnum = EIO;
	assert_int_equal(tree_check("app.new", &b.list, NULL, &same, &why, &e), 0);
	assert_false(same);
	assert_string_equal(why.text, "big: reading big: Input/output error");
	read_errnum = ENODEV;
	assert_int_equal(tree_check("app.new", &b.list, NULL, &same, &why, &e), -1);
	assert_int_equal(e.errnum, ENODEV);
	read_errnum = 0;
	assert_same(&b, "app.new", true);
}

static void
place_that_is_a_link_is_refused(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e = ERR_INIT, why = ERR_INIT;
	bool same;

	(void)state;
	bench_make(&b, ENTRIES, ARRAY_LEN(ENTRIES));
	assert_int_equal(mkdir("elsewhere", 0755), 0);
	assert_int_equal(symlink("elsewhere", "app.new"), 0);
	assert_int_equal(tree_build("app", NULL, &b.list, &b.g, &e), -1);
	assert_int_equal(rmdir("elsewhere"), 0);
	assert_int_equal(symlink("elsewhere", "app"), 0);
	assert_int_equal(mkdir("elsewhere", 0755), 0);
	assert_int_equal(tree_check("app", &b.list, NULL, &same, &why, &e), -1);
}

static void
paths_below_a_root_stay_below_it(void **state)
{
	AUTO_CLOSE int root = -1;
	struct err e = ERR_INIT;
	struct beneath at;
	struct stat st;
	bool there;
	int fd;

	(void)state;
	assert_int_equal(mkdir("root", 0755), 0);
	assert_int_equal(symlink("/etc", "root/link"), 0);
	assert_int_equal(symlink("..", "root/up"), 0);
	assert_int_equal(tree_folder_open("root", &root, &e), 0);
	assert_int_equal(beneath_open(root, "link/passwd", O_RDONLY, 0, &fd, &e), -1);
	assert_int_equal(beneath_open(root, "../root", O_RDONLY, 0, &fd, &e), -1);
	assert_int_equal(beneath_open(root, "/etc/passwd", O_RDONLY, 0, &fd, &e), -1);
	assert_int_equal(beneath_open(root, "up", O_RDONLY, 0, &fd, &e), -1);
	assert_int_equal(beneath_parent(root, "link/x", &at, &e), -1);
	assert_int_equal(beneath_parent(root, "../x", &at, &e), -1);
	assert_int_equal(beneath_remove(root, "up/keep", &e), -1);
	assert_int_equal(beneath_look(root, "link/passwd", &st, &there, &e), 0);
	assert_false(there);
	assert_int_equal(beneath_remove(root, "link", &e), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
}

static void
flipped_byte_of_a_file_is_refused(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e = ERR_INIT;

	(void)state;
	bench_make(&b, ENTRIES, ARRAY_LEN(ENTRIES));
	b.made.data.data[0] ^= 1;
	assert_int_equal(tree_build("app", NULL, &b.list, &b.g, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

static void
extended_attributes_are_compared(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e = ERR_INIT;

	(void)state;
	bench_make(&b, ENTRIES, ARRAY_LEN(ENTRIES));
	assert_int_equal(tree_build("app", NULL, &b.list, &b.g, &e), 0);
	assert_int_equal(lsetxattr("app.new/bin/empty", "user.more", "1", 1, 0), 0);
	assert_same(&b, "app.new", false);
	assert_int_equal(tree_build("app", NULL, &b.list, &b.g, &e), 0);
	assert_same(&b, "app.new", true);
}

static void
listed_attributes_are_there_as_listed(void **state)
{
	static const struct rig_entry red = {
		.path = "app", .content = "x", .mode = 0644, .colour = "726564"};
	CLEANUP(bench_free) struct bench b;
	struct err e = ERR_INIT;

	(void)state;
	bench_make(&b, &red, 1);
	if (tree_build("app", NULL, &b.list, &b.g, &e) < 0)
		fail_msg("%s", e.text);
	assert_same(&b, "app.new", true);
	assert_int_equal(lsetxattr("app.new/app", "user.colour", "rad", 3, 0), 0);
	assert_same(&b, "app.new", false);
	assert_int_equal(lremovexattr("app.new/app", "user.colour"), 0);
	assert_same(&b, "app.new", false);
}

static void
empty_tree_is_a_tree(void **state)
{
	CLEANUP(bench_free) struct bench b;
	struct err e = ERR_INIT;

	(void)state;
	bench_make(&b, ENTRIES + 6, 1);
	if (tree_build("app", NULL, &b.list, &b.g, &e) < 0)
		fail_msg("%s", e.text);
	assert_same(&b, "app.new", true);
}

static int
make_big(void **state)
{
	(void)state;
	memset(big, 'b', sizeof(big) - 1);
	memset(big, 'c', CHUNK_BYTES);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter, folder_leave)
		IN_FOLDER(tree_is_built_checked_and_put_in_place),
		IN_FOLDER(a_stop_between_two_trees_leaves_the_new_one_whole),
		IN_FOLDER(older_tree_gives_way),
		IN_FOLDER(every_difference_is_seen),
		IN_FOLDER(stopped_anywhere_it_resumes),
		IN_FOLDER(what_another_attempt_left_is_cleared),
		IN_FOLDER(file_that_cannot_be_read_differs),
		IN_FOLDER(place_that_is_a_link_is_refused),
		IN_FOLDER(paths_below_a_root_stay_below_it),
		IN_FOLDER(flipped_byte_of_a_file_is_refused),
		IN_FOLDER(extended_attributes_are_compared),
		IN_FOLDER(listed_attributes_are_there_as_listed),
		IN_FOLDER(empty_tree_is_a_tree),
	};

	return cmocka_run_group_tests(tests, make_big, NULL);
}
