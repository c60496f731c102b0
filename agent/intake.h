/* An intake: what a bundle's payloads need to get into the target side, and then their way there.
 *
 * Looking comes before anything is written: every slot is compared with its index, and what it
 * lacks is looked for on this box (reuse.h), so that the haul is known. */
#ifndef SLUICE_AGENT_INTAKE_H
#define SLUICE_AGENT_INTAKE_H

#include <stdbool.h>

#include "agent/conf.h"
#include "agent/delta.h"
#include "agent/engine.h"
#include "agent/haul.h"
#include "agent/head.h"
#include "agent/source.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

/* All borrowed, and kept as long as the intake is. */
struct intake_job {
	const struct conf *c;
	const struct head *h;
	const struct source *source;
	const struct keep_going *keep_going;
	enum side target;
	const struct delta *delta; /* NULL: there is none */
	const struct source *delta_source;
	bool near; /* the source is on this box: nothing is gained by looking elsewhere */
	struct install_stats *stats; /* added to as it goes */
};

struct intake;

void intake_free(struct intake **i);
#define AUTO_INTAKE CLEANUP(intake_free)

/* Opens the target's slots, as for writing, and looks. Fetches hints, cuts and pages of stored
 * (stored.h) at most, and writes nothing to any slot. Errors say which payload. */
int intake_look(const struct intake_job *j, struct intake **out, struct err *e);

const struct haul *intake_haul(const struct intake *i);
const struct intake_job *intake_job_of(const struct intake *i);

/* Makes every slot equal to its index: what was found on this box first, then the rest from the
 * source; syncs, drops caches, reads back and compares again. */
int intake_write(struct intake *i, struct err *e);

#endif
