#include "agent/trial.h"

#include "agent/confirm.h"
#include "agent/revert.h"
#include "common/base/log.h"
#include "common/base/num.h"

enum { WAIT_FIRST_MS = 1000, WAIT_DOUBLINGS = 5 };

/* A server that does not answer may not hold the box past its deadline. */
static int
ask_deadline(void *arg, struct err *e)
{
	const struct trial *t = arg;
	struct keep_going until_term = lookout_until_term(t->lookout);

	if (until_term.ask(until_term.arg, e) < 0)
		return -1;
	if (!confirm_is_overdue(&t->box->conf, t->box->state))
		return 0;
	(void)err_set(e, ERR_NETWORK, "no answer before the deadline");
	e->errnum = NET_TOO_LATE;
	return -1;
}

/* What waits for another server than the site's hides no stop, either. */
static int
ask_deadline_and_stop(void *arg, struct err *e)
{
	struct trial *t = arg;
	const struct pending *p = &t->box->state->pending;
	struct keep_going stops = lookout_keep_going(t->lookout);

	if (ask_deadline(arg, e) < 0)
		return -1;
	if (t->rounds == 0 || !t->poller || p->phase != PHASE_ACTIVATED || p->local)
		return 0;
	return stops.ask(stops.arg, e);
}

struct keep_going
trial_keep_going(struct trial *t)
{
	return (struct keep_going){ask_deadline_and_stop, t};
}

static int
ask_world(struct trial *t, struct err *e)
{
	struct keep_going keep_going = {ask_deadline, t};

	if (t->box->state->pending.local)
		return 0;
	if (!t->poller)
		return err_set(e, ERR_NETWORK, "there is no server to ask");
	if (lookout_ask(t->lookout, &t->box->state->pending, &keep_going, e) < 0)
		return -1;
	if (!poller_is_fresh(t->poller))
		return err_set(e, ERR_EXPIRED,
			"the clock is not trusted, and no newer timestamp was seen since the "
			"start");
	return 0;
}

/* Once: it has to outlive the way back. What cannot be saved now is saved with that. */
static void
note(struct trial *t, bool *what)
{
	struct err e;

	if (*what)
		return;
	*what = true;
	if (state_save(t->box->conf.state_dir, t->box->state, &e) < 0)
		log_warning("%s", e.text);
}

/* Where nobody listens, the server may be away, or a firewall of the new system's own may say so;
 * where who took the connection is silent, the server may hang, or the new system's network may
 * lose what is larger. The first time that a release is left over it, the server is blamed. */
static bool
refused_first(const struct trial *t)
{
	const struct state *s = t->box->state;
	const struct release *r = &s->pending.release;
	const struct failed *before = state_failed(s, &r->manifest);

	return poller_refusals(t->poller) != t->refusals &&
	       !(before && before->inconclusive && before->attempt == r->attempt);
}

/* A server that answers, whatever it says, shows that the new system's network works. */
static void
note_answer(struct trial *t)
{
	if (t->poller && (poller_answers(t->poller) != t->answers || refused_first(t)))
		note(t, &t->box->state->pending.answered);
}

/* Fresh metadata, fetched from the new system, and nothing in it that speaks against this update.
 * That the deadline cut a poll off hides no reason that was known before. */
static int
check_world(struct trial *t, struct err *e)
{
	int rc = ask_world(t, e);

	note_answer(t);
	if (rc == 0)
		t->why = ERR_INIT;
	else if (e->class != ERR_NETWORK || e->errnum != NET_TOO_LATE)
		t->why = *e;
	else if (t->why.class != ERR_NONE)
		*e = t->why;
	return rc;
}

/* Going back is for the same reason, told apart only in what is remembered. */
static int
give_up(struct trial *t, enum revert how, enum trial_end *end, struct err *e)
{
	struct err failed;

	if (revert_begin(&t->box->conf, t->box->boot, t->box->state, how, e->text, &failed) < 0 ||
		(t->box->state->pending.tree_only &&
			revert_finish(&t->box->conf, t->box->boot, t->box->state, &failed) < 0)) {
		*e = failed;
		return -1;
	}
	*end = TRIAL_GIVEN_UP;
	return 0;
}

typedef int judge_fn(struct trial *t, enum trial_end *end, struct err *e);

/* An unhealthy system may only be slow to start, so it has until its deadline; one that is not what
 * was signed will not become so. A disk that cannot be read says nothing of the release. */
static int
judge_health(struct trial *t, enum trial_end *end, struct err *e)
{
	if (e->class == ERR_STOPPED)
		return give_up(t, REVERT_CANCEL, end, e);
	if (e->class == ERR_UNTRUSTED)
		return give_up(t, REVERT_CONDEMN, end, e);
	if (!confirm_is_overdue(&t->box->conf, t->box->state))
		return 0;
	return give_up(t, e->class == ERR_SYSTEM ? REVERT_INCONCLUSIVE : REVERT_CONDEMN, end, e);
}

/* Whatever keeps metadata from being fresh is not the release's fault, as far as anyone can tell
 * from here. A stop counts at once. */
static int
judge_world(struct trial *t, enum trial_end *end, struct err *e)
{
	if (e->class == ERR_STOPPED)
		return give_up(t, REVERT_CANCEL, end, e);
	/* Should power go until it has used up its boots, that was no fault of the release. */
	note(t, &t->box->state->pending.in_order);
	if (!confirm_is_overdue(&t->box->conf, t->box->state))
		return 0;
	return give_up(t, e->class == ERR_NETWORK ? REVERT_UNREACHED : REVERT_STALE, end, e);
}

/* A bootloader that has lost this side's trial, or its entry, takes no confirmation of it: starting
 * anew helps only if the old side is told to. What else goes wrong is no more than a write. */
static int
judge_refusal(struct trial *t, enum trial_end *end, struct err *e)
{
	if (e->class != ERR_REFUSED || !confirm_is_overdue(&t->box->conf, t->box->state))
		return -1;
	return give_up(t, REVERT_INCONCLUSIVE, end, e);
}

/* Is it healthy, and is it what was signed? The checks may take minutes, in which a stop comes.
 * What was right once stays so in this boot: it is mounted read-only. */
static int
check_system(struct trial *t, struct err *e)
{
	const struct box *b = t->box;
	const struct pending *p = &b->state->pending;
	struct keep_going keep_going = p->local || !t->poller ? lookout_until_term(t->lookout)
							      : lookout_keep_going(t->lookout);

	if (confirm_health(&b->conf, b->boot, b->state, &keep_going, e) < 0)
		return -1;
	if (digest_equal(&t->right, &p->release.manifest))
		return 0;
	if (confirm_digests(&b->conf, b->state, &keep_going, e) < 0)
		return -1;
	t->right = p->release.manifest;
	return 0;
}

/* A stop comes first, and is asked for once more before the one commit point. *judge is who says
 * what follows from a no. */
static int
look(struct trial *t, judge_fn **judge, struct err *e)
{
	struct err world = ERR_INIT;
	int agreed = check_world(t, &world);

	*judge = judge_health;
	if (world.class != ERR_STOPPED && check_system(t, e) < 0)
		return -1;
	*judge = judge_world;
	if (agreed == 0)
		agreed = check_world(t, &world);
	if (agreed < 0)
		*e = world;
	return agreed;
}

static uint64_t
stop_poll_s(const struct trial *t)
{
	return t->poller ? poller_stop_poll_s(t->poller) : t->box->conf.stop_poll_s;
}

int
trial_round(struct trial *t, enum trial_end *end, struct err *e)
{
	const struct box *b = t->box;
	judge_fn *judge;
	int rc;

	*end = TRIAL_GOES_ON;
	trial_note_write(&t->note, b);
	if (t->rounds++ == 0) {
		t->why = ERR_INIT;
		t->answers = t->poller ? poller_answers(t->poller) : 0;
		t->refusals = t->poller ? poller_refusals(t->poller) : 0;
	}
	lookout_start(t->lookout, &b->state->pending, stop_poll_s(t));
	rc = look(t, &judge, e);
	if (*t->lookout->ending)
		return err_set(e, ERR_STOPPED, "told to end (SIGTERM)");
	if (rc < 0)
		return judge(t, end, e);
	if (confirm_commit(&b->conf, b->boot, b->state, e) < 0)
		return judge_refusal(t, end, e);
	*end = TRIAL_CONFIRMED;
	return 0;
}

bool
trial_is_forgotten(const struct box *b)
{
	const struct state *s = b->state;
	struct boot_side here, there;
	enum side current;
	struct err e;

	if (s->pending.phase != PHASE_NONE || s->running[SIDE_A].known || s->running[SIDE_B].known)
		return false;
	return b->boot->current(b->boot, &b->conf, &current, &e) == 0 &&
	       !state_is_stranded(s, current) &&
	       b->boot->look(b->boot, &b->conf, current, &here, &e) == 0 &&
	       b->boot->look(b->boot, &b->conf, side_other(current), &there, &e) == 0 &&
	       here.bootable && !here.confirmed && there.bootable && there.confirmed;
}

bool
trial_is_on(const struct box *b)
{
	const struct pending *p = &b->state->pending;
	const struct boot_backend *own = boot_for(b->boot, p->tree_only);
	enum side current;
	struct err e;

	if (trial_is_forgotten(b))
		return true;
	return (p->phase == PHASE_ACTIVATED || p->phase == PHASE_REVERTING) &&
	       own->current(own, &b->conf, &current, &e) == 0 && current == p->target;
}

bool
trial_is_stopped(struct trial *t, struct err *e)
{
	struct keep_going until_term = lookout_until_term(t->lookout);
	const struct box *b = t->box;
	const struct pending *p = &b->state->pending;
	enum trial_end end;

	if (p->phase != PHASE_ACTIVATED || p->local || !t->poller || !trial_is_on(b) ||
		lookout_ask(t->lookout, p, &until_term, e) == 0)
		return false;
	log_warning("%s", e->text);
	return e->class == ERR_STOPPED && !*t->lookout->ending &&
	       give_up(t, REVERT_CANCEL, &end, e) == 0 && !p->tree_only;
}

int64_t
trial_wait_ms(const struct trial *t)
{
	unsigned doublings = t->rounds > 0 ? t->rounds - 1 : 0;
	int64_t wait_ms = (int64_t)WAIT_FIRST_MS
			  << (doublings < WAIT_DOUBLINGS ? doublings : WAIT_DOUBLINGS);
	int64_t left_ms = confirm_left_ms(&t->box->conf, t->box->state);

	wait_ms = wait_ms < TRIAL_WAIT_MAX_MS ? wait_ms : TRIAL_WAIT_MAX_MS;
	/* Each round asks for a stop, too. */
	wait_ms = (int64_t)num_min((uint64_t)wait_ms, stop_poll_s(t) * 1000);
	wait_ms = left_ms < wait_ms ? left_ms : wait_ms;
	return wait_ms > WAIT_FIRST_MS ? wait_ms : WAIT_FIRST_MS;
}
