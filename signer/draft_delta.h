/* A delta between two bundles, made to be looked at, and thrown away again. */
#ifndef SLUICE_SIGNER_DRAFT_DELTA_H
#define SLUICE_SIGNER_DRAFT_DELTA_H

#include <stdbool.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/format/delta.h"
#include "signer/bundle_file.h"
#include "signer/delta_file.h"

struct draft_delta {
	int fd;			 /* it is in a file without a name */
	char why[ERR_TEXT_SIZE]; /* why no box would go by it; "": one would */
	struct delta_made made;
	struct delta_head head; /* unless there is a why */
};

#define DRAFT_DELTA_INIT ((struct draft_delta){.fd = -1})

void draft_delta_free(struct draft_delta *d);

/* What `sluice release NEW --delta-from OLD` would list, in the folder scratch. That there can be
 * none, or that it does not pay, is no error. Memory and errors as of delta_file_make(); shows
 * progress. */
int draft_delta_make(const struct bundle_file *old, const struct bundle_file *new, unsigned threads,
	const char *scratch, struct draft_delta *out, struct err *e);

#endif
