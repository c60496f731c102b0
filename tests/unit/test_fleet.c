#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "signer/fleet.h"
#include "signer/sql.h"
#include "tests/unit/sample.h"

static char dir[] = "/tmp/test_fleet.XXXXXX";
static struct workspace w;

static int
setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(w.dir, sizeof(w.dir), "%s", dir);
	return 0;
}

static void
remove_db(void)
{
	static const char *const names[] = {"fleet.db", "fleet.db-wal", "fleet.db-shm"};
	char path[PATH_MAX];
	struct err e = ERR_INIT;

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(workspace_path(&w, names[i], path, &e), 0);
		(void)unlink(path);
	}
}

static int
teardown(void **state)
{
	(void)state;
	remove_db();
	return rmdir(dir);
}

static struct fleet *
fleet(void)
{
	struct fleet *f = NULL;
	struct err e = ERR_INIT;

	if (fleet_open(&w, &f, &e) < 0)
		fail_msg("%s", e.text);
	return f;
}

static int
add(struct fleet *f, const char *name, const char *serial, struct err *e)
{
	AUTO_FLEET_BOX struct fleet_box b = {.compatible = "acme-gw3",
		.tags = json_pack("{s:s}", "site", "lyon"),
		.report_key = json_pack("{s:s}", "keytype", "ed25519"),
		.added_s = 1000};
	struct x509_info info = {.from_s = 900, .until_s = 5000};

	(void)snprintf(b.name, sizeof(b.name), "%s", name);
	(void)snprintf(info.serial, sizeof(info.serial), "%s", serial);
	return fleet_add(f, &b, &info, "", "", e);
}

static void
a_box_that_was_added_is_found_after_reopening(void **state)
{
	AUTO_FLEET struct fleet *f = fleet();
	AUTO_FLEET_BOX struct fleet_box b = {0};
	struct err e = ERR_INIT;
	bool found = false;

	(void)state;
	assert_int_equal(add(f, "gw-1", "0a", &e), 0);
	fleet_close(&f);
	f = fleet();
	assert_int_equal(fleet_find(f, "gw-1", &found, &b, &e), 0);
	assert_true(found);
	assert_string_equal(b.name, "gw-1");
	assert_string_equal(b.compatible, "acme-gw3");
	assert_string_equal(json_string_value(json_object_get(b.tags, "site")), "lyon");
	assert_string_equal(json_string_value(json_object_get(b.report_key, "keytype")), "ed25519");
	assert_int_equal(b.added_s, 1000);
	assert_int_equal(b.revoked_s, 0);
	fleet_box_free(&b);
	assert_int_equal(fleet_find(f, "gw-2", &found, &b, &e), 0);
	assert_false(found);
	remove_db();
}

static void
a_name_that_is_taken_is_refused_and_changes_nothing(void **state)
{
	AUTO_FLEET struct fleet *f = fleet();
	AUTO_FLEET_REVOKED struct fleet_revoked r = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(add(f, "gw-1", "0a", &e), 0);
	assert_int_equal(add(f, "gw-1", "0b", &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(add(f, "gw-2", "0a", &e), -1); /* a serial number twice */
	assert_int_equal(fleet_revoke(f, "gw-2", 2000, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	assert_int_equal(fleet_revoke(f, "gw-1", 2000, &e), 0);
	assert_int_equal(fleet_revoked(f, 2000, &r, &e), 0);
	assert_int_equal(r.count, 1);
	assert_string_equal(r.list[0].serial, "0a");
	remove_db();
}

static void
a_revoked_box_comes_back_while_its_old_certificate_stays_revoked(void **state)
{
	AUTO_FLEET struct fleet *f = fleet();
	AUTO_FLEET_REVOKED struct fleet_revoked r = {0};
	AUTO_FLEET_REVOKED struct fleet_revoked late = {0};
	AUTO_FLEET_BOX struct fleet_box b = {0};
	struct err e = ERR_INIT;
	bool found;

	(void)state;
	assert_int_equal(add(f, "gw-1", "0a", &e), 0);
	assert_int_equal(fleet_revoke(f, "gw-1", 2000, &e), 0);
	assert_int_equal(fleet_revoke(f, "gw-1", 3000, &e), 0);
	assert_int_equal(fleet_find(f, "gw-1", &found, &b, &e), 0);
	assert_int_equal(b.revoked_s, 2000);
	fleet_box_free(&b);
	assert_int_equal(add(f, "gw-1", "0b", &e), 0);
	assert_int_equal(fleet_find(f, "gw-1", &found, &b, &e), 0);
	assert_int_equal(b.revoked_s, 0);
	assert_int_equal(fleet_revoked(f, 4000, &r, &e), 0);
	assert_int_equal(r.count, 1);
	assert_string_equal(r.list[0].serial, "0a");
	assert_int_equal(r.list[0].at_s, 2000);
	/* Nobody takes a certificate that has run out: it need not be on the list. */
	assert_int_equal(fleet_revoked(f, 5001, &late, &e), 0);
	assert_int_equal(late.count, 0);
	remove_db();
}

static void
crl_numbers_rise(void **state)
{
	AUTO_FLEET struct fleet *f = fleet();
	struct err e = ERR_INIT;
	uint64_t a = 0, b = 0;

	(void)state;
	assert_int_equal(fleet_crl_number(f, &a, &e), 0);
	fleet_close(&f);
	f = fleet();
	assert_int_equal(fleet_crl_number(f, &b, &e), 0);
	assert_int_equal(a, 1);
	assert_int_equal(b, 2);
	remove_db();
}

static void
what_is_revoked_while_a_crl_is_written_stays_unlisted(void **state)
{
	AUTO_FLEET struct fleet *f = fleet();
	struct err e = ERR_INIT;
	uint64_t before = 9, after = 9;

	(void)state;
	assert_int_equal(fleet_unlisted(f, &before, &e), 0);
	assert_int_equal(before, 0);
	assert_int_equal(fleet_revoke(f, "nobody", 2000, &e), -1);
	assert_int_equal(fleet_unlisted(f, &before, &e), 0);
	assert_int_equal(before, 0);
	assert_int_equal(add(f, "gw-1", "0a", &e), 0);
	assert_int_equal(add(f, "gw-2", "0b", &e), 0);
	assert_int_equal(fleet_revoke(f, "gw-1", 2000, &e), 0);
	assert_int_equal(fleet_unlisted(f, &before, &e), 0);
	assert_true(before > 0);
	assert_int_equal(fleet_revoke(f, "gw-2", 2000, &e), 0);
	assert_int_equal(fleet_list(f, before, &e), 0);
	assert_int_equal(fleet_unlisted(f, &after, &e), 0);
	assert_true(after > 0);
	assert_int_equal(fleet_list(f, after, &e), 0);
	assert_int_equal(fleet_unlisted(f, &after, &e), 0);
	assert_int_equal(after, 0);
	remove_db();
}

static void
two_programs_may_have_it_open(void **state)
{
	AUTO_FLEET struct fleet *f = fleet();
	AUTO_FLEET struct fleet *g = fleet();
	AUTO_FLEET_BOX struct fleet_box b = {0};
	struct err e = ERR_INIT;
	bool found = false;

	(void)state;
	assert_int_equal(add(f, "gw-1", "0a", &e), 0);
	assert_int_equal(add(g, "gw-2", "0b", &e), 0);
	assert_int_equal(fleet_find(f, "gw-2", &found, &b, &e), 0);
	assert_true(found);
	remove_db();
}

static void
a_file_of_a_newer_program_or_of_no_database_is_refused(void **state)
{
	struct fleet *f = fleet();
	struct err e = ERR_INIT;
	char path[PATH_MAX];
	int fd;

	(void)state;
	fleet_close(&f);
	assert_int_equal(workspace_path(&w, "fleet.db", path, &e), 0);
	/* user_version: https://www.sqlite.org/fileformat.html, section 1.3, offset 60. */
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\0\0\1\0", 4, 60), 4);
	assert_int_equal(close(fd), 0);
	assert_int_equal(fleet_open(&w, &f, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	remove_db();
	assert_int_equal(file_create(path, 0600,
				 span_str("this is not a database, but long "
					  "enough to have been one of SQLite's"),
				 &e),
		0);
	assert_int_equal(fleet_open(&w, &f, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_null(f);
	remove_db();
}

static void
a_census_counts_boxes_by_their_certificates(void **state)
{
	AUTO_FLEET struct fleet *f = fleet(), *reader = NULL;
	struct fleet_census c;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(fleet_census(f, 1000, 2000, &c, &e), 0);
	assert_true(c.boxes == 0 && c.revoked == 0 && c.earliest_s == 0 && !c.earliest[0]);
	assert_int_equal(add(f, "gw-1", "0a", &e), 0);
	assert_int_equal(add(f, "gw-2", "0b", &e), 0);
	assert_int_equal(fleet_revoke(f, "gw-1", 1000, &e), 0);
	/* It comes back; what was revoked does not count for it. */
	assert_int_equal(add(f, "gw-1", "0c", &e), 0);
	assert_int_equal(add(f, "gw-3", "0d", &e), 0);
	assert_int_equal(fleet_revoke(f, "gw-3", 1000, &e), 0);
	assert_int_equal(fleet_census(f, 1000, 4999, &c, &e), 0);
	assert_true(c.boxes == 2 && c.revoked == 1 && c.due == 0 && c.expired == 0);
	assert_int_equal(c.earliest_s, 5000);
	assert_string_equal(c.earliest, "gw-1");
	assert_int_equal(fleet_census(f, 1000, 5000, &c, &e), 0);
	assert_true(c.due == 2 && c.expired == 0);
	assert_int_equal(fleet_census(f, 5000, 9000, &c, &e), 0);
	assert_true(c.due == 2 && c.expired == 2);

	/* A reader beside a writer, and one alone, see the same. */
	assert_int_equal(fleet_open_read(&w, &reader, &e), 0);
	assert_int_equal(fleet_census(reader, 1000, 2000, &c, &e), 0);
	assert_int_equal(c.boxes, 2);
	assert_int_equal(fleet_revoke(reader, "gw-2", 1000, &e), -1);
	fleet_close(&reader);
	fleet_close(&f);
	assert_int_equal(fleet_open_read(&w, &reader, &e), 0);
	assert_int_equal(fleet_census(reader, 1000, 2000, &c, &e), 0);
	assert_int_equal(c.boxes, 2);
	fleet_close(&reader);
	remove_db();
	assert_int_equal(fleet_open_read(&w, &reader, &e), -1);
	assert_int_equal(e.errnum, ENOENT);
}

/* As the first programs made it. */
static const char first_format[] =
	"CREATE TABLE box (name TEXT PRIMARY KEY NOT NULL, compatible TEXT NOT NULL, tags TEXT NOT "
	"NULL, report_key TEXT NOT NULL, added_s INTEGER NOT NULL, revoked_s INTEGER NOT NULL "
	"DEFAULT 0) STRICT, WITHOUT ROWID;"
	"CREATE TABLE certificate (serial TEXT PRIMARY KEY NOT NULL, box TEXT NOT NULL REFERENCES "
	"box(name), from_s INTEGER NOT NULL, until_s INTEGER NOT NULL, revoked_s INTEGER NOT NULL "
	"DEFAULT 0) STRICT, WITHOUT ROWID;"
	"CREATE INDEX certificate_box ON certificate(box);"
	"CREATE TABLE counter (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT;"
	"INSERT INTO counter VALUES ('crl', 7);"
	"INSERT INTO box VALUES ('gw-1', 'acme-gw3', '{\"site\":\"lyon\"}', '{}', 900, 0);"
	"INSERT INTO box VALUES ('gw-0', 'acme-gw3', '{}', '{}', 1000, 1500);"
	"INSERT INTO certificate VALUES ('0a', 'gw-0', 900, 5000, 1500);"
	"INSERT INTO certificate VALUES ('0b', 'gw-1', 900, 5000, 0);"
	"PRAGMA user_version = 1;";

static void
first_format_make(const char *statements)
{
	AUTO_SQL struct sql *sql = NULL;
	struct err e = ERR_INIT;
	char path[PATH_MAX];

	assert_int_equal(workspace_path(&w, "fleet.db", path, &e), 0);
	assert_int_equal(sql_open(path, &sql, &e), 0);
	assert_int_equal(sql_run(sql, statements, &e), 0);
}

struct seen {
	size_t count;
	char names[4][NAME_BYTES_MAX + 1], sites[4][16];
	bool revoked[4];
};

static int
see(void *arg, const struct fleet_member *m, struct err *e)
{
	struct seen *seen = arg;
	const char *site = json_string_value(json_object_get(m->facts.tags, "site"));

	if (seen->count == 3)
		return err_set(e, ERR_LIMIT, "three is enough");
	(void)snprintf(
		seen->names[seen->count], sizeof(seen->names[seen->count]), "%s", m->facts.id);
	(void)snprintf(seen->sites[seen->count], sizeof(seen->sites[0]), "%s", site ? site : "");
	seen->revoked[seen->count++] = m->revoked;
	assert_string_equal(m->facts.compatible, "acme-gw3");
	assert_string_equal(m->facts.version, "");
	assert_string_equal(m->running, "");
	assert_int_equal(m->heard_s, 0);
	return 0;
}

static void
a_file_of_the_first_programs_is_brought_up_to_date(void **state)
{
	AUTO_FLEET struct fleet *f = NULL;
	AUTO_FLEET_REVOKED struct fleet_revoked r = {0};
	struct err e = ERR_INIT;
	struct seen seen = {0};
	struct fleet_census c;
	uint64_t number = 0;

	(void)state;
	first_format_make(first_format);
	assert_int_equal(fleet_open_read(&w, &f, &e), 0);
	assert_int_equal(fleet_census(f, 1000, 2000, &c, &e), 0);
	assert_int_equal(c.boxes, 1);
	assert_int_equal(fleet_each_box(f, see, &seen, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	fleet_close(&f);
	f = fleet();
	assert_int_equal(fleet_each_box(f, see, &seen, &e), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.names[0], "gw-1");
	assert_string_equal(seen.sites[0], "lyon");
	assert_false(seen.revoked[0]);
	assert_string_equal(seen.names[1], "gw-0");
	assert_string_equal(seen.sites[1], "");
	assert_true(seen.revoked[1]);
	assert_int_equal(fleet_revoked(f, 2000, &r, &e), 0);
	assert_int_equal(r.count, 1);
	assert_string_equal(r.list[0].serial, "0a");
	assert_int_equal(fleet_crl_number(f, &number, &e), 0);
	assert_int_equal(number, 8);
	remove_db();
}

static void
a_file_that_cannot_be_brought_up_to_date_stays_as_it_was(void **state)
{
	AUTO_SQL struct sql *sql = NULL;
	struct fleet *f = NULL;
	struct err e = ERR_INIT;
	char path[PATH_MAX];
	int64_t version = 0;

	(void)state;
	first_format_make(first_format);
	/* In the way of the last of the tables. */
	first_format_make("CREATE TABLE aside (x TEXT)");
	assert_int_equal(fleet_open(&w, &f, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(workspace_path(&w, "fleet.db", path, &e), 0);
	assert_int_equal(sql_open(path, &sql, &e), 0);
	assert_int_equal(sql_get(sql, NULL, &version, &e, "PRAGMA user_version", ""), 0);
	assert_int_equal(version, 1);
	assert_int_equal(sql_get(sql, NULL, &version, &e,
				 "SELECT count(*) FROM sqlite_schema WHERE name = 'report'", ""),
		0);
	assert_int_equal(version, 0);
	remove_db();
}

/* What formats 4 to 6 have beside format 3. */
static const char third_format[] =
	"DROP INDEX renewal_turn; DROP TABLE event; DROP TABLE delivery; DROP TABLE told_role; "
	"DROP TABLE outage;"
	"ALTER TABLE known DROP COLUMN authentic; ALTER TABLE known DROP COLUMN audit_told_s;"
	"ALTER TABLE report DROP COLUMN haul; ALTER TABLE known DROP COLUMN audit_told;"
	"INSERT INTO known VALUES (1, 7, 900, 1000, 'idle', 'none', 'none', 0, '2.0.0', '', '', 1, "
	"'acme-gw3', '{}', '', '', 0, 0, 0, 0, 1);"
	"PRAGMA user_version = 3;";

static void
a_file_without_events_is_brought_up_to_date(void **state)
{
	struct fleet *f = fleet();
	struct sql *s = NULL;
	struct fleet_census c;
	struct err e = ERR_INIT;
	int64_t n = 0;

	(void)state;
	assert_int_equal(add(f, "gw-1", "0a", &e), 0);
	fleet_close(&f);
	first_format_make(third_format);
	assert_int_equal(fleet_open_read(&w, &f, &e), 0);
	assert_int_equal(fleet_sql(f, &s, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "format 3"));
	assert_int_equal(fleet_census(f, 1000, 2000, &c, &e), 0);
	assert_true(c.boxes == 1 && c.earliest_s == 5000);
	fleet_close(&f);
	f = fleet();
	assert_int_equal(fleet_sql(f, &s, &e), 0);
	assert_int_equal(sql_get(s, NULL, &n, &e,
				 "SELECT seq FROM known WHERE authentic = '' AND audit_told_s = 0 "
				 "AND version = '2.0.0'",
				 ""),
		0);
	assert_int_equal(n, 7);
	assert_int_equal(sql_get(s, NULL, &n, &e,
				 "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM "
				 "delivery) + (SELECT count(*) FROM told_role) + (SELECT count(*) "
				 "FROM outage)",
				 ""),
		0);
	assert_int_equal(n, 0);
	fleet_close(&f);
	remove_db();
}

static void
a_look_at_all_boxes_ends_where_it_is_told_to(void **state)
{
	AUTO_FLEET struct fleet *f = fleet();
	struct err e = ERR_INIT;
	struct seen seen = {0};

	(void)state;
	assert_int_equal(add(f, "gw-1", "0a", &e), 0);
	assert_int_equal(add(f, "gw-2", "0b", &e), 0);
	assert_int_equal(add(f, "gw-3", "0c", &e), 0);
	assert_int_equal(fleet_each_box(f, see, &seen, &e), 0);
	assert_int_equal(seen.count, 3);
	assert_int_equal(fleet_each_box(f, see, &seen, &e), -1);
	assert_string_equal(e.text, "three is enough");
	remove_db();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_box_that_was_added_is_found_after_reopening),
		cmocka_unit_test(a_name_that_is_taken_is_refused_and_changes_nothing),
		cmocka_unit_test(a_revoked_box_comes_back_while_its_old_certificate_stays_revoked),
		cmocka_unit_test(crl_numbers_rise),
		cmocka_unit_test(what_is_revoked_while_a_crl_is_written_stays_unlisted),
		cmocka_unit_test(a_census_counts_boxes_by_their_certificates),
		cmocka_unit_test(two_programs_may_have_it_open),
		cmocka_unit_test(a_file_of_a_newer_program_or_of_no_database_is_refused),
		cmocka_unit_test(a_file_of_the_first_programs_is_brought_up_to_date),
		cmocka_unit_test(a_file_that_cannot_be_brought_up_to_date_stays_as_it_was),
		cmocka_unit_test(a_file_without_events_is_brought_up_to_date),
		cmocka_unit_test(a_look_at_all_boxes_ends_where_it_is_told_to),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
