#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "tests/unit/folder.h"

static void
check_content(const char *path, const char *expected)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	assert_int_equal(file_read(path, &b, &e), 0);
	assert_string_equal(buf_str(&b), expected);
}

static size_t
count_entries(const char *dir)
{
	AUTO_DIR DIR *d = opendir(dir);
	size_t count = 0;

	assert_non_null(d);
	while (readdir(d))
		count++;
	return count - 2;
}

static void
a_file_is_read_whole_and_appended(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20), big = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 40000; i++)
		assert_int_equal(buf_append(&big, "0123456789", 10, &e), 0);
	assert_int_equal(file_create("big", 0600, buf_span(&big), &e), 0);
	assert_int_equal(buf_append(&b, "before ", 7, &e), 0);
	assert_int_equal(file_read("big", &b, &e), 0);
	assert_int_equal(b.len, 7 + big.len);
	assert_memory_equal(b.data + 7, big.data, big.len);
}

static void
an_empty_file_reads_as_an_empty_string(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(10);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(file_create("empty", 0600, span_of(NULL, 0), &e), 0);
	assert_int_equal(file_read("empty", &b, &e), 0);
	assert_non_null(b.data);
	assert_int_equal(b.len, 0);
}

static void
a_file_longer_than_the_limit_is_refused_and_nothing_is_kept_of_it(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(8);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(file_create("nine", 0600, span_str("123456789"), &e), 0);
	assert_int_equal(file_create("eight", 0600, span_str("12345678"), &e), 0);
	assert_int_equal(file_read("eight", &b, &e), 0);
	buf_clear(&b);
	assert_int_equal(buf_append(&b, "ab", 2, &e), 0);
	assert_int_equal(file_read("nine", &b, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_non_null(strstr(e.text, "nine"));
	assert_string_equal(buf_str(&b), "ab");
	assert_int_equal(file_read("eight", &b, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

static void
a_file_that_is_not_there_is_named_in_the_error(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(8);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(file_read("missing", &b, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(e.errnum, ENOENT);
	assert_string_equal(e.text, "opening missing: No such file or directory");
	assert_int_equal(file_read(".", &b, &e), -1);
	assert_int_equal(e.errnum, EISDIR);
}

static void
reading_past_the_end_is_malformed_and_says_where(void **state)
{
	AUTO_CLOSE int fd = -1;
	struct err e = ERR_INIT;
	char data[8] = "";

	(void)state;
	assert_int_equal(file_create("f", 0600, span_str("12345"), &e), 0);
	assert_int_equal(file_open_read("f", &fd, &e), 0);
	assert_int_equal(file_pread_full(fd, "f", data, 4, 1, &e), 0);
	assert_string_equal(data, "2345");
	assert_int_equal(file_pread_full(fd, "f", data, 4, 2, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_string_equal(e.text, "f ends at byte 5, where more was expected");
	assert_int_equal(file_pread_full(fd, "f", data, 0, 99, &e), 0);
	assert_int_equal(file_pread_full(fd, "f", data, 1, UINT64_MAX, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(file_read_some(fd, "f", data, 8, &e), 5);
	assert_int_equal(file_read_some(fd, "f", data, 8, &e), 0);
}

static void
writing_lands_at_its_offset_past_four_gibibytes(void **state)
{
	AUTO_CLOSE int fd = open("sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	uint64_t at = (1ULL << 32) + 5, size = 0;
	struct err e = ERR_INIT;
	char data[4] = "";

	(void)state;
	assert_int_equal(file_pwrite_full(fd, "sparse", "abc", 3, at, &e), 0);
	assert_int_equal(file_size(fd, "sparse", &size, &e), 0);
	assert_true(size == at + 3);
	assert_int_equal(file_pread_full(fd, "sparse", data, 3, at, &e), 0);
	assert_string_equal(data, "abc");
	assert_int_equal(file_pwrite_full(fd, "sparse", "abc", 3, UINT64_MAX, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
}

static void
replace_makes_a_file_and_then_replaces_it(void **state)
{
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(file_replace("f", 0640, span_str("old"), &e), 0);
	check_content("f", "old");
	assert_int_equal(file_replace("f", 0600, span_str("new"), &e), 0);
	check_content("f", "new");
	assert_int_equal(stat("f", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(count_entries("."), 1);
}

/* In a child, for the limit holds for the whole process: writes past 4 bytes fail. */
static int
replace_with_a_full_disk(void)
{
	struct rlimit four = {.rlim_cur = 4, .rlim_max = 4};
	struct err e = ERR_INIT;

	(void)signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &four) < 0)
		return 2;
	if (file_replace("f", 0600, span_str("longer than four"), &e) != -1 ||
		e.class != ERR_SYSTEM || e.errnum != EFBIG)
		return 3;
	return file_create("g", 0600, span_str("longer than four"), &e) == -1 ? 0 : 4;
}

static void
a_write_that_fails_leaves_the_old_file_and_no_other(void **state)
{
	struct err e = ERR_INIT;
	int status = -1;
	pid_t pid;

	(void)state;
	assert_int_equal(file_replace("f", 0600, span_str("old"), &e), 0);
	pid = fork();
	if (pid == 0)
		_exit(replace_with_a_full_disk());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	check_content("f", "old");
	assert_int_equal(count_entries("."), 1);
}

static void
replacing_a_folder_fails_and_leaves_no_temporary_file(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(file_replace("d", 0600, span_str("x"), &e), -1);
	assert_int_equal(count_entries("."), 1);
	assert_int_equal(file_replace("missing/f", 0600, span_str("x"), &e), -1);
	assert_int_equal(e.errnum, ENOENT);
}

static void
replace_puts_a_file_where_a_link_was_and_spares_its_target(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(file_create("target", 0600, span_str("keep"), &e), 0);
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(file_replace("link", 0600, span_str("new"), &e), 0);
	check_content("target", "keep");
	check_content("link", "new");
}

static void
create_takes_no_name_that_is_taken(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(file_create("f", 0600, span_str("first"), &e), 0);
	assert_int_equal(file_create("f", 0600, span_str("second"), &e), -1);
	assert_int_equal(e.errnum, EEXIST);
	check_content("f", "first");
	assert_int_equal(symlink("nowhere", "link"), 0);
	assert_int_equal(file_create("link", 0600, span_str("x"), &e), -1);
	assert_false(file_exists("nowhere"));
}

static void
rename_and_remove_work_across_folders(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(dir_make("a/b", 0700, &e), 0);
	assert_int_equal(file_create("f", 0600, span_str("x"), &e), 0);
	assert_int_equal(file_rename("f", "a/b/g", &e), 0);
	check_content("a/b/g", "x");
	assert_false(file_exists("f"));
	assert_int_equal(file_rename("f", "h", &e), -1);
	assert_int_equal(e.errnum, ENOENT);
	assert_int_equal(file_remove("a/b/g", &e), 0);
	assert_int_equal(file_remove("a/b/g", &e), 0);
	assert_int_equal(file_remove("a/b", &e), -1);
}

static void
folders_are_made_with_all_their_parents(void **state)
{
	struct err e = ERR_INIT;
	char path[PATH_MAX];
	struct stat st;

	assert_true(snprintf(path, sizeof(path), "%s//x/y/z/", (const char *)*state) > 0);
	assert_int_equal(dir_make(path, 0700, &e), 0);
	assert_int_equal(stat("x/y/z", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(dir_make("x/y/z", 0755, &e), 0);
	assert_int_equal(dir_make("/", 0755, &e), 0);
	assert_int_equal(file_create("x/f", 0600, span_str(""), &e), 0);
	assert_int_equal(dir_make("x/f/g", 0700, &e), -1);
	assert_int_equal(e.errnum, ENOTDIR);
	assert_int_equal(dir_make("", 0700, &e), -1);
}

static int
note_name(void *arg, const char *name, struct err *e)
{
	if (strcmp(name, "stop") == 0)
		return 5;
	return buf_printf(arg, e, "%s ", name);
}

static void
entries_come_sorted_by_bytes_and_bounded(void **state)
{
	AUTO_BUF struct buf seen = BUF_INIT(100);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(dir_each(".", 0, note_name, &seen, &e), 0);
	assert_int_equal(file_create("b", 0600, span_str(""), &e), 0);
	assert_int_equal(file_create("a10", 0600, span_str(""), &e), 0);
	assert_int_equal(file_create(".hidden", 0600, span_str(""), &e), 0);
	assert_int_equal(file_create("B", 0600, span_str(""), &e), 0);
	assert_int_equal(dir_each(".", 4, note_name, &seen, &e), 0);
	assert_string_equal(buf_str(&seen), ".hidden B a10 b ");
	assert_int_equal(dir_each(".", 3, note_name, &seen, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(file_create("stop", 0600, span_str(""), &e), 0);
	assert_int_equal(dir_each(".", 9, note_name, &seen, &e), 5);
	assert_int_equal(dir_each("missing", 9, note_name, &seen, &e), -1);
	assert_int_equal(e.errnum, ENOENT);
}

static void
a_lock_is_held_by_one_until_its_descriptor_closes(void **state)
{
	AUTO_CLOSE int again = -1;
	struct err e = ERR_INIT;
	int fd = -1;

	(void)state;
	assert_int_equal(file_lock("lock", "another publisher", &fd, &e), 0);
	assert_int_equal(file_lock("lock", "another publisher", &again, &e), -1);
	assert_int_equal(e.errnum, EBUSY);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "another publisher"));
	assert_int_equal(again, -1);
	assert_int_equal(close(fd), 0);
	assert_int_equal(file_lock("lock", "another publisher", &again, &e), 0);
	assert_true(fcntl(again, F_GETFD) & FD_CLOEXEC);
}

static void
only_files_and_block_devices_have_a_size(void **state)
{
	AUTO_CLOSE int fd = -1;
	uint64_t size = 7;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(file_open_read("/dev/null", &fd, &e), 0);
	assert_int_equal(file_size(fd, "/dev/null", &size, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	assert_int_equal(size, 7);
}

static void
existence_follows_links(void **state)
{
	(void)state;
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	assert_false(file_exists("dangling"));
	assert_false(file_exists("missing/child"));
	assert_true(file_exists("."));
}

static void
paths_join_until_they_are_too_long(void **state)
{
	struct err e = ERR_INIT;
	char out[8];

	(void)state;
	assert_int_equal(path_join(out, sizeof(out), "abc", "def", &e), 0);
	assert_string_equal(out, "abc/def");
	assert_int_equal(path_join(out, sizeof(out), "abcd", "def", &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

static void
plain_names_are_one_component_and_nothing_else(void **state)
{
	static const char *const good[] = {"a", "gw-000001", "A_b.c+d", "10-check"};
	static const char *const bad[] = {"", ".", "..", ".hidden", "-rf", "a/b", "a b", "a\n", "é",
		"a:b", "a\\b", "~a", "/"};
	char longest[130];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(name_is_plain(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(name_is_plain(bad[i]));
	memset(longest, 'a', sizeof(longest));
	longest[129] = 0;
	assert_false(name_is_plain(longest));
	longest[128] = 0;
	assert_true(name_is_plain(longest));
}

static void
what_is_no_regular_file_is_refused_without_waiting_for_it(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(10);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_int_equal(file_read_regular("pipe", &b, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(file_read_regular("/dev/zero", &b, &e), -1);
	assert_int_equal(file_create("f", 0600, span_str("text"), &e), 0);
	assert_int_equal(file_read_regular("f", &b, &e), 0);
	assert_string_equal(buf_str(&b), "text");
}

static void
what_a_person_names_is_a_file_or_a_pipe_with_a_writer(void **state)
{
	struct err e = ERR_INIT;
	char path[32], text[8];
	int fd = -1, ends[2];

	(void)state;
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_int_equal(file_open_given("pipe", &fd, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "named pipe"));
	assert_int_equal(file_open_given(".", &fd, &e), -1);
	assert_non_null(strstr(e.text, "a folder"));
	assert_int_equal(file_open_given("/dev/zero", &fd, &e), -1);
	assert_int_equal(fd, -1);

	assert_int_equal(pipe(ends), 0);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	assert_int_equal(file_open_given(path, &fd, &e), 0);
	/* It waits for the writer, like any pipe of a shell's. */
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(write(ends[1], "text", 5), 5);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(file_read_some(fd, path, text, sizeof(text), &e), 5);
	assert_string_equal(text, "text");
	close(fd);

	assert_int_equal(file_create("f", 0600, span_str("text"), &e), 0);
	assert_int_equal(file_open_given("f", &fd, &e), 0);
	close(fd);
}

#define test_in_folder(test) cmocka_unit_test_setup_teardown(test, folder_enter, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_folder(a_file_is_read_whole_and_appended),
		test_in_folder(an_empty_file_reads_as_an_empty_string),
		test_in_folder(a_file_longer_than_the_limit_is_refused_and_nothing_is_kept_of_it),
		test_in_folder(a_file_that_is_not_there_is_named_in_the_error),
		test_in_folder(reading_past_the_end_is_malformed_and_says_where),
		test_in_folder(writing_lands_at_its_offset_past_four_gibibytes),
		test_in_folder(replace_makes_a_file_and_then_replaces_it),
		test_in_folder(a_write_that_fails_leaves_the_old_file_and_no_other),
		test_in_folder(replacing_a_folder_fails_and_leaves_no_temporary_file),
		test_in_folder(replace_puts_a_file_where_a_link_was_and_spares_its_target),
		test_in_folder(create_takes_no_name_that_is_taken),
		test_in_folder(rename_and_remove_work_across_folders),
		test_in_folder(folders_are_made_with_all_their_parents),
		test_in_folder(entries_come_sorted_by_bytes_and_bounded),
		test_in_folder(a_lock_is_held_by_one_until_its_descriptor_closes),
		test_in_folder(only_files_and_block_devices_have_a_size),
		test_in_folder(existence_follows_links),
		test_in_folder(what_is_no_regular_file_is_refused_without_waiting_for_it),
		test_in_folder(what_a_person_names_is_a_file_or_a_pipe_with_a_writer),
		cmocka_unit_test(paths_join_until_they_are_too_long),
		cmocka_unit_test(plain_names_are_one_component_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
