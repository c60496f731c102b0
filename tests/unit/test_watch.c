#include "tests/unit/ledger_scene.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/base/process.h"
#include "common/limits.h"
#include "signer/authority.h"
#include "signer/metadata.h"
#include "signer/outbox.h"
#include "signer/watching.h"

/* A watch without keys and plans, which is told to end when reports wait. */
static struct watch w;
static bool ends;

static int
ask(void *arg, struct err *e)
{
	(void)arg;
	return ends ? err_set(e, ERR_STOPPED, "the watch ends") : 0;
}

static void
tell(void *arg, const struct watch_event *x)
{
	const char *expected = arg;

	if (!expected || !strstr(x->text, expected))
		fail_msg("%s: %s", x->what, x->text);
}

static const struct keep_going keep_going = {.ask = ask};

static void
who_ends_before_all_reports_are_read_opens_no_wave(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 1, BOX_STARTING, OUTCOME_NONE);

	w = (struct watch){.workspace = &x->w,
		.settings = {.tell = tell, .keep_going = &keep_going},
		.fleet = x->f,
		.ingest = x->i};
	ledger_scene_add(x, "gw-1");
	ledger_scene_put(x, &r);
	ends = true;
	assert_int_equal(watch_look(&w, false), 0);
	assert_true(w.behind);
	assert_int_equal(w.taken, 0);
	ends = false;
	assert_int_equal(watch_look(&w, false), 0);
	assert_false(w.behind);
	assert_int_equal(w.taken, 1);
}

/* What a watch said, and what it had done before it read the second batch. */
static struct backlog {
	struct ledger_scene *x;
	int asked;
	bool delivers, has_crl;
	unsigned aside, unreadable;
} backlog;

static int
ask_between(void *arg, struct err *e)
{
	struct report r = ledger_scene_report("gw-1", 1, BOX_STARTING, OUTCOME_NONE);

	(void)arg;
	(void)e;
	if (++backlog.asked != 2)
		return 0;
	backlog.delivers = w.courier != 0;
	backlog.has_crl = file_exists("tls/crl.pem");
	/* A spool grows while it is read. */
	ledger_scene_put(backlog.x, &r);
	return 0;
}

static void
tell_backlog(void *arg, const struct watch_event *x)
{
	(void)arg;
	backlog.aside += strstr(x->text, "files of the spool were set aside") != NULL;
	backlog.unreadable += strcmp(x->what, "problem") == 0 && strstr(x->text, "timestamp.json");
}

static void
event_put(struct ledger_scene *x, int64_t at_s)
{
	AUTO_JSON json_t *fields = json_object();
	const struct outbox_event event = {WEBHOOK_HELD, {"fact", NULL}, fields, at_s};
	struct err e = ERR_INIT;
	struct sql *s = NULL;

	x->w.webhooks = (struct webhooks){.count = 1,
		.list = {{.url = (char *)(uintptr_t) "https://127.0.0.1:9/",
			.kinds = 1U << WEBHOOK_HELD}}};
	if (fleet_sql(x->f, &s, &e) < 0 || sql_begin(s, &e) < 0 ||
		sql_end(s, outbox_put(s, &x->w, &event, &e), &e) < 0)
		fail_msg("%s", e.text);
}

/* More than a batch, and a site that cannot be read, as if it had been read before: so whoever
 * reads it again says so. */
static void
backlog_make(struct ledger_scene *x, struct stat *seen)
{
	struct err e = ERR_INIT;
	char path[64];

	for (unsigned n = 0; n < INGEST_BATCH_MAX + 1; n++) {
		int fd;

		(void)snprintf(path, sizeof(path), "spool/nobody@%u.json", n + 1);
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		(void)close(fd);
	}
	assert_int_equal(dir_make("site/metadata", 0700, &e), 0);
	assert_int_equal(file_create("site/metadata/timestamp.json", 0600, span_str("{}"), &e), 0);
	assert_int_equal(stat("site/metadata/timestamp.json", seen), 0);
	assert_int_equal(dir_make("tls", 0700, &e), 0);
	assert_int_equal(dir_make("nginx", 0700, &e), 0);
	x->w.crl_life_s = 7 * 86400;
	x->w.site_url = x->w.report_url = (char *)(uintptr_t) "https://updates.example.com/";
	if (authority_make(&x->w, clock_wall_s(), &e) < 0)
		fail_msg("%s", e.text);
	assert_false(file_exists("tls/crl.pem"));
	event_put(x, clock_wall_s());
	ledger_scene_add(x, "gw-1");
}

static void
a_full_spool_holds_nothing_up_and_the_site_is_read_again_behind_it(void **state)
{
	static const struct keep_going between = {.ask = ask_between};
	struct ledger_scene *x = *state;
	struct stat seen;
	struct err e = ERR_INIT;
	struct ledger_totals totals;

	backlog = (struct backlog){.x = x};
	backlog_make(x, &seen);
	w = (struct watch){.workspace = &x->w,
		.settings = {.tell = tell_backlog, .keep_going = &between},
		.fleet = x->f,
		.ingest = x->i,
		.seen = seen,
		.hourly_ms = clock_boot_ms()};
	(void)watch_look(&w, false);
	assert_true(backlog.delivers);
	assert_true(backlog.has_crl);
	assert_int_equal(backlog.aside, 2);
	/* What waited for all to be known. */
	assert_int_equal(backlog.unreadable, 1);
	assert_false(w.behind);
	/* What came meanwhile is taken once, by this look or the next. */
	(void)watch_look(&w, false);
	assert_int_equal(ledger_totals(x->f, &totals, &e), 0);
	assert_int_equal(totals.reports, 1);
	assert_int_equal(totals.duplicates, 0);
	assert_false(file_exists("spool/gw-1@1.json"));
	process_end(&w.courier);
}

/* Also for root. */
static void
rights_drop(bool drop)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	const uint32_t over = 1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH;

	assert_int_equal(syscall(SYS_capget, &header, caps), 0);
	caps[0].effective =
		drop ? caps[0].effective & ~over : caps[0].effective | (caps[0].permitted & over);
	assert_int_equal(syscall(SYS_capset, &header, caps), 0);
}

/* How far the clock of silence goes in a minute in which boxes are heard. */
static int64_t
minute_listen(struct ledger_scene *x)
{
	int64_t before_s, after_s, resumed_s;
	struct err e = ERR_INIT;

	w.taken = 1;
	watch_listen(&w);
	assert_int_equal(following_listened(x->f, &before_s, &resumed_s, &e), 0);
	w.now_s += 60;
	w.taken = 1;
	watch_listen(&w);
	assert_int_equal(following_listened(x->f, &after_s, &resumed_s, &e), 0);
	return after_s - before_s;
}

static void
only_a_report_that_cannot_be_read_makes_deaf(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 1, BOX_STARTING, OUTCOME_NONE);

	w = (struct watch){.workspace = &x->w,
		.settings = {.tell = tell, .arg = "1 files of the spool stay in it"},
		.fleet = x->f,
		.ingest = x->i};
	ledger_scene_add(x, "gw-1");
	assert_int_equal(mkdir("spool/gw-0@1.json", 0700), 0);
	assert_int_equal(watch_look(&w, false), 1);
	assert_false(w.deaf);
	assert_int_equal(minute_listen(x), 60);
	assert_int_equal(rmdir("spool/gw-0@1.json"), 0);
	ledger_scene_put(x, &r);
	assert_int_equal(chmod("spool/gw-1@1.json", 0), 0);
	rights_drop(true);
	assert_int_equal(watch_look(&w, false), 1);
	rights_drop(false);
	assert_true(w.deaf);
	assert_int_equal(minute_listen(x), 0);
	assert_int_equal(chmod("spool/gw-1@1.json", 0600), 0);
	assert_int_equal(watch_look(&w, false), 0);
	assert_false(w.deaf);
	assert_int_equal(minute_listen(x), 60);
}

/* A timestamp of a time to come hides a stop until then. */
static void
a_timestamp_is_signed_hourly_whatever_clock_signed_the_last(void **state)
{
	struct workspace day = {.timestamp_life_s = 86400};

	(void)state;
	w = (struct watch){.workspace = &day, .now_s = 1000000};
	assert_false(watch_timestamp_is_due(&w));
	w.timestamp_expires_s = w.now_s + 86400;
	assert_false(watch_timestamp_is_due(&w));
	w.now_s += 3600;
	assert_false(watch_timestamp_is_due(&w));
	w.now_s += 1;
	assert_true(watch_timestamp_is_due(&w));
	/* Of another publisher, whose clock is not quite the same. */
	w.timestamp_expires_s = w.now_s + 86400 + 300;
	assert_false(watch_timestamp_is_due(&w));
	w.timestamp_expires_s += 1;
	assert_true(watch_timestamp_is_due(&w));
}

/* One host gives it a day, the other an hour or two days. */
static void
two_publishers_of_different_lives_do_not_sign_against_each_other(void **state)
{
	const uint64_t lives_s[] = {86400, 3600, 2 * 86400, 600};

	(void)state;
	for (size_t mine = 0; mine < ARRAY_LEN(lives_s); mine++) {
		for (size_t other = 0; other < ARRAY_LEN(lives_s); other++) {
			struct workspace host = {.timestamp_life_s = lives_s[mine]};
			uint64_t least_s = num_min(lives_s[mine], lives_s[other]);
			int64_t patience_s = (int64_t)num_min(least_s / 2, 3600);

			w = (struct watch){.workspace = &host,
				.now_s = 1000000,
				.timestamp_signed_s = 1000000,
				.timestamp_expires_s = 1000000 + (int64_t)lives_s[other]};
			assert_false(watch_timestamp_is_due(&w));
			w.now_s += patience_s;
			assert_false(watch_timestamp_is_due(&w));
			w.now_s += 1;
			assert_true(watch_timestamp_is_due(&w));
			w.now_s = 1000000 - 301;
			assert_true(watch_timestamp_is_due(&w));
		}
	}
}

static void
listen_at(int64_t now_s, uint64_t taken)
{
	w.now_s = now_s;
	w.taken = taken;
	watch_listen(&w);
	watch_offline(&w);
}

static int64_t
number(struct sql *s, const char *query)
{
	struct err e = ERR_INIT;
	int64_t n = -1;

	assert_int_equal(sql_get(s, NULL, &n, &e, query, ""), 0);
	return n;
}

static int64_t
mark_of(struct ledger_scene *x, const char *name)
{
	struct err e = ERR_INIT;
	int64_t at_s = 0;

	assert_int_equal(following_mark(x->f, 0, name, &at_s, &e), 0);
	return at_s;
}

/* A year ahead for two looks, in which a box was heard, and then right again. */
static void
a_clock_that_was_ahead_hides_no_box_that_falls_silent(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 1, BOX_IDLE, OUTCOME_NONE);
	const int64_t now_s = x->now_s, ahead_s = now_s + 366 * 86400;
	struct err e = ERR_INIT;
	struct sql *s = NULL;

	x->w.watch.offline_after_s = 1800;
	x->w.site_url = (char *)(uintptr_t) "https://updates.example.com/";
	w = (struct watch){.workspace = &x->w, .settings = {.tell = tell}, .fleet = x->f};
	ledger_scene_add(x, "gw-1");
	ledger_scene_put(x, &r);
	(void)ledger_scene_drain(x);
	listen_at(now_s, 1);
	assert_int_equal(fleet_sql(x->f, &s, &e), 0);
	assert_int_equal(sql_do(s, &e, "UPDATE known SET heard_s = ?1, audit_told_s = ?1", "i",
				 ahead_s + 3600),
		0);
	listen_at(ahead_s, 1);
	listen_at(ahead_s + 3600, 1);
	assert_true(mark_of(x, "offline_told_s") > ahead_s);
	/* Silent since now, for all that anybody knows. */
	listen_at(now_s + 60, 1);
	assert_true(mark_of(x, "offline_told_s") <= now_s + 60 - 1800);
	listen_at(now_s + 60 + 1800, 1);
	w.settings.arg = (void *)(uintptr_t) "gw-1 is offline";
	listen_at(now_s + 60 + 1801, 1);
	assert_true(mark_of(x, "offline_told_s") == now_s + 61);
	assert_int_equal(number(s, "SELECT count(*) FROM event"), 1);
	assert_int_equal(number(s, "SELECT audit_told_s FROM known"), now_s + 60);
}

/* What a stop has to be younger than, to be told of once it is lifted. */
static void
a_clock_that_was_ahead_hides_no_stop_that_was_lifted(void **state)
{
	struct ledger_scene *x = *state;
	struct err e = ERR_INIT;

	w = (struct watch){.workspace = &x->w, .now_s = x->now_s, .fleet = x->f};
	assert_int_equal(news_stops(&w, &e), 0);
	assert_int_equal(mark_of(x, "news_since_s"), x->now_s);
	w.now_s += 60;
	assert_int_equal(news_stops(&w, &e), 0);
	assert_int_equal(mark_of(x, "news_since_s"), x->now_s);
	w.now_s -= 120;
	assert_int_equal(news_stops(&w, &e), 0);
	assert_int_equal(mark_of(x, "news_since_s"), x->now_s - 60);
}

static void
who_has_the_crl_to_themselves_for_long_is_told_of(void **state)
{
	struct ledger_scene *x = *state;
	struct err e = ERR_INIT;
	AUTO_CLOSE int lock = -1;

	x->w.reload = (char *)(uintptr_t) "true";
	w = (struct watch){
		.workspace = &x->w, .settings = {.tell = tell}, .now_ms = 1000, .fleet = x->f};
	assert_int_equal(following_mark_set(x->f, 0, "reload_owed", 7, &e), 0);
	assert_int_equal(file_lock("crl.lock", "another", &lock, &e), 0);
	watch_reload(&w);
	w.now_ms += CRL_BUSY_MS - 1;
	watch_reload(&w);
	assert_int_equal(w.failures, 0);
	w.settings.arg = (void *)(uintptr_t) "crl.lock";
	w.now_ms += 2000;
	watch_reload(&w);
	assert_int_equal(w.failures, 1);
	assert_int_equal(mark_of(x, "reload_owed"), 7);
	cleanup_fd(&lock);
	w.settings.arg = (void *)(uintptr_t) "has read the last CRL";
	w.now_ms += 2000;
	watch_reload(&w);
	assert_int_equal(mark_of(x, "reload_owed"), 0);
	/* The next one has as long. */
	assert_int_equal(following_mark_set(x->f, 0, "reload_owed", 8, &e), 0);
	assert_int_equal(file_lock("crl.lock", "another", &lock, &e), 0);
	w.settings.arg = NULL;
	watch_reload(&w);
	assert_int_equal(w.failures, 1);
}

/* A signing program that cannot be started, for one. */
static void
only_who_was_overtaken_keeps_quiet(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)err_sys(&e, EAGAIN, "starting a program that signs");
	assert_false(metadata_was_overtaken(&e));
	e = ERR_INIT;
	(void)err_set(&e, ERR_REFUSED, "somebody else has just signed");
	assert_false(metadata_was_overtaken(&e));
	e.errnum = EAGAIN;
	assert_true(metadata_was_overtaken(&e));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_ends_before_all_reports_are_read_opens_no_wave,
			ledger_scene_set, ledger_scene_clear),
		cmocka_unit_test_setup_teardown(
			a_full_spool_holds_nothing_up_and_the_site_is_read_again_behind_it,
			ledger_scene_set, ledger_scene_clear),
		cmocka_unit_test_setup_teardown(only_a_report_that_cannot_be_read_makes_deaf,
			ledger_scene_set, ledger_scene_clear),
		cmocka_unit_test(a_timestamp_is_signed_hourly_whatever_clock_signed_the_last),
		cmocka_unit_test(two_publishers_of_different_lives_do_not_sign_against_each_other),
		cmocka_unit_test_setup_teardown(
			a_clock_that_was_ahead_hides_no_box_that_falls_silent, ledger_scene_set,
			ledger_scene_clear),
		cmocka_unit_test_setup_teardown(
			a_clock_that_was_ahead_hides_no_stop_that_was_lifted, ledger_scene_set,
			ledger_scene_clear),
		cmocka_unit_test_setup_teardown(who_has_the_crl_to_themselves_for_long_is_told_of,
			ledger_scene_set, ledger_scene_clear),
		cmocka_unit_test(only_who_was_overtaken_keeps_quiet),
	};

	/* The courier that a watch begins is the program itself. */
	if (argc > 1 && strcmp(argv[1], "webhook") == 0)
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
