/* Reports that came before their plan was followed: taken up a few thousand at a time, for others
 * write to fleet.db, too, and a stop does not wait. Whoever is killed in between goes on where it
 * was: that is in table mark. */
#ifndef SLUICE_SIGNER_EARLIER_H
#define SLUICE_SIGNER_EARLIER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/format/plan.h"
#include "signer/sql.h"

/* Notes that such reports are to be looked for, in the transaction in which a following begins (or
 * begins again: then its counts may begin anew, and no more stays accepted than has gone wrong,
 * once all are taken up). Not all that are kept: none can be older than an older plan's beginning
 * at this path. */
int earlier_note(
	struct sql *s, int64_t following, const char *path, bool counts_anew, struct err *e);

/* Takes them up, if they were not, in transactions of its own. */
int earlier_take(struct sql *s, int64_t following, const struct plan *p, struct err *e);

#endif
