#include "agent/lookout.h"

#include "agent/decide.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/num.h"

enum { AGAIN_MS = 5 * 1000 };

void
lookout_start(struct lookout *l, const struct pending *update, uint64_t interval_s)
{
	l->update = update;
	l->interval_ms = (int64_t)interval_s * 1000;
	l->next_ms = clock_boot_ms() + l->interval_ms;
	l->failed = false;
}

static int
ask_term(void *arg, struct err *e)
{
	const struct lookout *l = arg;

	watchdog_pet(l->watchdog);
	return *l->ending ? err_set(e, ERR_STOPPED, "told to end (SIGTERM)") : 0;
}

int
lookout_ask(struct lookout *l, const struct pending *update, const struct keep_going *keep_going,
	struct err *e)
{
	const struct world *w;
	struct err stop;

	if (poller_poll(l->poller, keep_going, &w, e) == 0)
		return decide_go_on(w, l->state, update, e);
	if (e->class != ERR_STOPPED &&
		decide_no_stop(l->state, poller_gate_path(l->poller), &stop) < 0)
		*e = stop;
	return -1;
}

/* The whole of it, now that there is something new. */
static int
look_closely(struct lookout *l, struct err *e)
{
	struct keep_going until_term = lookout_until_term(l);

	if (lookout_ask(l, l->update, &until_term, e) == 0)
		return 0;
	if (e->class == ERR_STOPPED)
		return -1;
	log_warning("asking for a stop: %s", e->text);
	return 0;
}

static int64_t
wait_ms(const struct lookout *l, enum answer answer)
{
	return answer == ANSWER_FAILED && !l->failed
		       ? (int64_t)num_min((uint64_t)l->interval_ms, AGAIN_MS)
		       : l->interval_ms;
}

static int
ask_all(void *arg, struct err *e)
{
	struct lookout *l = arg;
	struct err failed = ERR_INIT;
	enum answer answer;

	if (ask_term(l, e) < 0)
		return -1;
	if (clock_boot_ms() < l->next_ms)
		return 0;
	answer = poller_ask_changed(l->poller, &failed);
	if (answer == ANSWER_PENDING)
		return 0;
	l->next_ms = clock_boot_ms() + wait_ms(l, answer);
	l->failed = answer == ANSWER_FAILED;
	if (answer == ANSWER_FAILED)
		log_warning("asking for a stop: %s", failed.text);
	return answer == ANSWER_CHANGED ? look_closely(l, e) : 0;
}

struct keep_going
lookout_keep_going(struct lookout *l)
{
	return (struct keep_going){ask_all, l};
}

struct keep_going
lookout_until_term(struct lookout *l)
{
	return (struct keep_going){ask_term, l};
}
