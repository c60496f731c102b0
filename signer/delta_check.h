/* Whether a delta says what it should, before anybody signs for it. */
#ifndef SLUICE_SIGNER_DELTA_CHECK_H
#define SLUICE_SIGNER_DELTA_CHECK_H

#include "common/base/err.h"
#include "common/format/delta.h"
#include "signer/delta_side.h"

/* Reads a payload's part of a delta (fd has all of it), applies it to the old payload (NULL: there
 * is none) and compares what comes out with the new one's index: ERR_REFUSED where something else
 * does, which is a mistake of this program. */
int delta_check(int fd, const char *name, const struct delta_head *h, size_t payload,
	struct delta_side *from, const struct delta_side *to, unsigned threads, struct err *e);

#endif
