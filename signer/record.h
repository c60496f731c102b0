/* One report into the tables that ledger.h reads. In the transaction of who calls. */
#ifndef SLUICE_SIGNER_RECORD_H
#define SLUICE_SIGNER_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/format/report.h"
#include "signer/sql.h"

/* More rows than this beyond LEDGER_KEPT are worth the work of deleting them. */
enum { RECORD_SLACK = 32 };

enum recorded {
	RECORD_NEW,
	RECORD_DUPLICATE, /* there already, or so old that its row is gone */
	RECORD_CLASH,	  /* another report has this number */
};

/* box is the row in table box. heard_s: when the report came. *alarm: it is new, and says that what
 * is installed is not what was signed, which the box did not say before, or not for the last day.
 * An error other than ERR_SYSTEM is the report's own, and nothing was changed. */
int record_add(struct sql *s, int64_t box, const struct report *r, int64_t heard_s,
	enum recorded *out, bool *alarm, struct err *e);

/* Deletes what is more than LEDGER_KEPT of up to boxes_max boxes that have too many. */
int record_prune(struct sql *s, uint64_t boxes_max, struct err *e);

#endif
