/* How far a stop, or its resume, has got in the fleet: what boxes have said since. */
#ifndef SLUICE_SIGNER_ACKNOWLEDGEMENT_H
#define SLUICE_SIGNER_ACKNOWLEDGEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "signer/workspace.h"

struct acknowledgement {
	const char *stop; /* its id */
	const char *plan; /* "rollouts/stable.json", or NULL for every box */
	bool lifted;	  /* it is resumed: boxes forget it */
	const char *wait; /* as typed, or NULL: for a while on a terminal, else not at all */
};

/* Whether wait is a time that can be waited for. ERR_USAGE. */
int acknowledgement_check(const struct acknowledgement *a, struct err *e);

/* Says on standard output which share of the fleet has acknowledged; on a terminal in a line that
 * counts on. Where it waits it takes reports out of the spool itself unless a watch does. To be
 * called once all is published. What keeps it from looking is told on standard error, and makes no
 * stop fail. */
void acknowledgement_show(const struct workspace *w, const struct acknowledgement *a);

#endif
