/* Finding a delta: whether signed metadata lists one for this box. */
#ifndef SLUICE_AGENT_DELTA_FIND_H
#define SLUICE_AGENT_DELTA_FIND_H

#include "agent/box.h"
#include "agent/delta.h"
#include "agent/poll.h"
#include "common/base/keep_going.h"
#include "common/format/listing.h"

/* Looks up, after a poll that succeeded, whether signed metadata lists a delta from what runs to
 * this bundle. out->url is NULL where it lists none; one that is listed for other releases is
 * logged. */
void delta_find(struct poller *p, const struct box *b, const struct listing *bundle,
	const struct keep_going *keep_going, struct delta_offer *out);

#endif
