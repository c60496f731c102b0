/* What a change of metadata means, in words for the people who sign it. */
#ifndef SLUICE_SIGNER_SUMMARY_H
#define SLUICE_SIGNER_SUMMARY_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "signer/keyring.h"
#include "signer/request.h"

/* Appends the summary of a checked change, made from its bytes alone: who may do what before and
 * after, targets that come, go or change, expiry, any other field, and who has signed so far (good:
 * key ids). Text from the document is escaped: nothing in it reaches a terminal but printable
 * ASCII. names are the reader's own. */
int summary_write(const struct change *c, const json_t *good, const struct keyring *names,
	int64_t now_s, struct buf *out, struct err *e);

#endif
