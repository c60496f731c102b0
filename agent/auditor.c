#include "agent/auditor.h"

#include <signal.h>
#include <string.h>

#include "agent/audit_record.h"
#include "agent/doubt.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/num.h"
#include "common/base/process.h"
#include "common/crypto/random.h"

/* Soon: within minutes, at random, as all that many boxes do at once. */
enum { SOON_S = 20 * 60, LOOK_EVERY_MS = 500, JITTER_PARTS = 1024, JITTER_SHARE = 8 };

/* So long one that was killed is waited for, and how often one that is not gone then is looked
 * after. */
enum { END_MS = 3000, END_EVERY_MS = 10, STUCK_EVERY_MS = 5000 };

static void
put_off(struct auditor *a)
{
	uint64_t soon_ms = num_min(a->box->conf.audit_s, SOON_S) * 1000;

	a->not_before_ms = clock_boot_ms() + (int64_t)(soon_ms / 2 + random_below(soon_ms / 2 + 1));
}

struct auditor
auditor_of(const struct box *box, const char *conf_path)
{
	struct auditor a = {.box = box, .conf_path = conf_path};

	a.jitter = random_below(JITTER_PARTS + 1);
	put_off(&a);
	return a;
}

static bool
is_gone(pid_t *pid)
{
	int status;

	return *pid == 0 || process_has_ended(pid, &status);
}

/* A disk that answers nothing holds even what was killed. It only reads, so nothing has to wait for
 * it. */
void
auditor_stop(struct auditor *a)
{
	int64_t until_ms = clock_boot_ms() + END_MS;

	if (a->pid == 0)
		return;
	a->stuck = a->pid;
	a->pid = 0;
	(void)kill(-a->stuck, SIGKILL);
	(void)kill(a->stuck, SIGKILL);
	while (!is_gone(&a->stuck) && clock_boot_ms() < until_ms)
		clock_sleep_ms(END_EVERY_MS);
	if (a->stuck != 0)
		log_warning("an audit was killed and hangs in the kernel, as a disk that does not "
			    "answer does it (process %d): going on without it",
			(int)a->stuck);
	log_info("an audit is cut off, and starts over later");
	put_off(a);
}

/* Since that audit, or less where the clock has gone back: then it is due. */
static int64_t
interval_left_ms(const struct auditor *a, const struct audit_record *r)
{
	int64_t gone_s = audit_now_s(a->box->state) - r->at_s;
	uint64_t every_s = a->box->conf.audit_s;

	every_s += every_s * a->jitter / (JITTER_PARTS * JITTER_SHARE);
	if (gone_s < 0 || gone_s >= (int64_t)every_s)
		return 0;
	return ((int64_t)every_s - gone_s) * 1000;
}

int64_t
auditor_wait_ms(struct auditor *a)
{
	int64_t left_ms = a->not_before_ms - clock_boot_ms(), interval_ms = 0;
	struct audit_record last;
	bool known;

	if (a->box->conf.audit_s == 0)
		return INT64_MAX;
	known = audit_record_load(a->box, &last) == AUDIT_KNOWN;
	if (!known && !a->outdated) {
		put_off(a);
		left_ms = a->not_before_ms - clock_boot_ms();
	}
	a->outdated = !known;
	if (known)
		interval_ms = interval_left_ms(a, &last);
	left_ms = left_ms > interval_ms ? left_ms : interval_ms;
	return left_ms > 0 ? left_ms : 0;
}

static void
start(struct auditor *a)
{
	const char *const argv[] = {
		"/proc/self/exe", "-c", a->conf_path, "audit", "--gently", NULL};
	struct err e;

	a->before = audit_record_answer(a->box, a->before_why);
	if (process_begin(&(struct process){.argv = argv}, &a->pid, &e) == 0)
		return;
	log_warning("no audit: %s", e.text);
	put_off(a);
}

static void
result_log(const struct auditor *a)
{
	struct audit_record r;

	if (audit_record_load(a->box, &r) != AUDIT_KNOWN)
		return;
	/* The rest it has said itself; this is for the tail that goes into reports. */
	log_line(r.running == AUTHENTIC_NO ? LOG_ERROR : LOG_DETAIL,
		"installed software authentic: %s%s%.500s", authentic_name(r.running),
		r.why[0] ? ": " : "", r.why);
	if (r.other == AUTHENTIC_NO)
		log_warning("what this box would go back to is not authentic: %.500s", r.other_why);
}

/* True when the audit has come out other than the last: other chunks are news, too. One whose
 * record was not written is not due again at once. */
static bool
take_result(struct auditor *a)
{
	char why[AUDIT_WHY_SIZE];
	int status;

	if (!process_has_ended(&a->pid, &status))
		return false;
	put_off(a);
	if (status < 0) {
		log_warning("an audit was killed, and starts over later");
		return false;
	}
	a->not_before_ms = clock_boot_ms() + (int64_t)a->box->conf.audit_s * 1000;
	result_log(a);
	return audit_record_answer(a->box, why) != a->before || strcmp(why, a->before_why) != 0;
}

static bool
is_idle(const struct auditor *a)
{
	return a->box->state->pending.phase == PHASE_NONE && !doubt_is_open(a->box->state);
}

/* How long to nap until something is to be looked at. */
static int64_t
step(struct auditor *a)
{
	int64_t wait_ms;

	if (a->pid != 0)
		return LOOK_EVERY_MS;
	if (!is_gone(&a->stuck))
		return STUCK_EVERY_MS;
	wait_ms = is_idle(a) ? auditor_wait_ms(a) : INT64_MAX;
	if (wait_ms > 0)
		return wait_ms;
	start(a);
	return LOOK_EVERY_MS;
}

void
auditor_nap(struct auditor *a, struct watchdog *w, int64_t ms, bool prompt)
{
	int64_t begin_ms = clock_boot_ms(), left_ms = ms;

	do {
		int64_t slice_ms = left_ms > 0 ? step(a) : 0;

		if (watchdog_nap(w, slice_ms < left_ms ? slice_ms : left_ms))
			return;
		if (a->pid != 0 && take_result(a) && prompt)
			return;
		left_ms = ms - (clock_boot_ms() - begin_ms);
	} while (left_ms > 0);
}
