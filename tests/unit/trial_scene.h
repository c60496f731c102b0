/* A new system on trial, with its server played: what polling gives, poll by poll. */
#ifndef SLUICE_TESTS_UNIT_TRIAL_SCENE_H
#define SLUICE_TESTS_UNIT_TRIAL_SCENE_H

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
	uint64_t answers, refusals, stop_poll_s;
	bool answers_polls, refuses;
	bool is_met; /* its connection is taken, and nothing comes */
	struct err says;
} server;

static inline int
fail_poll(const struct keep_going *keep_going, struct err *e)
{
	if (server.answers_polls)
		server.answers++;
	else if (server.refuses)
		server.refusals++;
	else if (keep_going_ask(keep_going, e) < 0) {
		server.refusals += server.is_met;
		return err_context(e, "timestamp.json");
	}
	*e = server.says;
	return -1;
}

uint64_t
poller_answers(const struct poller *p)
{
	(void)p;
	return server.answers;
}

uint64_t
poller_stop_poll_s(const struct poller *p)
{
	(void)p;
	return server.stop_poll_s;
}

uint64_t
poller_refusals(const struct poller *p)
{
	(void)p;
	return server.refusals;
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

static size_t asked, asks_failing;

enum answer
poller_ask_changed(struct poller *p, struct err *e)
{
	(void)p;
	asked++;
	if (asks_failing == 0)
		return ANSWER_CHANGED;
	asks_failing--;
	(void)err_set(e, ERR_NETWORK, "another of the site's servers is asked");
	return ANSWER_FAILED;
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

static inline void
scene_boot(struct scene *x, const char *boot_id, enum settled wanted)
{
	struct err e = ERR_INIT;

	rig_power_on(&x->rig, boot_id);
	if (settle(x->rig.c, x->rig.boot, x->rig.s, &x->settlement, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(x->settlement.what, wanted);
}

static inline int
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

static inline int
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

static inline void
make_overdue(struct scene *x)
{
	x->rig.s->pending.first_seen_boot_ms = 1;
	x->rig.s->pending.deadline_s = 1;
}

static inline void
assert_round(struct scene *x, enum trial_end wanted, const char *reason)
{
	struct err e = ERR_INIT;

	if (trial_round(&x->trial, &x->end, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(x->end, wanted);
	if (!strstr(e.text, reason))
		fail_msg("\"%s\" does not say \"%s\"", e.text, reason);
}

/* It came over the network, by a plan that is open, and there is a server to ask. */
static inline void
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
	server.stop_poll_s = 3600;
}

#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_set, scene_clear)

#endif
