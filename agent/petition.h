/* The box's next certificate: asked for in reports, fetched from the site as a signed target,
 * tried, and kept (identity.h has its files).
 *
 * The parent makes the key; the network child gets it like the one of manufacture. */
#ifndef SLUICE_AGENT_PETITION_H
#define SLUICE_AGENT_PETITION_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/conf.h"
#include "agent/courier.h"
#include "agent/net.h"
#include "agent/poll.h"
#include "agent/state.h"

/* All zero at first, but for what it borrows. */
struct petition {
	const struct conf *conf;
	const struct state *state;
	int64_t looked;	      /* at what the site of this snapshot has */
	int64_t now_s;	      /* effective time, when it was last asked */
	unsigned refused;     /* times that a report got through only with the older pair */
	unsigned turns;	      /* refusals in a row, of a pair that got through once */
	bool heard;	      /* a report got through since another pair counts */
	int64_t back_from_ms; /* by the boot clock: the newest is not tried again before */
};

/* After a poll: takes the CAs and the certificate that the site has for this box, asks for one
 * where less than a third of the present one's life is left or another CA issues now, and puts it
 * on trial. What goes wrong is logged, and tried again with the next snapshot: nothing waits for
 * it, and while a new system is on trial, or in doubt, nothing is done. A poll that was refused is
 * heard of as below. now_s: effective time. True where another pair counts now: servers are to hear
 * from it. */
bool petition_step(struct petition *p, struct net *n, struct poller *poller, int64_t now_s,
	const struct keep_going *keep_going);

/* What became of the last report that was sent, or of a poll for which the certificate was refused.
 * A pair on trial through which a report got is kept, beside those of before; one through which
 * nothing gets is shelved, and the older is tried: if that gets through, twice, the new one is
 * given up. What a server does not take for another reason says nothing of it; that it allows
 * nothing (COURIER_DENIED) is as if nothing got through. Without a trial, where the pair that
 * counts is refused, twice, the next of those that are kept counts: what had it kept may not have
 * been the fleet's server. Once a report gets through, the newest is tried again, at most once a
 * day: what it was refused for may be over. True as above. */
bool petition_hear(struct petition *p, struct net *n, enum courier_end end);

#endif
