#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/format/archive.h"

static void
archive_error_of_the_system_is_a_system_error(void **state)
{
	AUTO_ARCHIVE_READ struct archive *a = archive_read_new();
	struct err e = ERR_INIT;

	(void)state;
	archive_set_error(a, ENOSPC, "the disk is full");
	assert_int_equal(err_archive(&e, a, "writing %s", "x.ota"), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(e.errnum, ENOSPC);
	assert_string_equal(e.text, "writing x.ota: the disk is full");
}

static void
archive_error_of_the_bytes_is_malformed(void **state)
{
	AUTO_ARCHIVE_READ struct archive *a = archive_read_new();
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(archive_read_support_format_tar(a), ARCHIVE_OK);
	/* Opening already looks at the first bytes, and finds that they are no archive. */
	assert_int_not_equal(archive_read_open_memory(a, "this is no tar", 14), ARCHIVE_OK);
	assert_int_equal(err_archive(&e, a, "app.tar"), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_ptr_equal(strstr(e.text, "app.tar: "), e.text);
	assert_int_equal(err_archive(NULL, a, "nobody listens"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(archive_error_of_the_system_is_a_system_error),
		cmocka_unit_test(archive_error_of_the_bytes_is_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
