/* The lookout: what an update asks at every step whether to go on (struct keep_going). */
#ifndef SLUICE_AGENT_LOOKOUT_H
#define SLUICE_AGENT_LOOKOUT_H

#include <signal.h>
#include <stdint.h>

#include "agent/poll.h"
#include "agent/source.h"
#include "agent/state.h"
#include "agent/watchdog.h"

/* Polls for a stop on a connection of its own while an install runs, and never waits for it: so a
 * stalled download hides no stop, and a stalled stop poll no download. A server's Retry-After does
 * not count here, and a poll that fails changes nothing: the update cannot become active without
 * one that succeeds. The first that fails is repeated within seconds, for it may have been lost as
 * the download went to another of the site's servers. */
struct lookout {
	struct poller *poller;
	const struct state *state;
	const volatile sig_atomic_t *ending; /* set by SIGTERM */
	struct watchdog *watchdog;	     /* petted at every question; or NULL */
	const struct pending *update;	     /* the one that runs; borrowed */
	int64_t interval_ms, next_ms;
	bool failed; /* the last question, which was asked soon again then */
};

/* From now on asks every interval_s whether this update may go on. */
void lookout_start(struct lookout *l, const struct pending *update, uint64_t interval_s);

/* Fails with ERR_STOPPED when the update under way has to end, or for SIGTERM. */
struct keep_going lookout_keep_going(struct lookout *l);

/* One poll, now, and whether this update may go on. A stop that this box knows of counts even when
 * the poll fails: ERR_STOPPED. Otherwise errors are those of poller_poll and decide_go_on. */
int lookout_ask(struct lookout *l, const struct pending *update,
	const struct keep_going *keep_going, struct err *e);

/* lookout_keep_going for SIGTERM alone: for what is short, or polls by itself. */
struct keep_going lookout_until_term(struct lookout *l);

#endif
