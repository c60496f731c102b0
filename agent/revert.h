/* Going back to the other side. Each step may be cut off and is completed by settle(). */
#ifndef SLUICE_AGENT_REVERT_H
#define SLUICE_AGENT_REVERT_H

#include "agent/boot.h"
#include "agent/conf.h"
#include "agent/state.h"
#include "common/base/err.h"

/* What is remembered of the release that is given up. */
enum revert {
	REVERT_CONDEMN,	  /* it failed here: not tried again until a plan says a higher attempt */
	REVERT_UNREACHED, /* for lack of network: counted, and held against it only if no server
			   * ever answered it and the old system then reaches one promptly
			   * (doubt.h) */
	REVERT_STALE,	  /* for lack of freshness: counted, not held against it */
	REVERT_INCONCLUSIVE, /* for what is this box's own fault: counted, not held against it */
	REVERT_CANCEL,	     /* a stop or a withdrawal: nothing */
	REVERT_BY_HAND, /* a person said no before it started: not tried again, as if it had failed,
			 * and told as stopped */
};

/* Gives the update under way up, installed or already running: remembers why and PHASE_REVERTING,
 * then makes the old side the next to boot and the new one not bootable. What is cancelled goes
 * back though nothing can be saved: settle() finds it cut off. Reboot afterwards if the new system
 * runs (revert_needs_reboot). Network and freshness are never asked. */
int revert_begin(const struct conf *c, const struct boot_backend *boot, struct state *s,
	enum revert how, const char *why, struct err *e);

/* Completes it where the old side runs again (for trees that is at once); switches once more, and
 * leaves PHASE_REVERTING, where the new one still does. */
int revert_finish(
	const struct conf *c, const struct boot_backend *boot, struct state *s, struct err *e);

/* Whether a revert is under way that only a reboot completes. */
bool revert_needs_reboot(const struct state *s);

/* By hand, with no update under way: back from a confirmed release to the one on the other side,
 * if that was confirmed and is at or above the rollback floor (ERR_REFUSED). The release that is
 * left is remembered as failed. Reboot afterwards, unless tree_only. */
int revert_confirmed(const struct conf *c, const struct boot_backend *boot, struct state *s,
	bool tree_only, struct err *e);

#endif
