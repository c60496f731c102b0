#include "agent/cycle.h"

#include <stdio.h>
#include <string.h>

#include "agent/account.h"
#include "agent/auditor.h"
#include "agent/box.h"
#include "agent/courier.h"
#include "agent/decide.h"
#include "agent/delivery.h"
#include "agent/delta_find.h"
#include "agent/doubt.h"
#include "agent/hooks.h"
#include "agent/install.h"
#include "agent/local.h"
#include "agent/lookout.h"
#include "agent/order.h"
#include "agent/pace.h"
#include "agent/petition.h"
#include "agent/poll.h"
#include "agent/reaffirm.h"
#include "agent/reporter.h"
#include "agent/rescue.h"
#include "agent/revert.h"
#include "agent/settle.h"
#include "agent/signals.h"
#include "agent/trial.h"
#include "agent/watchdog.h"
#include "common/base/clock.h"
#include "common/base/footprint.h"
#include "common/base/log.h"
#include "common/base/num.h"

/* Long enough for any system to go down; then the reboot is asked for again. */
enum { REBOOT_WAIT_MS = 10 * 60 * 1000, LOCK_WAIT_MS = 5 * 1000 };

struct cycle {
	struct box box;
	struct net *net;       /* NULL: a box without a server */
	struct poller *poller; /* likewise */
	struct lookout lookout;
	struct reporter reporter;
	struct trial trial;
	struct watchdog watchdog;
	struct rescue rescue;
	struct auditor auditor;
	struct courier courier;
	struct kept_head kept;
	struct petition petition;
	struct pace pace;
	char reason[REPORT_DETAIL_MAX + 1]; /* of the last decision not to update */
	bool stuck;			    /* the step that is due could not be taken */
	bool started;			    /* the wait before the first poll is over */
	bool quiet; /* what is left to report waits, too: so do all boxes that started now */
};

static void
cycle_close(struct cycle *cy)
{
	auditor_stop(&cy->auditor);
	kept_head_drop(&cy->kept);
	poller_free(&cy->poller);
	net_stop(&cy->net);
	watchdog_close(&cy->watchdog);
	box_close(&cy->box);
}
#define AUTO_CYCLE CLEANUP(cycle_close)
#define CYCLE_INIT                                                                                 \
	((struct cycle){.box = BOX_INIT, .kept = KEPT_HEAD_INIT, .watchdog = WATCHDOG_INIT})

static int64_t
now_s(const struct cycle *cy)
{
	return cy->poller ? poller_now_s(cy->poller) : clock_wall_s();
}

static void
say(struct cycle *cy, enum box_state state, enum outcome outcome, const struct pending *update,
	const struct err *why, const char *detail)
{
	const char *text = why ? why->text : detail;

	notify_status(
		&cy->watchdog.notify, "%s%s%s", box_state_name(state), *text ? ": " : "", text);
	reporter_say(
		&cy->reporter, &(struct event){state, outcome, update, why, detail}, now_s(cy));
}

/* True where a stop came meanwhile: there is more to do at once. */
static bool
send_reports(struct cycle *cy)
{
	struct keep_going keep_going = trial_keep_going(&cy->trial);
	enum courier_end end = COURIER_IDLE;

	if (cy->net && !cy->quiet)
		end = courier_carry(&cy->courier, &cy->box.conf, cy->net, &keep_going);
	if (!signals_ending && petition_hear(&cy->petition, cy->net, end))
		reporter_repeat(&cy->reporter);
	return end == COURIER_STOPPED;
}

static void
renew_certificate(struct cycle *cy)
{
	struct keep_going until_term = lookout_until_term(&cy->lookout);

	if (cy->poller && !signals_ending &&
		petition_step(&cy->petition, cy->net, cy->poller, now_s(cy), &until_term))
		reporter_repeat(&cy->reporter);
}

static int
poll_and_decide(struct cycle *cy, const struct world **w, struct decision *d, struct err *e)
{
	struct keep_going until_term = lookout_until_term(&cy->lookout);
	struct box *b = &cy->box;
	int rc = poller_poll(cy->poller, &until_term, w, e);
	struct err loss;
	struct facts f;

	if (poller_loss(cy->poller, &loss))
		say(cy, BOX_IDLE, OUTCOME_NONE, NULL, &loss, NULL);
	if (rc < 0 || box_facts(b, &f, e) < 0)
		return -1;
	if (decide_attempts(*w, b->state) && state_save(b->conf.state_dir, b->state, e) < 0)
		return -1;
	f.now_s = now_s(cy);
	f.fresh = poller_is_fresh(cy->poller);
	decide(*w, b->state, &f, d);
	return 0;
}

/* The head, and the rules that every install obeys. held: it is too much for the budget. */
static int
fetch_and_check(struct cycle *cy, const struct order *o, struct budget *budget, struct head *h,
	bool *held, struct err *e)
{
	struct keep_going keep_going = lookout_keep_going(&cy->lookout);

	if (order_bring_head(o, &cy->box.conf, cy->net, budget, &cy->kept, &keep_going, h, e) < 0) {
		*held = budget_is_over(budget);
		return -1;
	}
	return install_check(&cy->box.conf, cy->box.state, h, e);
}

/* The box maker's programs. Nothing of the box is changed yet when they say no. */
static int
ask_hooks(struct cycle *cy, const struct head *h, struct err *e)
{
	struct keep_going keep_going = lookout_keep_going(&cy->lookout);
	const struct box *b = &cy->box;
	enum side target;

	if (install_target(&b->conf, b->boot, b->state, h->manifest, &target, e) < 0 ||
		hooks_run(&b->conf, HOOK_INHIBIT_INSTALL, &h->release, target, &keep_going, e) < 0)
		return -1;
	return hooks_run(&b->conf, HOOK_PRE, &h->release, target, &keep_going, e);
}

static void
foretell(void *arg, const struct pending *update, const char *text)
{
	say(arg, BOX_STARTING, OUTCOME_NONE, update, NULL, text);
	(void)send_reports(arg);
}

static int
write_slots(struct cycle *cy, const struct order *o, struct budget *budget, const struct head *h,
	bool *held, struct err *e)
{
	struct delivery d = {&cy->box, cy->net, o, &cy->kept.delta, budget,
		lookout_keep_going(&cy->lookout), foretell, cy};

	return delivery_run(&d, h, held, e);
}

static void
say_installed(struct cycle *cy, const struct state *s)
{
	char text[INSTALL_TEXT_SIZE];

	say(cy, BOX_INSTALLED, OUTCOME_NONE, &s->pending, NULL,
		install_text(&s->intake.stats, text));
}

static int
ask_post_hooks(struct cycle *cy, const struct head *h, struct err *e)
{
	struct keep_going keep_going = lookout_keep_going(&cy->lookout);

	return hooks_run(&cy->box.conf, HOOK_POST, &h->release, cy->box.state->pending.target,
		&keep_going, e);
}

/* The last look before the one commit point: metadata is fresh, nothing in it says no, whatever the
 * box maker's programs say, and it is the time for it. */
static int
permit(struct cycle *cy, const struct release *release, struct err *e)
{
	struct keep_going until_term = lookout_until_term(&cy->lookout);
	struct keep_going keep_going = lookout_keep_going(&cy->lookout);
	const struct pending *p = &cy->box.state->pending;
	struct err inhibited;
	int rc = hooks_run(
		&cy->box.conf, HOOK_INHIBIT_REBOOT, release, p->target, &keep_going, &inhibited);

	if (lookout_ask(&cy->lookout, p, &until_term, e) < 0)
		return -1;
	if (!poller_is_fresh(cy->poller))
		return err_set(e, ERR_EXPIRED, "no newer timestamp was seen since the start");
	if (decide_switch(poller_world(cy->poller), now_s(cy), e) < 0)
		return -1;
	if (rc < 0)
		*e = inhibited;
	return rc;
}

/* The walk of an update, from an order to the reboot. */
static int
carry_out(struct cycle *cy, const struct order *o, bool *held, struct err *e)
{
	AUTO_HEAD struct head head = HEAD_INIT;
	struct box *b = &cy->box;
	struct budget budget = order_budget(o, &b->conf, b->state, now_s(cy));

	*held = false;
	if (fetch_and_check(cy, o, &budget, &head, held, e) < 0)
		return -1;
	*held = true;
	if (ask_hooks(cy, &head, e) < 0)
		return -1;
	*held = false;
	if (write_slots(cy, o, &budget, &head, held, e) < 0)
		return -1;
	*held = true;
	if (ask_post_hooks(cy, &head, e) < 0 || permit(cy, &head.release, e) < 0)
		return -1;
	return install_activate(&b->conf, b->boot, b->state, e);
}

static int
update(struct cycle *cy, const struct world *w, const struct decision *d, struct err *e)
{
	struct keep_going until_term = lookout_until_term(&cy->lookout);
	AUTO_ORDER struct order o = {0};
	struct pending p;
	bool held;

	if (order_take(w, d, &cy->box.conf, &o, e) < 0)
		return -1;
	delta_find(cy->poller, &cy->box, &o.listing, &until_term, &o.delta);
	p = order_announce(&o);
	auditor_stop(&cy->auditor);
	log_notice("updating: %s", d->reason);
	say(cy, BOX_STARTING, OUTCOME_NONE, &p, NULL, "");
	(void)send_reports(cy);
	lookout_start(&cy->lookout, &p, num_min(cy->box.conf.stop_poll_s, o.stop_poll_s));
	if (carry_out(cy, &o, &held, e) < 0) {
		if (!signals_ending)
			account_failure(&cy->reporter, &o, held, e, now_s(cy));
		reporter_tell_end(&cy->reporter, now_s(cy));
		return -1;
	}
	kept_head_drop(&cy->kept);
	log_notice("%s %s: installed and activated", o.listing.name, o.listing.version);
	say_installed(cy, cy->box.state);
	return 0;
}

/* Waits to be killed. */
static int64_t
reboot(struct cycle *cy)
{
	struct err e;

	(void)send_reports(cy);
	log_notice("rebooting");
	if (box_reboot(&cy->box, &e) < 0) {
		log_error("%s", e.text);
		watchdog_let_go(&cy->watchdog);
		return pace_retry_ms(&cy->pace, &cy->box.conf, -1);
	}
	return REBOOT_WAIT_MS;
}

/* Ends an update that is installed and does not run yet: the old side stays what boots. */
static int64_t
cancel(struct cycle *cy, const struct err *why)
{
	struct pending was = cy->box.state->pending;
	struct box *b = &cy->box;
	struct err e;

	if (revert_begin(&b->conf, b->boot, b->state, REVERT_CANCEL, why->text, &e) < 0 ||
		revert_finish(&b->conf, b->boot, b->state, &e) < 0) {
		log_error("%s", e.text);
		return pace_retry_ms(&cy->pace, &b->conf, -1);
	}
	log_warning("%s %s: cancelled before its reboot: %s", was.release.name, was.release.version,
		why->text);
	return pace_next_ms(&cy->pace, &b->conf);
}

/* A local update is in the hands of who asked for it; only a stop has a say in it. All else that a
 * poll brings (stops, newer roots) is taken as ever, and nothing else is started. */
static int64_t
wait_for_person(struct cycle *cy)
{
	struct keep_going until_term = lookout_until_term(&cy->lookout);
	const struct conf *c = &cy->box.conf;
	const struct world *w;
	struct err e = ERR_INIT, stop;
	int rc = poller_poll(cy->poller, &until_term, &w, &e);

	if (signals_ending)
		return 0;
	if (local_stop_check(c, cy->box.state, &stop) < 0)
		return cancel(cy, &stop);
	if (rc == 0)
		return poller_wait_ms(cy->poller, pace_next_ms(&cy->pace, c));
	log_warning("%s", e.text);
	return poller_wait_ms(cy->poller, pace_retry_ms(&cy->pace, c, -1));
}

/* Activated, and the old system still runs. */
static int64_t
wait_for_reboot(struct cycle *cy)
{
	const struct pending *p = &cy->box.state->pending;
	const struct conf *c = &cy->box.conf;
	struct err e;

	if (!cy->poller)
		return pace_next_ms(&cy->pace, c);
	if (p->local)
		return wait_for_person(cy);
	lookout_start(&cy->lookout, p, poller_stop_poll_s(cy->poller));
	if (permit(cy, &p->release, &e) < 0) {
		if (e.class == ERR_STOPPED && !signals_ending)
			return cancel(cy, &e);
		log_warning("not rebooting yet: %s", e.text);
		/* Or who watches takes its silence for the reboot's. */
		if (!signals_ending)
			say(cy, BOX_HELD, OUTCOME_NONE, p, &e, NULL);
		return poller_wait_ms(cy->poller, pace_retry_ms(&cy->pace, c, -1));
	}
	/* From here on silence counts. */
	say_installed(cy, cy->box.state);
	if (c->reboot)
		return reboot(cy);
	return poller_wait_ms(cy->poller, INT64_MAX);
}

static int64_t
try_new_system(struct cycle *cy)
{
	struct pending was = cy->box.state->pending;
	struct err e = ERR_INIT;
	enum trial_end end;

	say(cy, BOX_UNCONFIRMED, OUTCOME_NONE, &was, NULL, cy->watchdog.problem);
	cy->stuck = trial_round(&cy->trial, &end, &e) < 0;
	if (cy->stuck || end == TRIAL_GOES_ON) {
		log_warning("not confirmed yet: %s", e.text);
		return trial_wait_ms(&cy->trial);
	}
	if (end == TRIAL_CONFIRMED) {
		log_notice("%s %s: confirmed", was.release.name, was.release.version);
		notify_status(&cy->watchdog.notify, "%s", cy->box.state->last_result);
		return pace_next_ms(&cy->pace, &cy->box.conf);
	}
	log_warning("going back: %s", e.text);
	/* Trees are back already. */
	if (!revert_needs_reboot(cy->box.state))
		return 0;
	say(cy, BOX_UNCONFIRMED, OUTCOME_NONE, &was, &e, NULL);
	return reboot(cy);
}

/* Back for lack of network or freshness: does the old system have what the new one lacked? */
static int64_t
clear_doubt(struct cycle *cy)
{
	struct keep_going until_term = lookout_until_term(&cy->lookout);
	struct err e = ERR_INIT;
	int64_t wait_ms;

	if (doubt_poll(&cy->box, cy->poller, &until_term, &wait_ms, &e) < 0) {
		log_error("%s", e.text);
		return pace_retry_ms(&cy->pace, &cy->box.conf, -1);
	}
	if (!doubt_is_open(cy->box.state))
		log_warning("%s", cy->box.state->last_result);
	return wait_ms;
}

/* Tells the fleet about a decision not to update. */
static void
tell_decision(struct cycle *cy, const struct world *w, const struct decision *d)
{
	enum box_state state = d->running ? BOX_CONFIRMED : BOX_IDLE;
	struct pending about = decide_about(w, d);

	if (d->verdict == VERDICT_HELD)
		state = BOX_HELD;
	log_line(strcmp(cy->reason, d->reason) == 0 ? LOG_DETAIL : LOG_INFO, "%s: %s",
		verdict_name(d->verdict), d->reason);
	(void)snprintf(cy->reason, sizeof(cy->reason), "%s", d->reason);
	say(cy, state, d->verdict == VERDICT_FAILED && !d->known ? OUTCOME_FAILED : OUTCOME_NONE,
		&about, NULL, d->reason);
}

/* No update is under way: asks whether there is one, and takes it. */
static int64_t
look_for_update(struct cycle *cy)
{
	const struct conf *c = &cy->box.conf;
	const struct world *w;
	struct decision d;
	struct err e = ERR_INIT;
	int64_t retry_after_s;
	int rc;

	if (!cy->poller || !cy->started) {
		reaffirm(&cy->box);
		cy->started = true;
		return pace_next_ms(&cy->pace, c);
	}
	rc = poll_and_decide(cy, &w, &d, &e);
	if (rc == 0 && d.verdict != VERDICT_UPDATE) {
		tell_decision(cy, w, &d);
		return pace_next_ms(&cy->pace, c);
	}
	if (rc == 0 && update(cy, w, &d, &e) == 0)
		return 0; /* settle() takes it from here */
	if (signals_ending)
		return 0;
	retry_after_s =
		rc < 0 ? poller_retry_after_s(cy->poller) : net_range_retry_after_s(cy->net);
	log_warning("%s", e.text);
	/* A mirror may have good metadata and bad bundles. */
	if (rc == 0 && (e.class == ERR_NETWORK || e.class == ERR_UNTRUSTED))
		(void)net_next_site(cy->net, &e);
	if (rc < 0 && e.class != ERR_NETWORK && e.class != ERR_SYSTEM)
		say(cy, BOX_HELD, OUTCOME_NONE, NULL, &e, NULL);
	return pace_retry_ms(&cy->pace, c, retry_after_s);
}

/* Starts what polls. */
static int
cycle_connect(struct cycle *cy, struct err *e)
{
	struct keep_going until_term = lookout_until_term(&cy->lookout);
	struct box *b = &cy->box;

	if (cy->poller || !b->conf.site_url)
		return 0;
	if (!cy->net && net_start(&b->conf, clock_wall_s(), &until_term, &cy->net, e) < 0)
		return -1;
	if (poller_new(&b->conf, cy->net, b->state, &cy->poller, e) < 0)
		return -1;
	cy->lookout.poller = cy->trial.poller = cy->poller;
	return 0;
}

/* Looks at where the box stands, and takes the next step from there. */
static int64_t
cycle_once(struct cycle *cy)
{
	struct box *b = &cy->box;
	struct settlement s;
	struct err e;

	cy->quiet = false;
	if (cycle_connect(cy, &e) < 0)
		log_warning("%s", e.text);
	if (settle(&b->conf, b->boot, b->state, &s, &e) < 0) {
		log_error("%s", e.text);
		cy->stuck = true;
		say(cy, BOX_IDLE, OUTCOME_NONE, NULL, &e, NULL);
		if (trial_is_stopped(&cy->trial, &e))
			return reboot(cy);
		return pace_retry_ms(&cy->pace, &b->conf, -1);
	}
	reporter_tell_end(&cy->reporter, now_s(cy));
	if (s.what != SETTLED_UNCONFIRMED)
		cy->trial.rounds = 0;
	switch (s.what) {
	case SETTLED_INSTALLED:
		return wait_for_reboot(cy);
	case SETTLED_UNCONFIRMED:
		cy->started = true; /* it polls at once, so what follows waits once, not twice */
		return try_new_system(cy);
	case SETTLED_GOING_BACK:
		return reboot(cy);
	case SETTLED_NOTHING:
		cy->stuck = trial_is_forgotten(b);
		break;
	default:
		log_notice("%s %s: %s", s.was.release.name, s.was.release.version, s.detail);
	}
	if (doubt_is_open(b->state))
		return clear_doubt(cy);
	cy->quiet = !cy->started && s.what == SETTLED_NOTHING;
	return look_for_update(cy);
}

static int
cycle_open(const char *conf_path, struct cycle *cy, struct err *e)
{
	struct box *b = &cy->box;

	if (box_start(conf_path, b, e) < 0)
		return -1;
	cy->lookout = (struct lookout){
		.state = b->state, .ending = &signals_ending, .watchdog = &cy->watchdog};
	cy->reporter.box = b;
	cy->auditor = auditor_of(b, conf_path);
	cy->petition = (struct petition){.conf = &b->conf, .state = b->state};
	cy->trial = (struct trial){.box = b, .lookout = &cy->lookout};
	return 0;
}

int
cycle_run(const char *conf_path, struct err *e)
{
	AUTO_CYCLE struct cycle cy = CYCLE_INIT;
	struct err busy, deaf;

	signals_catch();
	if (cycle_open(conf_path, &cy, e) < 0)
		return -1;
	watchdog_open(&cy.watchdog, &cy.box.conf);
	watchdog_guard(&cy.watchdog, trial_is_on(&cy.box));
	/* The network child comes before the lock, the state's descriptors and the report key. One
	 * that dies is started again; one that cannot start is no reason to keep a new system. */
	if (cycle_connect(&cy, e) < 0 && e->class != ERR_NETWORK && !signals_ending &&
		!trial_is_on(&cy.box))
		return -1;
	if (notify_say(&cy.watchdog.notify, "READY=1", &deaf) < 0)
		log_warning("%s", deaf.text);
	log_notice("%s follows %s at %s", cy.box.conf.id,
		cy.box.conf.plan ? cy.box.conf.plan : "no plan",
		cy.box.conf.site_url ? cy.box.conf.site_url : "no site");
	while (!signals_ending) {
		int64_t wait_ms = LOCK_WAIT_MS;

		cy.stuck = false;
		if (box_lock(&cy.box, &busy) < 0) {
			log_warning("%s", busy.text);
			cy.stuck = busy.class != ERR_REFUSED;
		} else {
			watchdog_guard(&cy.watchdog, trial_is_on(&cy.box));
			wait_ms = cycle_once(&cy);
			trial_note_write(&cy.trial.note, &cy.box);
			watchdog_guard(&cy.watchdog, trial_is_on(&cy.box));
			reporter_tell_end(&cy.reporter, now_s(&cy));
			renew_certificate(&cy);
			if (!signals_ending && send_reports(&cy))
				wait_ms = 0;
			box_unlock(&cy.box);
		}
		if (!cy.stuck || signals_ending)
			rescue_rest(&cy.rescue);
		else
			wait_ms = rescue_step(&cy.rescue, &cy.box, &cy.watchdog, wait_ms);
		footprint_trim();
		auditor_nap(&cy.auditor, &cy.watchdog, wait_ms, cy.pace.failures == 0);
	}
	(void)notify_say(&cy.watchdog.notify, "STOPPING=1", NULL);
	log_notice("ended at a safe point");
	return 0;
}

int
cycle_check(const char *conf_path, struct err *e)
{
	AUTO_CYCLE struct cycle cy = CYCLE_INIT;
	const struct world *w;
	struct decision d;

	signals_catch();
	if (cycle_open(conf_path, &cy, e) < 0 || cycle_connect(&cy, e) < 0 ||
		box_lock_patiently(&cy.box, e) < 0)
		return -1;
	if (!cy.poller)
		return err_set(e, ERR_USAGE, "%s names no url in [site]", conf_path);
	if (poll_and_decide(&cy, &w, &d, e) < 0)
		return -1;
	printf("%s: %s\n", verdict_name(d.verdict), d.reason);
	return 0;
}
