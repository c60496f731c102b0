/* Takes the reports of the spool to their server, at its pace. */
#ifndef SLUICE_AGENT_COURIER_H
#define SLUICE_AGENT_COURIER_H

#include <stdint.h>

#include "agent/conf.h"
#include "agent/net.h"
#include "agent/pace.h"
#include "common/base/keep_going.h"

/* All zero at first. */
struct courier {
	struct pace pace;
	int64_t not_before_ms; /* by the boot clock */
};

/* What became of it: nothing was to be sent, or not yet; all was sent; nobody answered; it waits
 * for a reason that has nothing to do with the box's certificate; it is not allowed (401, 403),
 * which may be said to all, or to this certificate; the server says that it does not take that;
 * keep_going says to stop. */
enum courier_end {
	COURIER_IDLE,
	COURIER_THROUGH,
	COURIER_FAILED,
	COURIER_HELD,
	COURIER_DENIED,
	COURIER_REFUSED,
	COURIER_STOPPED
};

/* Reports go out when they can: what does not waits for another call, and less often while their
 * server says no. keep_going as in net.h. */
enum courier_end courier_carry(struct courier *c, const struct conf *conf, struct net *n,
	const struct keep_going *keep_going);

#endif
