#include "tests/unit/rig.h"

#include "agent/doubt.h"
#include "agent/reporter.h"
#include "agent/settle.h"
#include "common/base/clock.h"

enum { NOW_S = 1795359600 };
static const struct digest RELEASE = {{7}};

/* A box that has gone back from a release for lack of network. */
static void
rig_in_doubt(struct rig *r, const char *folder)
{
	struct failed f = {.manifest = RELEASE, .attempt = 1, .inconclusive = true, .tries = 1};
	struct pending was = {.phase = PHASE_REVERTING,
		.release = {.known = true, .name = "gateway", .version = "2.0"},
		.in_doubt = true,
		.unreached = true};

	rig_make(r, folder,
		"[health]\nprompt = 60s\n[slot rootfs]\ntype = file\na = @/a\nb = @/b\n");
	was.release.manifest = RELEASE;
	(void)snprintf(f.reason, sizeof(f.reason), "no answer");
	state_remember_failed(r->s, &f);
	state_end(r->s, &was, OUTCOME_INCONCLUSIVE, ERR_NETWORK, "no answer");
	assert_true(doubt_is_open(r->s));
}

static void
give_reports(struct rig *r)
{
	struct err e = ERR_INIT;

	assert_int_equal(seckey_save(r->key, "box.key", NULL, &e), 0);
	r->c->report_url = strdup("https://127.0.0.1:1/");
	r->c->report_key = strdup("box.key");
}

static int64_t
poll_once(struct rig *r)
{
	struct err e = ERR_INIT;
	int64_t wait_ms = -1;

	if (doubt_poll(&r->box, NULL, NULL, &wait_ms, &e) < 0)
		fail_msg("%s", e.text);
	return wait_ms;
}

static void
who_reaches_no_server_in_time_knows_nothing(void **state)
{
	CLEANUP(rig_free) struct rig r;
	const struct failed *f;
	int64_t wait_ms;

	rig_in_doubt(&r, *state);
	for (int i = 0; i < 3; i++) {
		wait_ms = poll_once(&r);
		assert_true(wait_ms >= 0 && wait_ms <= 60 * 1000 / DOUBT_POLLS);
		assert_true(doubt_is_open(r.s));
	}
	r.s->ended.doubt_since_boot_ms = clock_boot_ms() - 60 * 1000;
	assert_int_equal(poll_once(&r), 0);
	assert_false(doubt_is_open(r.s));
	assert_int_equal(r.s->ended.outcome, OUTCOME_INCONCLUSIVE);
	f = state_failed(r.s, &RELEASE);
	assert_true(f->inconclusive);
	assert_true(f->not_before_s >= clock_wall_s());
	assert_int_equal(f->tries, 1);
}

/* An agent of another version may have gone back for that, and doubted it. */
static void
of_what_was_only_stale_there_is_no_doubt(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct pending was;

	rig_in_doubt(&r, *state);
	was = r.s->ended.update;
	was.unreached = false;
	state_end(r.s, &was, OUTCOME_INCONCLUSIVE, ERR_EXPIRED, "expired");
	assert_false(doubt_is_open(r.s));
}

static void
the_time_runs_in_each_boot_anew(void **state)
{
	CLEANUP(rig_free) struct rig r;

	rig_in_doubt(&r, *state);
	(void)poll_once(&r);
	r.s->ended.doubt_since_boot_ms = clock_boot_ms() - 3600 * 1000;
	assert_int_equal(state_save(r.c->state_dir, r.s, NULL), 0);
	rig_power_on(&r, "boot-9");
	(void)poll_once(&r);
	assert_true(doubt_is_open(r.s));
	(void)poll_once(&r);
	assert_true(doubt_is_open(r.s));
}

static void
who_reaches_it_condemns_the_release(void **state)
{
	CLEANUP(rig_free) struct rig r;
	const struct failed *f;
	struct err e = ERR_INIT;

	rig_in_doubt(&r, *state);
	(void)poll_once(&r);
	assert_int_equal(doubt_end(r.c, r.s, true, NOW_S, &e), 0);
	assert_int_equal(state_load(r.c->state_dir, r.s, &e), 0);
	assert_false(doubt_is_open(r.s));
	assert_int_equal(r.s->ended.outcome, OUTCOME_REVERTED);
	f = state_failed(r.s, &RELEASE);
	assert_false(f->inconclusive);
	assert_int_equal(f->attempt, 1);
	assert_non_null(strstr(f->reason, "no answer"));
	assert_non_null(strstr(f->reason, "reached the server"));
}

static void
nothing_is_told_in_doubt_and_then_once(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct reporter reporter = {.box = &r.box};
	struct err e = ERR_INIT;

	rig_in_doubt(&r, *state);
	give_reports(&r);
	reporter_tell_end(&reporter, NOW_S);
	assert_int_equal(r.s->next_seq, 1);
	assert_int_equal(doubt_end(r.c, r.s, true, NOW_S, &e), 0);
	reporter_tell_end(&reporter, NOW_S);
	reporter_tell_end(&reporter, NOW_S);
	assert_int_equal(r.s->next_seq, 2);
	assert_true(file_exists("state/spool/1.json"));
}

/* Between the end of an update and its report. */
static void
no_power_cut_loses_or_doubles_an_outcome(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct reporter reporter = {.box = &r.box};
	AUTO_BUF struct buf cut = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	rig_in_doubt(&r, *state);
	give_reports(&r);
	assert_int_equal(doubt_end(r.c, r.s, false, NOW_S, &e), 0);
	rig_power_on(&r, "boot-2");
	assert_int_equal(r.s->ended.outcome, OUTCOME_INCONCLUSIVE);
	/* The number is taken, and then the power goes. */
	r.s->ended.seq = r.s->next_seq++;
	assert_int_equal(state_save(r.c->state_dir, r.s, &e), 0);
	assert_int_equal(file_read("state/state.json", &cut, &e), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(folder_put("state/state.json", cut.data, cut.len), 0);
		rig_power_on(&r, "boot-3");
		reporter_tell_end(&reporter, NOW_S + i);
		assert_true(file_exists("state/spool/1.json"));
		assert_false(file_exists("state/spool/2.json"));
		assert_int_equal(r.s->next_seq, 2);
		assert_int_equal(r.s->ended.outcome, OUTCOME_NONE);
		/* The second time it is still there, then it has been sent. */
		if (i == 1)
			assert_int_equal(file_remove("state/spool/1.json", &e), 0);
	}
}

/* Else nobody would miss a box that falls silent in its second try. */
static void
a_try_after_one_that_failed_is_told_anew(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct reporter reporter = {.box = &r.box};
	struct pending update = {.release = {.known = true, .name = "gateway", .version = "2.0"}};
	struct event starting = {.state = BOX_STARTING, .update = &update, .detail = ""};

	rig_in_doubt(&r, *state);
	give_reports(&r);
	for (uint64_t i = 0; i < 3; i++) {
		reporter_say(&reporter, &starting, NOW_S);
		reporter_say(&reporter, &starting, NOW_S);
		assert_int_equal(r.s->next_seq, 2 * i + 2);
		state_end(r.s, &update, OUTCOME_FAILED, ERR_UNTRUSTED, "wrong bytes");
		reporter_tell_end(&reporter, NOW_S);
		assert_int_equal(r.s->next_seq, 2 * i + 3);
	}
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(who_reaches_no_server_in_time_knows_nothing),
		IN_FOLDER(of_what_was_only_stale_there_is_no_doubt),
		IN_FOLDER(the_time_runs_in_each_boot_anew),
		IN_FOLDER(who_reaches_it_condemns_the_release),
		IN_FOLDER(nothing_is_told_in_doubt_and_then_once),
		IN_FOLDER(no_power_cut_loses_or_doubles_an_outcome),
		IN_FOLDER(a_try_after_one_that_failed_is_told_anew),
	};

	return cmocka_run_group_tests_name("doubt", tests, NULL, NULL);
}
