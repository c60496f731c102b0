/* What became of an update while nobody looked: a reboot, a fall-back, a power cut, a kill. */
#ifndef SLUICE_AGENT_SETTLE_H
#define SLUICE_AGENT_SETTLE_H

#include "agent/boot.h"
#include "agent/conf.h"
#include "agent/state.h"
#include "common/base/err.h"

enum settled {
	SETTLED_NOTHING,     /* no update is under way */
	SETTLED_CLEANED,     /* one was cut off before it was activated; nothing is under way now,
			      * and what was written is used again by the next attempt */
	SETTLED_INSTALLED,   /* activated; waits for the reboot */
	SETTLED_UNCONFIRMED, /* the new system runs and is to be confirmed */
	SETTLED_CONFIRMED,   /* it was confirmed when the power went; that has been completed */
	SETTLED_GOING_BACK,  /* given up, and still running: reboot */
	SETTLED_STRANDED,    /* given up, and running again: the old side does not start */
	SETTLED_REVERTED, /* the old system runs again; the release is remembered as failed unless
			   * it was only cancelled */
};

struct settlement {
	enum settled what;
	struct pending was; /* the update that it is about */
	char detail[REPORT_DETAIL_MAX + 1];
};

/* Looks at state, boot environment and boot id, and brings the three together. Called first by
 * everything that changes something, with the lock held. May be cut off anywhere and called again.
 */
int settle(const struct conf *c, const struct boot_backend *boot, struct state *s,
	struct settlement *out, struct err *e);

#endif
