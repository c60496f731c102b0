#include "tests/unit/rig.h"

#include "agent/doubt.h"
#include "agent/pace.h"
#include "agent/revert.h"
#include "agent/settle.h"
#include "agent/trial.h"
#include "common/base/clock.h"

/* The server is played here: what polling gives, poll by poll, the last one for good. */
enum answered { GOOD_WORLD, SHUT_WORLD, STALE, FAILING };
static enum answered answers[2];
static size_t polls;
static bool fresh;
static struct world *shut, *good;

/* How FAILING fails. */
static struct {
	uint64_t answers;
	bool answers_polls;
	struct err says;
} server;

static int
fail_poll(const struct keep_going *keep_going, struct err *e)
{
	if (server.answers_polls)
		server.answers++;
	else if (keep_going_ask(keep_going, e) < 0)
		return err_context(e, "timestamp.json");
	*e = server.says;
	return -1;
}

uint64_t
poller_answers(const struct poller *p)
{
	(void)p;
	return server.answers;
}

int
poller_poll(struct poller *p, const struct keep_going *keep_going, const struct world **out,
	struct err *e)
{
	enum answered now = answers[polls > 0];

	(void)p;
	polls++;
	if (now == FAILING)
		return fail_poll(keep_going, e);
	if (now == STALE)
		return err_set(e, ERR_EXPIRED, "snapshot metadata expired");
	*out = now == SHUT_WORLD ? shut : good;
	return 0;
}

enum answer
poller_ask_changed(struct poller *p, struct err *e)
{
	(void)p;
	(void)e;
	return ANSWER_CHANGED;
}

bool
poller_is_fresh(const struct poller *p)
{
	(void)p;
	return fresh;
}

const char *
poller_gate_path(const struct poller *p)
{
	(void)p;
	return "gates/stable.json";
}

int64_t
poller_now_s(const struct poller *p)
{
	(void)p;
	return 0;
}

int64_t
poller_retry_after_s(const struct poller *p)
{
	(void)p;
	return -1;
}

/* A box that has booted into a new system, which came from a file or over the network. */
struct scene {
	struct rig rig;
	void *folder;
	volatile sig_atomic_t ending;
	struct lookout lookout;
	struct trial trial;
	struct settlement settlement;
	enum trial_end end;
};

static void
scene_boot(struct scene *x, const char *boot_id, enum settled wanted)
{
	struct err e = ERR_INIT;

	rig_power_on(&x->rig, boot_id);
	if (settle(x->rig.c, x->rig.boot, x->rig.s, &x->settlement, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(x->settlement.what, wanted);
}

static int
scene_set(void **state)
{
	static const char image[5000] = "VERSION=2";
	struct scene *x = calloc(1, sizeof(*x));
	struct err e = ERR_INIT;

	assert_non_null(x);
	assert_int_equal(folder_enter(&x->folder), 0);
	assert_int_equal(dir_make("health.d", 0755, &e), 0);
	rig_slot("a");
	rig_slot("b");
	rig_make(&x->rig, x->folder,
		"[health]\ndir = @/health.d\n[slot rootfs]\ntype = file\na = @/a\nb = @/b\n"
		"read_only = yes\n");
	rig_write_image(&x->rig, span_of(image, sizeof(image)), "2", 0, "bundle.ota");
	if (rig_install(&x->rig, "bundle.ota", NULL, &e) < 0 ||
		install_activate(x->rig.c, x->rig.boot, x->rig.s, &e) < 0)
		fail_msg("%s", e.text);
	x->lookout = (struct lookout){.state = x->rig.s, .ending = &x->ending};
	x->trial = (struct trial){.box = &x->rig.box, .lookout = &x->lookout};
	scene_boot(x, "boot-1", SETTLED_UNCONFIRMED);
	*state = x;
	return 0;
}

static int
scene_clear(void **state)
{
	struct scene *x = *state;
	void *folder = x->folder;

	rig_free(&x->rig);
	world_free(&shut);
	world_free(&good);
	free(x);
	return folder_leave(&folder);
}

static void
make_overdue(struct scene *x)
{
	x->rig.s->pending.first_seen_boot_ms = 1;
	x->rig.s->pending.deadline_s = 1;
}

static void
assert_round(struct scene *x, enum trial_end wanted, const char *reason)
{
	struct err e = ERR_INIT;

	if (trial_round(&x->trial, &x->end, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(x->end, wanted);
	if (!strstr(e.text, reason))
		fail_msg("\"%s\" does not say \"%s\"", e.text, reason);
}

static void
a_healthy_system_from_a_file_is_confirmed(void **state)
{
	struct scene *x = *state;

	assert_round(x, TRIAL_CONFIRMED, "");
	assert_int_equal(x->rig.s->pending.phase, PHASE_NONE);
	assert_string_equal(x->rig.s->running[SIDE_B].version, "2");
	assert_int_equal(x->rig.s->ended.outcome, OUTCOME_OK);
	assert_string_equal(x->rig.s->ended.update.release.version, "2");
}

static void
an_unhealthy_system_has_until_its_deadline(void **state)
{
	struct scene *x = *state;

	rig_file("health.d/10-disk", "#!/bin/sh\necho the disk is on fire\nexit 1\n");
	assert_round(x, TRIAL_GOES_ON, "on fire");
	rig_file("health.d/10-disk", "#!/bin/sh\nexit 0\n");
	assert_round(x, TRIAL_CONFIRMED, "");
}

static void
an_unhealthy_system_is_condemned_past_its_deadline(void **state)
{
	struct scene *x = *state;
	const struct failed *f;

	rig_file("health.d/10-disk", "#!/bin/sh\necho the disk is on fire\nexit 1\n");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "on fire");
	assert_true(revert_needs_reboot(x->rig.s));
	f = state_failed(x->rig.s, &x->rig.s->pending.release.manifest);
	assert_non_null(f);
	assert_false(f->inconclusive);
	assert_non_null(strstr(f->reason, "on fire"));
	scene_boot(x, "boot-2", SETTLED_REVERTED);
	assert_string_equal(rig_env(&x->rig).booted == SIDE_A ? "A" : "B", "A");
}

static void
a_system_that_is_not_what_was_signed_goes_at_once(void **state)
{
	struct scene *x = *state;
	AUTO_CLOSE int fd = open("b", O_RDWR | O_CLOEXEC);
	const struct failed *f;

	assert_int_equal(pwrite(fd, "X", 1, 100), 1);
	assert_round(x, TRIAL_GIVEN_UP, "not what was signed");
	f = state_failed(x->rig.s, &x->rig.s->pending.release.manifest);
	assert_non_null(f);
	assert_false(f->inconclusive);
}

static void
a_check_that_dies_is_a_check_that_fails(void **state)
{
	struct scene *x = *state;
	const struct failed *f;

	rig_file("health.d/10-web", "#!/bin/sh\nkill -SEGV $$\n");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "signal 11");
	f = state_failed(x->rig.s, &x->rig.s->pending.release.manifest);
	assert_non_null(f);
	assert_false(f->inconclusive);
}

/* What this box's own disk does is held against no release. */
static void
a_slot_that_cannot_be_read_condemns_nothing(void **state)
{
	struct scene *x = *state;
	const struct failed *f;

	assert_int_equal(truncate("b", 100), 0);
	assert_round(x, TRIAL_GOES_ON, "rootfs B ends at byte 100");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "rootfs B ends at byte 100");
	f = state_failed(x->rig.s, &x->rig.s->pending.release.manifest);
	assert_non_null(f);
	assert_true(f->inconclusive);
	scene_boot(x, "boot-2", SETTLED_REVERTED);
	assert_int_equal(x->rig.s->ended.outcome, OUTCOME_INCONCLUSIVE);
	assert_int_equal(x->rig.s->ended.class, ERR_SYSTEM);
	assert_false(x->rig.s->ended.in_doubt);
	/* Nor is it tried again at once. */
	f = state_failed(x->rig.s, &x->rig.s->ended.update.release.manifest);
	assert_non_null(f);
	assert_in_range(f->not_before_s, clock_wall_s() + (int64_t)x->rig.c->poll_s - 60,
		clock_wall_s() + pace_spaced_max_s(x->rig.c));
}

static void
a_manifest_that_was_damaged_here_condemns_nothing(void **state)
{
	struct scene *x = *state;

	rig_file("state/manifest.B.json", "{}");
	assert_round(x, TRIAL_GOES_ON, "manifest.B.json");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "manifest.B.json");
	assert_true(state_failed(x->rig.s, &x->rig.s->pending.release.manifest)->inconclusive);
}

static void
slots_are_hashed_once_in_a_boot(void **state)
{
	struct scene *x = *state;
	AUTO_CLOSE int fd = open("b", O_RDWR | O_CLOEXEC);

	x->rig.s->pending.local = false;
	assert_round(x, TRIAL_GOES_ON, "no server");
	assert_int_equal(pwrite(fd, "X", 1, 100), 1);
	assert_round(x, TRIAL_GOES_ON, "no server");
	/* An agent that starts anew, or another release, is asked for it again. */
	x->trial.right = (struct digest){{1}};
	assert_round(x, TRIAL_GIVEN_UP, "not what was signed");
}

static void
without_a_server_a_network_update_is_inconclusive(void **state)
{
	struct scene *x = *state;
	const struct failed *f;

	x->rig.s->pending.local = false;
	assert_round(x, TRIAL_GOES_ON, "no server");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "no server");
	f = state_failed(x->rig.s, &x->rig.s->pending.release.manifest);
	assert_non_null(f);
	assert_true(f->inconclusive);
	assert_int_equal(f->tries, 1);
	/* What it comes to is for the old system to find out. */
	scene_boot(x, "boot-2", SETTLED_REVERTED);
	assert_int_equal(x->rig.s->pending.phase, PHASE_NONE);
	assert_int_equal(x->rig.s->ended.outcome, OUTCOME_INCONCLUSIVE);
	assert_int_equal(x->rig.s->ended.class, ERR_NETWORK);
	assert_true(doubt_is_open(x->rig.s));
}

static void
ill_health_counts_for_more_than_a_missing_server(void **state)
{
	struct scene *x = *state;

	x->rig.s->pending.local = false;
	rig_file("health.d/10-disk", "#!/bin/sh\nexit 1\n");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "unhealthy");
	assert_false(state_failed(x->rig.s, &x->rig.s->pending.release.manifest)->inconclusive);
}

static void
the_end_of_the_agent_decides_nothing(void **state)
{
	struct scene *x = *state;
	struct err e = ERR_INIT;

	make_overdue(x);
	x->rig.s->pending.local = false;
	x->ending = 1;
	assert_int_equal(trial_round(&x->trial, &x->end, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_int_equal(x->rig.s->pending.phase, PHASE_ACTIVATED);
	assert_null(state_failed(x->rig.s, &x->rig.s->pending.release.manifest));
}

static void
rounds_come_less_often_and_not_after_the_deadline(void **state)
{
	struct scene *x = *state;

	assert_int_equal(trial_wait_ms(&x->trial), 1000);
	x->trial.rounds = 3;
	assert_int_equal(trial_wait_ms(&x->trial), 4000);
	x->trial.rounds = 100;
	assert_int_equal(trial_wait_ms(&x->trial), 30000);
	make_overdue(x);
	assert_int_equal(trial_wait_ms(&x->trial), 1000);
}

static void
nobody_waits_for_a_server_past_the_deadline(void **state)
{
	struct scene *x = *state;
	struct keep_going k = trial_keep_going(&x->trial);
	struct err e = ERR_INIT;

	assert_int_equal(k.ask(k.arg, &e), 0);
	make_overdue(x);
	assert_int_equal(k.ask(k.arg, &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
	x->rig.s->pending = (struct pending){0};
	assert_int_equal(k.ask(k.arg, &e), 0);
	x->ending = 1;
	assert_int_equal(k.ask(k.arg, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
}

/* It came over the network, by a plan that is open, and there is a server to ask. */
static void
from_network(struct scene *x, enum answered first, enum answered then)
{
	static int there;

	x->rig.s->pending.local = false;
	x->trial.poller = x->lookout.poller = (struct poller *)&there;
	answers[0] = first;
	answers[1] = then;
	polls = 0;
	fresh = true;
	shut = world_new("rollouts/stable.json");
	good = world_new("rollouts/stable.json");
	assert_true(shut && good);
	good->has_all = good->has_plan = good->has_bundle = good->has_gate = true;
	good->listing.manifest_sha256 = x->rig.s->pending.release.manifest;
	good->gate.has_plan = true;
	good->gate.open_count = 1;
	x->rig.c->stop_poll_s = 3600;
}

static void
assert_cancelled(struct scene *x)
{
	assert_round(x, TRIAL_GIVEN_UP, "missing is shut");
	assert_true(revert_needs_reboot(x->rig.s));
	assert_null(state_failed(x->rig.s, &x->rig.s->pending.release.manifest));
}

static void
a_healthy_system_under_an_open_gate_is_confirmed(void **state)
{
	struct scene *x = *state;

	from_network(x, GOOD_WORLD, GOOD_WORLD);
	fresh = false;
	assert_round(x, TRIAL_GOES_ON, "clock is not trusted");
	fresh = true;
	assert_round(x, TRIAL_CONFIRMED, "");
}

static void
a_stop_takes_a_healthy_system_back_at_once(void **state)
{
	struct scene *x = *state;

	from_network(x, SHUT_WORLD, SHUT_WORLD);
	assert_cancelled(x);
}

static void
a_stop_comes_before_what_is_wrong_with_the_system(void **state)
{
	struct scene *x = *state;
	AUTO_CLOSE int fd = open("b", O_RDWR | O_CLOEXEC);

	from_network(x, SHUT_WORLD, SHUT_WORLD);
	assert_int_equal(pwrite(fd, "X", 1, 100), 1);
	assert_cancelled(x);
}

static void
a_stop_is_asked_for_once_more_before_confirming(void **state)
{
	struct scene *x = *state;

	from_network(x, GOOD_WORLD, SHUT_WORLD);
	assert_cancelled(x);
	assert_int_equal(polls, 2);
}

/* The check never ends by itself. */
static void
a_stop_ends_the_checks(void **state)
{
	struct scene *x = *state;

	from_network(x, GOOD_WORLD, SHUT_WORLD);
	rig_file("health.d/10-slow", "#!/bin/sh\nexec sleep 600\n");
	x->rig.c->stop_poll_s = 0;
	assert_cancelled(x);
}

static void
metadata_that_is_not_fresh_condemns_nothing(void **state)
{
	struct scene *x = *state;
	const struct failed *f;

	from_network(x, STALE, STALE);
	assert_round(x, TRIAL_GOES_ON, "expired");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "expired");
	f = state_failed(x->rig.s, &x->rig.s->pending.release.manifest);
	assert_non_null(f);
	assert_true(f->inconclusive);
}

/* An update over the network, and this is what polls come to. */
static void
serve(struct scene *x, bool answers_polls, enum err_class class, const char *text)
{
	world_free(&shut);
	world_free(&good);
	memset(&server, 0, sizeof(server));
	server.answers = 100; /* to the system before */
	server.answers_polls = answers_polls;
	(void)err_set(&server.says, class, "%s", text);
	from_network(x, FAILING, FAILING);
}

/* Back in the old system, with this much of it told at once. */
static void
assert_inconclusive_at_once(struct scene *x, enum err_class class)
{
	scene_boot(x, "boot-2", SETTLED_REVERTED);
	assert_int_equal(x->rig.s->ended.outcome, OUTCOME_INCONCLUSIVE);
	assert_int_equal(x->rig.s->ended.class, class);
	assert_false(doubt_is_open(x->rig.s));
	assert_non_null(strstr(x->rig.s->last_result, ": inconclusive: "));
	assert_non_null(strstr(x->settlement.detail, "inconclusive: "));
	assert_true(state_failed(x->rig.s, &x->rig.s->ended.update.release.manifest)->inconclusive);
}

static void
who_was_never_answered_is_in_doubt(void **state)
{
	struct scene *x = *state;

	serve(x, false, ERR_NETWORK, "connection refused");
	assert_round(x, TRIAL_GOES_ON, "connection refused");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "connection refused");
	scene_boot(x, "boot-2", SETTLED_REVERTED);
	assert_true(doubt_is_open(x->rig.s));
}

static void
who_was_refused_by_the_server_has_a_network(void **state)
{
	struct scene *x = *state;

	serve(x, true, ERR_NETWORK, "the server answered 503");
	assert_round(x, TRIAL_GOES_ON, "503");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "503");
	assert_inconclusive_at_once(x, ERR_NETWORK);
}

/* One answer is enough, though the agent or the box starts anew after it. */
static void
an_answer_is_remembered_across_restarts(void **state)
{
	struct scene *x = *state;

	serve(x, true, ERR_NETWORK, "the server answered 503");
	assert_round(x, TRIAL_GOES_ON, "503");
	scene_boot(x, "boot-1", SETTLED_UNCONFIRMED);
	assert_true(x->rig.s->pending.answered);
	x->trial.box = &x->rig.box;
	x->trial.rounds = 0;
	serve(x, false, ERR_NETWORK, "connection refused");
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "no answer before the deadline");
	assert_inconclusive_at_once(x, ERR_NETWORK);
}

static void
stale_metadata_leaves_no_doubt(void **state)
{
	struct scene *x = *state;

	serve(x, false, ERR_EXPIRED, "timestamp.json has expired");
	make_overdue(x);
	server.answers_polls = true;
	assert_round(x, TRIAL_GIVEN_UP, "has expired");
	assert_inconclusive_at_once(x, ERR_EXPIRED);
}

static void
the_deadline_hides_no_reason(void **state)
{
	struct scene *x = *state;

	serve(x, true, ERR_EXPIRED, "timestamp.json has expired");
	assert_round(x, TRIAL_GOES_ON, "has expired");
	server.answers_polls = false;
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "has expired");
	assert_inconclusive_at_once(x, ERR_EXPIRED);
	assert_string_equal(
		state_failed(x->rig.s, &x->rig.s->ended.update.release.manifest)->reason,
		"timestamp.json has expired");
}

static void
a_trial_knows_no_reason_of_the_one_before(void **state)
{
	struct scene *x = *state;

	serve(x, true, ERR_EXPIRED, "timestamp.json has expired");
	assert_round(x, TRIAL_GOES_ON, "has expired");
	server.answers_polls = false;
	x->trial.rounds = 0;
	make_overdue(x);
	assert_round(x, TRIAL_GIVEN_UP, "no answer before the deadline");
}

#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_set, scene_clear)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(a_healthy_system_from_a_file_is_confirmed),
		IN_SCENE(an_unhealthy_system_has_until_its_deadline),
		IN_SCENE(an_unhealthy_system_is_condemned_past_its_deadline),
		IN_SCENE(a_system_that_is_not_what_was_signed_goes_at_once),
		IN_SCENE(a_check_that_dies_is_a_check_that_fails),
		IN_SCENE(a_slot_that_cannot_be_read_condemns_nothing),
		IN_SCENE(a_manifest_that_was_damaged_here_condemns_nothing),
		IN_SCENE(slots_are_hashed_once_in_a_boot),
		IN_SCENE(without_a_server_a_network_update_is_inconclusive),
		IN_SCENE(who_was_never_answered_is_in_doubt),
		IN_SCENE(who_was_refused_by_the_server_has_a_network),
		IN_SCENE(an_answer_is_remembered_across_restarts),
		IN_SCENE(stale_metadata_leaves_no_doubt),
		IN_SCENE(the_deadline_hides_no_reason),
		IN_SCENE(a_trial_knows_no_reason_of_the_one_before),
		IN_SCENE(ill_health_counts_for_more_than_a_missing_server),
		IN_SCENE(the_end_of_the_agent_decides_nothing),
		IN_SCENE(nobody_waits_for_a_server_past_the_deadline),
		IN_SCENE(rounds_come_less_often_and_not_after_the_deadline),
		IN_SCENE(a_healthy_system_under_an_open_gate_is_confirmed),
		IN_SCENE(a_stop_takes_a_healthy_system_back_at_once),
		IN_SCENE(a_stop_comes_before_what_is_wrong_with_the_system),
		IN_SCENE(a_stop_is_asked_for_once_more_before_confirming),
		IN_SCENE(a_stop_ends_the_checks),
		IN_SCENE(metadata_that_is_not_fresh_condemns_nothing),
	};

	return cmocka_run_group_tests_name("trial", tests, NULL, NULL);
}
