#include "tests/unit/ledger_scene.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "signer/aside.h"

static bool
is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void
write_file(const char *path, const char *text)
{
	struct err e = ERR_INIT;

	if (file_create(path, 0600, span_str(text), &e) < 0)
		fail_msg("%s", e.text);
}

static int
find_reason(void *arg, const char *file, int64_t at_s, const char *reason, struct err *e)
{
	struct found *found = arg;

	(void)e;
	assert_true(at_s > 0);
	if (found->count++ == 0) {
		(void)snprintf(found->name, sizeof(found->name), "%s", file);
		(void)snprintf(found->reason, sizeof(found->reason), "%s", reason);
	}
	return 0;
}

static void
a_report_is_taken_once_and_its_file_goes(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 1, BOX_STARTING, OUTCOME_NONE);
	AUTO_REPORT struct report back = {0};
	struct ingest_stats stats;
	struct err e = ERR_INIT;
	struct found found;
	bool there = false;

	ledger_scene_add(x, "gw-1");
	(void)snprintf(r.log, sizeof(r.log), "one\ntwo\n");
	ledger_scene_put(x, &r);
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.taken, 1);
	assert_int_equal(stats.duplicates + stats.aside + stats.left, 0);
	assert_false(is_there("spool/gw-1@1.json"));
	found = ledger_scene_box(x, "gw-1");
	assert_int_equal(found.seq, 1);
	assert_string_equal(found.state, "starting");
	assert_string_equal(found.outcome, "none");
	assert_string_equal(found.running, OLD_SHA);
	assert_string_equal(found.tags, "{\"site\":\"lyon\"}");
	assert_true(found.heard_s > 0 && found.heard_s < x->now_s);
	assert_int_equal(ledger_report(x->f, "gw-1", 1, &there, &back, &e), 0);
	assert_true(there);
	assert_string_equal(back.box, "gw-1");
	assert_string_equal(back.boot_id, r.boot_id);
	assert_string_equal(back.plan, r.plan);
	assert_string_equal(back.rollout, r.rollout);
	assert_string_equal(back.wave, r.wave);
	assert_string_equal(back.bundle, r.bundle);
	assert_string_equal(back.version, r.version);
	assert_string_equal(back.bundle_sha256, r.bundle_sha256);
	assert_string_equal(back.running_sha256, r.running_sha256);
	assert_string_equal(back.source, r.source);
	assert_string_equal(back.log, "one\ntwo\n");
	assert_true(back.at_s == r.at_s && back.plan_version == 3 && back.attempt == 1 &&
		    back.rollback_floor == 4);
	assert_int_equal(ledger_report(x->f, "gw-1", 2, &there, &back, &e), 0);
	assert_false(there);
}

/* As after a kill between the commit and the end of the file. */
static void
a_report_that_comes_again_counts_once(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 1, BOX_STARTING, OUTCOME_NONE);
	struct ledger_totals totals;
	struct ingest_stats stats;
	struct err e = ERR_INIT;

	ledger_scene_add(x, "gw-1");
	ledger_scene_put(x, &r);
	(void)ledger_scene_drain(x);
	ledger_scene_put(x, &r);
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.taken, 0);
	assert_int_equal(stats.duplicates, 1);
	assert_int_equal(stats.clashes, 0);
	assert_false(is_there("spool/gw-1@1.json"));
	/* Another report under the same number: the box counts anew, or there are two. */
	r.at_s++;
	ledger_scene_put(x, &r);
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.duplicates, 1);
	assert_int_equal(stats.clashes, 1);
	assert_int_equal(ledger_totals(x->f, &totals, &e), 0);
	assert_true(totals.reports == 1 && totals.duplicates == 2 && totals.clashes == 1 &&
		    totals.aside == 0);
	assert_int_equal(ledger_scene_history(x, "gw-1").count, 1);
}

static void
set_aside(struct ledger_scene *x, const char *file, const char *why)
{
	struct ingest_stats stats = ledger_scene_drain(x);
	struct found found = {0};
	struct err e = ERR_INIT;
	char path[PATH_MAX];

	if (stats.aside != 1 || stats.taken != 0)
		fail_msg("%s was not set aside", file);
	(void)snprintf(path, sizeof(path), "spool/%s", file);
	assert_false(is_there(path));
	(void)snprintf(path, sizeof(path), "spool/" ASIDE_DIR "/%s", file);
	assert_true(is_there(path));
	assert_int_equal(ingest_each_aside(x->f, find_reason, &found, &e), 0);
	assert_string_equal(found.name, file);
	if (!strstr(found.reason, why))
		fail_msg("%s: '%s' does not say '%s'", file, found.reason, why);
}

static void
what_is_no_report_of_its_box_is_set_aside_with_its_reason(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 7, BOX_STARTING, OUTCOME_NONE);
	struct err e = ERR_INIT;

	ledger_scene_add(x, "gw-1");
	ledger_scene_add(x, "gw-2");
	ledger_scene_put_as(x, &r, "gw-2@7.json");
	set_aside(x, "gw-2@7.json", "report 7 of gw-1");
	ledger_scene_put_as(x, &r, "gw-1@8.json");
	set_aside(x, "gw-1@8.json", "report 7 of gw-1");
	ledger_scene_put_as(x, &r, "gw-3@7.json");
	set_aside(x, "gw-3@7.json", "no such box");
	assert_int_equal(fleet_revoke(x->f, "gw-2", 2000, &e), 0);
	ledger_scene_put_as(x, &r, "gw-2@9.json");
	set_aside(x, "gw-2@9.json", "revoked");
	write_file("spool/gw-1@9.json", "{\"signed\":{},\"signatures\":[]}");
	set_aside(x, "gw-1@9.json", "0 of 1 signatures");
	write_file("spool/gw-1@10.json", "not JSON");
	set_aside(x, "gw-1@10.json", "gw-1@10.json");
	assert_int_equal(symlink("../fleet.db", "spool/gw-1@11.json"), 0);
	set_aside(x, "gw-1@11.json", "link");
	assert_int_equal(mkfifo("spool/gw-1@12.json", 0600), 0);
	set_aside(x, "gw-1@12.json", "not a regular file");
	assert_int_equal(mknod("spool/gw-1@13.json", S_IFSOCK | 0600, 0), 0);
	set_aside(x, "gw-1@13.json", "socket");
	assert_int_equal(ledger_scene_box(x, "gw-1").seq, 0);
}

static void
names_that_are_none_of_a_report_are_set_aside(void **state)
{
	static const char *const names[] = {"gw-1.json", "gw-1@0.json", "gw-1@01.json",
		"gw-1@1.jso", "gw-1@1x.json", "@1.json", "gw-1@@1.json", "gw-1@1.json.json",
		"gw-1@99999999999999999999.json"};
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 1, BOX_STARTING, OUTCOME_NONE);

	ledger_scene_add(x, "gw-1");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ledger_scene_put_as(x, &r, names[i]);
		set_aside(x, names[i], "its name");
	}
}

static void
a_report_with_another_signature_or_changed_is_set_aside(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 1, BOX_STARTING, OUTCOME_NONE);
	AUTO_BUF struct buf bytes = BUF_INIT(REPORT_BYTES_MAX);
	struct err e = ERR_INIT;
	char *at;

	ledger_scene_add(x, "gw-1");
	ledger_scene_put(x, &r);
	assert_int_equal(file_read("spool/gw-1@1.json", &bytes, &e), 0);
	at = strstr(buf_str(&bytes), "\"starting\"");
	assert_non_null(at);
	memcpy(at, "\"held\"    ", 10);
	assert_int_equal(unlink("spool/gw-1@1.json"), 0);
	write_file("spool/gw-1@1.json", buf_str(&bytes));
	set_aside(x, "gw-1@1.json", "signatures");
}

static void
a_file_over_the_limit_is_set_aside_unread(void **state)
{
	struct ledger_scene *x = *state;
	int fd = open("spool/gw-1@1.json", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ledger_scene_add(x, "gw-1");
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	assert_int_equal(close(fd), 0);
	set_aside(x, "gw-1@1.json", "gw-1@1.json");
}

static void
a_file_that_is_still_being_written_is_left_alone(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 1, BOX_STARTING, OUTCOME_NONE);
	struct ingest_stats stats;

	ledger_scene_add(x, "gw-1");
	x->now_s = time(NULL) + 60;
	ledger_scene_put_as(x, &r, "gw-1@1.json.0000000001");
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.taken + stats.aside, 0);
	assert_true(is_there("spool/gw-1@1.json.0000000001"));
	x->now_s += 3600;
	set_aside(x, "gw-1@1.json.0000000001", "its name");
}

/* As after a kill between the commit and the move. */
static void
a_file_that_is_set_aside_twice_counts_once(void **state)
{
	struct ledger_scene *x = *state;
	struct ledger_totals totals;
	struct ingest_stats stats;
	struct err e = ERR_INIT;

	write_file("spool/gw-9@1.json", "");
	set_aside(x, "gw-9@1.json", "no such box");
	assert_int_equal(rename("spool/aside/gw-9@1.json", "spool/gw-9@1.json"), 0);
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.aside, 0);
	assert_true(is_there("spool/aside/gw-9@1.json"));
	write_file("spool/gw-9@1.json", "");
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.aside, 1);
	assert_int_equal(ledger_totals(x->f, &totals, &e), 0);
	assert_int_equal(totals.aside, 2);
}

static void
of_what_was_set_aside_the_newest_are_kept(void **state)
{
	struct ledger_scene *x = *state;
	struct ingest_stats stats;
	char name[64];

	write_file("spool/gw-9@5000.json", "");
	assert_int_equal(ledger_scene_drain(x).aside, 1);
	x->now_s++;
	for (unsigned i = 1; i <= ASIDE_MAX; i++) {
		(void)snprintf(name, sizeof(name), "spool/gw-9@%u.json", i);
		write_file(name, "");
	}
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.aside, ASIDE_MAX);
	assert_int_equal(ledger_scene_number(x, "SELECT count(*) FROM aside"), ASIDE_MAX);
	assert_false(is_there("spool/aside/gw-9@5000.json"));
	assert_true(is_there("spool/aside/gw-9@1.json"));
	assert_int_equal(ledger_scene_number(x, "SELECT value FROM counter WHERE name = 'aside'"),
		ASIDE_MAX + 1);
}

static unsigned
entries(const char *folder)
{
	AUTO_DIR DIR *dir = opendir(folder);
	const struct dirent *entry;
	unsigned count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	return count;
}

static void
a_batch_that_failed_is_taken_up_by_the_next_round(void **state)
{
	enum { FILES = INGEST_BATCH_MAX + 10 };
	struct ledger_scene *x = *state;
	struct ingest_stats stats = {.taken = 77};
	struct err e = ERR_INIT;
	bool more = false;
	char name[64];

	for (unsigned i = 1; i <= FILES; i++) {
		int fd;

		(void)snprintf(name, sizeof(name), "spool/gw-9@%u.json", i);
		fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(close(fd), 0);
	}
	ledger_scene_run(x, "ALTER TABLE aside RENAME TO away");
	assert_int_equal(ingest_batch(x->i, x->now_s, &stats, &more, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(stats.taken, 77);
	ledger_scene_run(x, "ALTER TABLE away RENAME TO aside");
	assert_int_equal(ingest_batch(x->i, x->now_s, &stats, &more, &e), 0);
	assert_true(more);
	assert_int_equal(stats.aside, INGEST_BATCH_MAX);
	assert_int_equal(ingest_batch(x->i, x->now_s, &stats, &more, &e), 0);
	assert_false(more);
	assert_int_equal(stats.aside, FILES - INGEST_BATCH_MAX);
	assert_int_equal(entries("spool"), 1);
	assert_int_equal(entries("spool/aside"), ASIDE_MAX);
}

static void
what_cannot_be_put_away_stays_and_holds_up_nothing(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 9, BOX_STARTING, OUTCOME_NONE);
	struct ingest_stats stats;

	ledger_scene_add(x, "gw-1");
	/* Somebody has a folder where it is to go. */
	write_file("spool/gw-0@1.json", "");
	assert_int_equal(mkdir("spool/aside/gw-0@1.json", 0700), 0);
	ledger_scene_put(x, &r);
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.taken, 1);
	assert_int_equal(stats.aside, 1);
	assert_int_equal(stats.left, 1);
	assert_non_null(strstr(stats.why, "moving spool/gw-0@1.json"));
	assert_false(is_there("spool/gw-1@9.json"));
	assert_true(is_there("spool/gw-0@1.json"));
	/* It is told again, and counted once. */
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.left, 1);
	assert_int_equal(stats.aside, 0);
	assert_int_equal(rmdir("spool/aside/gw-0@1.json"), 0);
	assert_int_equal(ledger_scene_drain(x).left, 0);
	assert_true(is_there("spool/aside/gw-0@1.json"));
}

static void
a_folder_in_the_spool_is_no_report_and_stays(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 9, BOX_STARTING, OUTCOME_NONE);
	struct ingest_stats stats;

	ledger_scene_add(x, "gw-1");
	assert_int_equal(mkdir("spool/gw-1@1.json", 0700), 0);
	write_file("spool/gw-1@1.json/in", "");
	ledger_scene_put(x, &r);
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.taken, 1);
	assert_int_equal(stats.aside, 0);
	assert_int_equal(stats.left, 1);
	assert_non_null(strstr(stats.why, "spool/gw-1@1.json is a folder"));
	assert_true(is_there("spool/gw-1@1.json/in"));
}

static void
what_cannot_be_deleted_of_what_was_set_aside_stays(void **state)
{
	struct ledger_scene *x = *state;
	struct ingest_stats stats;
	char name[64];

	write_file("spool/gw-9@5000.json", "");
	assert_int_equal(ledger_scene_drain(x).aside, 1);
	assert_int_equal(unlink("spool/aside/gw-9@5000.json"), 0);
	assert_int_equal(mkdir("spool/aside/gw-9@5000.json", 0700), 0);
	write_file("spool/aside/gw-9@5000.json/in", "");
	x->now_s++;
	for (unsigned i = 1; i <= ASIDE_MAX; i++) {
		(void)snprintf(name, sizeof(name), "spool/gw-9@%u.json", i);
		write_file(name, "");
	}
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.aside, ASIDE_MAX);
	assert_int_equal(stats.left, 1);
	assert_non_null(strstr(stats.why, "deleting spool/aside/gw-9@5000.json"));
	assert_int_equal(ledger_scene_number(x, "SELECT count(*) FROM aside"), ASIDE_MAX);
}

/* The web server may write to spool/: nobody is led elsewhere by it. */
static void
a_link_in_place_of_the_folder_for_what_was_set_aside_is_not_followed(void **state)
{
	struct ledger_scene *x = *state;
	struct ingest_stats stats;
	struct ingest *i = NULL;
	struct err e = ERR_INIT;
	struct stat st;

	assert_int_equal(mkdir("elsewhere", 0700), 0);
	write_file("elsewhere/shadow", "precious");
	assert_int_equal(rmdir("spool/aside"), 0);
	assert_int_equal(symlink("../elsewhere", "spool/aside"), 0);
	write_file("spool/shadow", "");
	x->now_s += 2 * SPOOL_WRITING_MAX_S;
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.aside, 1);
	assert_true(stats.left > 0);
	assert_non_null(strstr(stats.why, "spool/aside"));
	assert_true(is_there("spool/shadow"));
	assert_int_equal(entries("elsewhere"), 1);
	ledger_scene_close(x);
	assert_int_equal(fleet_open(&x->w, &x->f, &e), 0);
	assert_int_equal(ingest_open(&x->w, x->f, 2, &i, &e), -1);
	/* Once it is gone, all goes on. */
	assert_int_equal(unlink("spool/aside"), 0);
	assert_int_equal(ingest_open(&x->w, x->f, 2, &x->i, &e), 0);
	assert_int_equal(ledger_scene_drain(x).left, 0);
	assert_true(is_there("spool/aside/shadow"));
	assert_int_equal(stat("elsewhere/shadow", &st), 0);
	assert_int_equal(st.st_size, strlen("precious"));
}

static void
a_report_that_cannot_be_recorded_is_set_aside_alone(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 7, BOX_STARTING, OUTCOME_NONE);
	struct ingest_stats stats;
	struct found found = {0};
	struct err e = ERR_INIT;

	ledger_scene_add(x, "gw-1");
	ledger_scene_run(x,
		"CREATE TRIGGER no BEFORE INSERT ON report WHEN NEW.seq = 7 BEGIN SELECT "
		"RAISE(IGNORE); END");
	ledger_scene_put(x, &r);
	r.seq = 8;
	ledger_scene_put(x, &r);
	stats = ledger_scene_drain(x);
	assert_int_equal(stats.taken, 1);
	assert_int_equal(stats.aside, 1);
	assert_int_equal(ledger_scene_box(x, "gw-1").seq, 8);
	assert_true(is_there("spool/aside/gw-1@7.json"));
	assert_int_equal(ingest_each_aside(x->f, find_reason, &found, &e), 0);
	assert_non_null(strstr(found.reason, "a row that belongs in it is missing"));
}

static void
two_at_one_spool_are_refused(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_INGEST struct ingest *second = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(ingest_open(&x->w, x->f, 1, &second, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	ingest_close(&x->i);
	assert_int_equal(ingest_open(&x->w, x->f, 1, &second, &e), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_scene_set, ledger_scene_clear)
	const struct CMUnitTest tests[] = {
		TEST(a_report_is_taken_once_and_its_file_goes),
		TEST(a_report_that_comes_again_counts_once),
		TEST(what_is_no_report_of_its_box_is_set_aside_with_its_reason),
		TEST(names_that_are_none_of_a_report_are_set_aside),
		TEST(a_report_with_another_signature_or_changed_is_set_aside),
		TEST(a_file_over_the_limit_is_set_aside_unread),
		TEST(a_file_that_is_still_being_written_is_left_alone),
		TEST(a_file_that_is_set_aside_twice_counts_once),
		TEST(of_what_was_set_aside_the_newest_are_kept),
		TEST(a_batch_that_failed_is_taken_up_by_the_next_round),
		TEST(what_cannot_be_put_away_stays_and_holds_up_nothing),
		TEST(a_folder_in_the_spool_is_no_report_and_stays),
		TEST(what_cannot_be_deleted_of_what_was_set_aside_stays),
		TEST(a_link_in_place_of_the_folder_for_what_was_set_aside_is_not_followed),
		TEST(a_report_that_cannot_be_recorded_is_set_aside_alone),
		TEST(two_at_one_spool_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
