/* Who notices that the agent hangs: the service manager, which starts it again, and, while a new
 * system is unconfirmed, a watchdog device, which resets the box, so that the bootloader's count of
 * tries goes down and the box falls back (linux: Documentation/watchdog/watchdog-api.rst).
 *
 * Both are petted from the same places, all of which show that the agent gets ahead: every wait of
 * the daemon's, and every question whether long work may go on (lookout.h). No thread and no timer
 * pets, so an agent that hangs is found out, whatever still runs beside it. */
#ifndef SLUICE_AGENT_WATCHDOG_H
#define SLUICE_AGENT_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/conf.h"
#include "common/base/keep_going.h"
#include "common/base/notify.h"

enum { WATCHDOG_PROBLEM_SIZE = 256 };

struct watchdog {
	struct notify notify;
	const char *device; /* of agent.conf, borrowed; NULL: none */
	uint64_t timeout_s;
	bool always;   /* guards confirmed systems, too */
	int fd;	       /* the device while it runs, or -1 */
	bool keeps_on; /* it cannot be stopped any more */
	bool on_trial; /* a new system is unconfirmed */
	bool let_go;   /* it is to reset the box */
	int64_t every_ms, next_ms;
	char problem[WATCHDOG_PROBLEM_SIZE]; /* why nothing guards the trial, for people; or "" */
};
#define WATCHDOG_INIT ((struct watchdog){.notify = NOTIFY_INIT, .fd = -1})

/* Takes over from the environment and from c, which outlives w, and starts nothing yet. What is
 * wrong with the environment is logged. */
void watchdog_open(struct watchdog *w, const struct conf *c);

/* Leaves the device running where a new system is unconfirmed: an agent that ended does not confirm
 * it. Stops it otherwise. */
void watchdog_close(struct watchdog *w);
#define AUTO_WATCHDOG CLEANUP(watchdog_close)

/* Starts the device when a trial begins (or at once, where agent.conf says always), and stops it
 * when the trial is over. One that is busy, missing or no watchdog is logged once a trial and
 * told in problem; the trial goes on without, for a box that lost its watchdog is not to lose its
 * updates. One that cannot be stopped is petted on. */
void watchdog_guard(struct watchdog *w, bool on_trial);

/* The agent gets ahead. Costs little; w may be NULL. */
void watchdog_pet(struct watchdog *w);

/* Pets the one that this process has open, if any, and never says no: for a wait that is bounded,
 * inside what has nobody to ask. */
struct keep_going watchdog_beside(void);

/* signals_nap() that pets all the while. */
bool watchdog_nap(struct watchdog *w, int64_t ms);

/* The way back cannot be taken by itself: on trial the device is petted no more and resets the
 * box. Elsewhere nothing happens. */
void watchdog_let_go(struct watchdog *w);

#endif
