/* Bringing a delta: its head, and the bundle's head out of it. */
#ifndef SLUICE_AGENT_DELTA_BRING_H
#define SLUICE_AGENT_DELTA_BRING_H

#include "agent/budget.h"
#include "agent/conf.h"
#include "agent/delta.h"
#include "agent/head.h"
#include "agent/net.h"
#include "common/base/err.h"
#include "common/format/listing.h"

/* All borrowed. */
struct delta_bring_job {
	const struct conf *c;
	struct net *net;
	struct budget *budget;
	const struct delta_offer *offer;
	const struct listing *bundle;
	const char *bundle_url;
	uint64_t bundle_length;
	const struct keep_going *keep_going;
};

/* Fetches the delta's head, whose digest is compared before anything in it is looked at, and makes
 * the bundle's head of it (delta_head.h); what comes counts against the budget, and as wasted where
 * it came to nothing. Where other bytes come than were signed, the site's other servers are asked,
 * each once. ERR_STOPPED, and ERR_REFUSED by the budget; of anything else the bundle knows nothing.
 */
int delta_bring(const struct delta_bring_job *j, struct delta *d, struct head *out, struct err *e);

#endif
