/* Letters opened by several threads, and handed over in their order. */
#ifndef SLUICE_SIGNER_OPENER_H
#define SLUICE_SIGNER_OPENER_H

#include <stddef.h>

#include "common/base/err.h"
#include "common/format/report.h"
#include "signer/letter.h"

struct opener {
	int spool;
	unsigned threads; /* at least 1, besides the caller's */
	const struct letter *letters;
	char *const
		*report_keys; /* one a letter; NULL: it is not opened, and handed over as it is */
	size_t count;
	/* Takes letter i with its report, or with NULL and why it could not be opened. Called in
	 * the caller's thread. */
	int (*take)(
		void *arg, size_t i, const struct report *r, const struct err *why, struct err *e);
	void *arg;
};

/* Runs to the end, or to the first failure of take. Memory does not grow with the count: some 16
 * KiB for each of a few hundred. */
int opener_run(const struct opener *o, struct err *e);

#endif
