/* When boxes could not be heard, in fleet.db: an outage of ours makes nobody silent. */
#ifndef SLUICE_SIGNER_OUTAGE_H
#define SLUICE_SIGNER_OUTAGE_H

#include <stdint.h>

#include "common/base/err.h"
#include "signer/sql.h"

/* Notes one, which begins after all that are noted or where the last has ended; those that ended
 * more than a year before are forgotten. */
int outage_note(struct sql *s, int64_t from_s, int64_t until_s, struct err *e);

/* A clock was set back to now_s: what it noted of times to come has ended, and what boxes said then
 * they have said now, so that silence counts from now on and not from then. Waves that opened then
 * have opened now: what boxes say from now on counts in them. */
int outage_cut(struct sql *s, int64_t now_s, struct err *e);

/* The moment since which, until now_s, boxes could be heard for span_s. */
int outage_before(struct sql *s, int64_t now_s, int64_t span_s, int64_t *out_s, struct err *e);

#endif
