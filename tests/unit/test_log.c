#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "tests/unit/folder.h"

/* What is printed to standard error between the two goes into a file. */
static int
capture_begin(void)
{
	int kept = dup(2), fd = open("stderr", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(kept >= 0 && fd >= 0);
	assert_int_equal(dup2(fd, 2), 2);
	assert_int_equal(close(fd), 0);
	return kept;
}

static void
capture_end(int kept, struct buf *out)
{
	struct err e = ERR_INIT;

	assert_int_equal(dup2(kept, 2), 2);
	assert_int_equal(close(kept), 0);
	buf_clear(out);
	assert_int_equal(file_read("stderr", out, &e), 0);
}

static int
folder_enter_without_journal(void **state)
{
	log_set_level(LOG_INFO);
	return unsetenv("JOURNAL_STREAM") < 0 ? -1 : folder_enter(state);
}

static void
lines_up_to_the_level_are_printed(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1 << 16);
	int kept = capture_begin();

	(void)state;
	log_error("e %d", 1);
	log_info("i");
	log_detail("d");
	log_set_level(LOG_ERROR);
	log_warning("w");
	capture_end(kept, &out);
	assert_string_equal(buf_str(&out), "e 1\ni\n");
}

static void
the_journal_gets_its_level_marks(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1 << 16);
	int kept = capture_begin();

	(void)state;
	assert_int_equal(setenv("JOURNAL_STREAM", "8:1", 1), 0);
	log_error("e");
	log_notice("n");
	capture_end(kept, &out);
	assert_string_equal(buf_str(&out), "<3>e\n<5>n\n");
}

static void
no_text_forges_a_line_or_leaves_utf8(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1 << 16);
	char tail[LOG_TAIL_BYTES];
	int kept = capture_begin();

	(void)state;
	log_info("a%sb", "\n<3>forged\t\r\x1b[2J\xff\xc2\x9b é");
	capture_end(kept, &out);
	assert_string_equal(buf_str(&out), "a?<3>forged???[2J??? éb\n");
	assert_true(log_tail(tail, sizeof(tail)) > 0);
	assert_non_null(strstr(tail, "a?<3>forged???[2J??? éb\n"));
}

static void
a_long_line_is_cut(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1 << 16);
	int kept = capture_begin();

	(void)state;
	log_info("%08000d", 1);
	capture_end(kept, &out);
	assert_in_range(out.len, 1000, 4000);
	assert_int_equal(out.data[out.len - 1], '\n');
}

static void
the_tail_keeps_the_newest_whole_lines_oldest_first(void **state)
{
	char tail[LOG_TAIL_BYTES + 1];
	size_t len;

	(void)state;
	log_set_level(LOG_ERROR);
	for (int i = 0; i < 2000; i++)
		log_detail("line %04d", i);
	len = log_tail(tail, sizeof(tail));
	assert_int_equal(len, strlen(tail));
	assert_int_equal(len % 10, 0);
	assert_in_range(len, LOG_TAIL_BYTES - 20, LOG_TAIL_BYTES);
	assert_memory_equal(tail, "line ", 5);
	assert_string_equal(tail + len - 20, "line 1998\nline 1999\n");
}

static void
a_tail_into_little_room_is_cut_at_a_line(void **state)
{
	char tail[25];

	(void)state;
	log_set_level(LOG_ERROR);
	for (int i = 0; i < 9; i++)
		log_detail("line %04d", i);
	assert_int_equal(log_tail(tail, sizeof(tail)), 20);
	assert_string_equal(tail, "line 0007\nline 0008\n");
	assert_int_equal(log_tail(tail, 10), 0);
	assert_string_equal(tail, "");
	assert_int_equal(log_tail(tail, 11), 10);
	assert_int_equal(log_tail(NULL, 0), 0);
}

#define test_in_folder(test)                                                                       \
	cmocka_unit_test_setup_teardown(test, folder_enter_without_journal, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_folder(lines_up_to_the_level_are_printed),
		test_in_folder(the_journal_gets_its_level_marks),
		test_in_folder(no_text_forges_a_line_or_leaves_utf8),
		test_in_folder(a_long_line_is_cut),
		test_in_folder(the_tail_keeps_the_newest_whole_lines_oldest_first),
		test_in_folder(a_tail_into_little_room_is_cut_at_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
