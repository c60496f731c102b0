/* Tells the fleet what happens on this box: fills in reports and spools them. */
#ifndef SLUICE_AGENT_REPORTER_H
#define SLUICE_AGENT_REPORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/box.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/format/report.h"

/* What happened, and about what. Pointers are borrowed, and NULL where there is nothing to say. */
struct event {
	enum box_state state;
	enum outcome outcome;
	const struct pending *update; /* the rollout and release that it is about */
	const struct err *why;	      /* what failed */
	const char *detail;	      /* in plain words, where nothing failed */
};

struct reporter {
	struct box *box;
	struct digest last; /* of the last event */
};

/* Spools a report at this time (seconds since 1970). An event that only says once more what the
 * last one said is left out. A report that cannot be made is logged: it stops no
 * update. */
void reporter_say(struct reporter *r, const struct event *event, int64_t at_s);

/* Says the next event in any case: servers are to hear from this box. */
void reporter_repeat(struct reporter *r);

/* Spools the report of an update that has ended, if there is one to be told (struct ended). However
 * often this is cut off, it is one report with one number. */
void reporter_tell_end(struct reporter *r, int64_t at_s);

#endif
