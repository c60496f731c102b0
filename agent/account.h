/* What remains of an update that did not come through. */
#ifndef SLUICE_AGENT_ACCOUNT_H
#define SLUICE_AGENT_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/order.h"
#include "agent/reporter.h"
#include "common/base/err.h"

/* What it is to the fleet, and to this box's memory. held: a program of the box maker's or the
 * plan's budget or window said no, or metadata is not in order; nothing is wrong with the release.
 * Saves the state of the reporter's box; what cannot be saved is logged. */
void account_failure(
	struct reporter *r, const struct order *o, bool held, const struct err *why, int64_t at_s);

#endif
