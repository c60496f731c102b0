#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "signer/sql.h"
#include "tests/unit/sample.h"

enum { NOBODY = 65534 };

static char dir[] = "/tmp/test_sql.XXXXXX";
static char db[PATH_MAX], copy[PATH_MAX];

static int
setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(db, sizeof(db), "%s/fleet.db", dir);
	(void)snprintf(copy, sizeof(copy), "%s/copy.db", dir);
	return 0;
}

/* SQLite's own files are gone by then. */
static int
teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void
write_to(const char *statements)
{
	AUTO_SQL struct sql *s = NULL;
	struct err e = ERR_INIT;

	if (sql_open(db, &s, &e) < 0 || sql_run(s, statements, &e) < 0)
		fail_msg("%s", e.text);
}

static int64_t
boxes(struct sql *s)
{
	struct err e = ERR_INIT;
	int64_t n = -1;

	if (sql_get(s, NULL, &n, &e, "SELECT count(*) FROM box", "") < 0)
		fail_msg("%s", e.text);
	return n;
}

static int
mode_of(const char *path, const char *ending)
{
	char name[PATH_MAX + 8];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s%s", path, ending);
	assert_int_equal(stat(name, &st), 0);
	return (int)(st.st_mode & 0777);
}

static void
it_is_for_its_owner_and_their_group(void **state)
{
	static const char *const endings[] = {"", "-wal", "-shm"};
	AUTO_SQL struct sql *first = NULL, *second = NULL;
	mode_t mask = umask(022);
	struct err e = ERR_INIT;
	char name[PATH_MAX + 8];

	(void)state;
	assert_int_equal(sql_open(db, &first, &e), 0);
	assert_int_equal(sql_run(first, "CREATE TABLE box (name TEXT)", &e), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(mode_of(db, endings[i]), 0640);
		(void)snprintf(name, sizeof(name), "%s%s", db, endings[i]);
		assert_int_equal(chmod(name, 0644), 0);
	}
	/* As an older program made it, and while it has it open. */
	assert_int_equal(sql_open(db, &second, &e), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(mode_of(db, endings[i]), 0640);
	assert_int_equal(sql_run(first, "INSERT INTO box VALUES ('gw-1')", &e), 0);
	assert_int_equal(boxes(second), 1);
	sql_close(&second);
	sql_close(&first);
	/* Who keeps it to himself may. */
	assert_int_equal(chmod(db, 0600), 0);
	assert_int_equal(sql_open(db, &first, &e), 0);
	assert_int_equal(mode_of(db, ""), 0600);
	sql_close(&first);
	(void)umask(mask);
	assert_int_equal(unlink(db), 0);
}

static void
who_reads_sees_what_is_written_after_they_began(void **state)
{
	AUTO_SQL struct sql *s = NULL;
	struct err e = ERR_INIT;

	(void)state;
	write_to("CREATE TABLE box (name TEXT); INSERT INTO box VALUES ('gw-1')");
	assert_int_equal(sql_open_read(db, &s, &e), 0);
	assert_int_equal(boxes(s), 1);
	/* Opened, written and closed, which moves all of it into the file. */
	write_to("INSERT INTO box VALUES ('gw-2')");
	assert_int_equal(boxes(s), 2);
	assert_int_equal(sql_run(s, "INSERT INTO box VALUES ('gw-3')", &e), -1);
	assert_int_equal(boxes(s), 2);
	sql_close(&s);
	assert_int_equal(unlink(db), 0);
}

static void
a_copy_has_what_still_lies_in_the_log(void **state)
{
	AUTO_SQL struct sql *writer = NULL, *s = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(sql_open(db, &writer, &e), 0);
	assert_int_equal(sql_run(writer, "CREATE TABLE box (name TEXT)", &e), 0);
	assert_int_equal(sql_run(writer, "INSERT INTO box VALUES ('gw-1')", &e), 0);
	assert_int_equal(sql_begin(writer, &e), 0);
	assert_int_equal(sql_run(writer, "INSERT INTO box VALUES ('gw-2')", &e), 0);
	assert_int_equal(sql_copy(db, copy, &e), 0);
	assert_int_equal(mode_of(copy, ""), 0600);
	assert_int_equal(sql_open_read(copy, &s, &e), 0);
	assert_int_equal(boxes(s), 1);
	sql_close(&s);
	sql_close(&writer);
	assert_int_equal(unlink(copy), 0);
	assert_int_equal(unlink(db), 0);
}

static void
a_copy_that_is_damaged_is_refused(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	write_to("CREATE TABLE box (row INTEGER CHECK (row > 0)); PRAGMA ignore_check_constraints "
		 "= ON; INSERT INTO box VALUES (-1)");
	assert_int_equal(sql_copy(db, copy, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "CHECK"));
	assert_int_equal(unlink(copy), 0);
	assert_int_equal(unlink(db), 0);
	assert_int_equal(sql_copy(db, copy, &e), -1);
	assert_int_equal(e.errnum, ENOENT);
}

/* As somebody who may write neither the file nor its folder. */
static void
others_read_it_and_leave_nothing_beside_it(void **state)
{
	AUTO_SQL struct sql *s = NULL;
	bool was_root = geteuid() == 0;
	struct err e = ERR_INIT;
	char wal[PATH_MAX + 8];

	(void)state;
	write_to("CREATE TABLE box (name TEXT); INSERT INTO box VALUES ('gw-1')");
	(void)snprintf(wal, sizeof(wal), "%s-wal", db);
	assert_int_equal(chmod(db, 0444), 0);
	assert_int_equal(chmod(dir, 0555), 0);
	if (was_root)
		assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(sql_open_read(db, &s, &e), 0);
	assert_int_equal(boxes(s), 1);
	assert_false(file_exists(wal));
	sql_close(&s);
	if (was_root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(unlink(db), 0);
}

static void
who_may_not_read_it_is_told_so(void **state)
{
	const bool was_root = geteuid() == 0;
	AUTO_SQL struct sql *s = NULL;
	struct err e = ERR_INIT;

	(void)state;
	write_to("CREATE TABLE box (name TEXT)");
	assert_int_equal(chmod(db, 0), 0);
	if (was_root)
		assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(sql_open_read(db, &s, &e), -1);
	if (was_root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(e.errnum, EACCES);
	assert_non_null(strstr(e.text, "Permission denied"));
	assert_int_equal(unlink(db), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_for_its_owner_and_their_group),
		cmocka_unit_test(who_reads_sees_what_is_written_after_they_began),
		cmocka_unit_test(a_copy_has_what_still_lies_in_the_log),
		cmocka_unit_test(a_copy_that_is_damaged_is_refused),
		cmocka_unit_test(others_read_it_and_leave_nothing_beside_it),
		cmocka_unit_test(who_may_not_read_it_is_told_so),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
