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
	struct letter *letters;
	size_t count;
	/* Both are called in the caller's thread, each for one letter after the other. find says
	 * which key letter i has to be signed with (a copy, which is freed here), or NULL: it is
	 * not opened. take is handed the letter with its report, or with NULL and why it could not
	 * be opened (no error: it was not to be). */
	int (*find)(void *arg, size_t i, char **report_key, struct err *e);
	int (*take)(
		void *arg, size_t i, const struct report *r, const struct err *why, struct err *e);
	void *arg;
};

/* Runs to the end, or to the first failure of find or take. Memory does not grow with the count:
 * some 16 KiB for each of a few hundred. */
int opener_run(const struct opener *o, struct err *e);

#endif
