/* What is written is sent on its way to the disk as it grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/writeback.h"

enum { CHUNK = 64 << 10, PIECE = 8 << 20 };

/* The kernel's part is played: what it was told, and what it says. */
static struct {
	unsigned calls, flags[8];
	off_t from[8], len[8];
	int errnum;
} disk;

int
sync_file_range(int fd, off_t from, off_t len, unsigned flags)
{
	assert_int_equal(fd, 7);
	assert_true(disk.calls < 8);
	disk.flags[disk.calls] = flags;
	disk.from[disk.calls] = from;
	disk.len[disk.calls++] = len;
	errno = disk.errnum;
	return disk.errnum ? -1 : 0;
}

static int
disk_make(void **state)
{
	(void)state;
	memset(&disk, 0, sizeof(disk));
	return 0;
}

/* Writes every second chunk of so many bytes, as an update does that finds the others in place. */
static int
write_half(struct writeback *w, uint64_t from, uint64_t len, struct err *e)
{
	for (uint64_t at = from; at < from + len; at += 2 * (uint64_t)CHUNK) {
		if (writeback_add(w, 7, "rootfs B", at, CHUNK, e) < 0)
			return -1;
	}
	return 0;
}

static void
what_was_sent_before_is_waited_for(void **state)
{
	struct writeback w = {0};
	struct err e;

	(void)state;
	assert_int_equal(write_half(&w, 0, 2 * PIECE - 2 * CHUNK, &e), 0);
	assert_int_equal(disk.calls, 0);
	assert_int_equal(write_half(&w, 2 * PIECE - 2 * CHUNK, 2 * CHUNK, &e), 0);
	assert_int_equal(disk.calls, 1);
	assert_int_equal(disk.flags[0], SYNC_FILE_RANGE_WRITE);
	assert_int_equal(disk.from[0], 0);
	assert_int_equal(disk.len[0], 2 * PIECE - CHUNK);
	assert_int_equal(write_half(&w, 2 * PIECE, 2 * PIECE, &e), 0);
	assert_int_equal(disk.calls, 3);
	assert_int_equal(disk.flags[1], SYNC_FILE_RANGE_WAIT_BEFORE);
	assert_int_equal(disk.from[1], 0);
	assert_int_equal(disk.len[1], 2 * PIECE - CHUNK);
	assert_int_equal(disk.from[2], 2 * PIECE);
}

/* The kernel tells it once: fsync() would not hear of it any more. */
static void
a_disk_that_fails_is_told(void **state)
{
	struct writeback w = {0};
	struct err e;

	(void)state;
	disk.errnum = EIO;
	assert_int_equal(write_half(&w, 0, 2 * PIECE, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(e.errnum, EIO);
}

static void
a_kernel_without_it_is_no_failure(void **state)
{
	struct writeback w = {0};
	struct err e;

	(void)state;
	disk.errnum = ENOSYS;
	assert_int_equal(write_half(&w, 0, 4 * PIECE, &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_was_sent_before_is_waited_for, disk_make),
		cmocka_unit_test_setup(a_disk_that_fails_is_told, disk_make),
		cmocka_unit_test_setup(a_kernel_without_it_is_no_failure, disk_make),
	};

	return cmocka_run_group_tests_name("writeback", tests, NULL, NULL);
}
