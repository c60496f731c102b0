/* Whether long work may go on: whoever waits or writes asks, whoever started it answers. */
#ifndef SLUICE_BASE_KEEP_GOING_H
#define SLUICE_BASE_KEEP_GOING_H

#include "common/base/err.h"

/* Asked before every chunk and at least once a second while something runs: 0 to go on, or -1 with
 * ERR_STOPPED (a stop, a withdrawal, SIGTERM). ask may be NULL, and so may a pointer to it. */
struct keep_going {
	int (*ask)(void *arg, struct err *e);
	void *arg;
};

static inline int
keep_going_ask(const struct keep_going *k, struct err *e)
{
	return k && k->ask ? k->ask(k->arg, e) : 0;
}

#endif
