/* Requests that come back signed, put together and into incoming/. */
#ifndef SLUICE_SIGNER_MERGE_H
#define SLUICE_SIGNER_MERGE_H

#include <stdbool.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "signer/request.h"
#include "signer/workspace.h"

struct merge {
	struct metadata seen;	/* what lay here when the first was added: scalars only */
	struct request request; /* what all files have in common, with the signatures of all */
	struct change change;
	const char *first; /* the first file's path, borrowed */
	bool ours;	   /* this workspace drafted, or took, these bytes before */
};

void merge_free(struct merge *m);
#define AUTO_MERGE CLEANUP(merge_free)

/* Adds a file's signatures. The first file has to be of the bytes that drafts/ or incoming/ has, if
 * either has a next version; each further one of the same bytes. ERR_REFUSED for other bytes,
 * ERR_UNTRUSTED for a signature that is not good or by a key that may not sign. */
int merge_add(struct merge *m, const struct workspace *w, const char *path, struct err *e);

/* Writes incoming/ROLE.json and says who has signed. ERR_REFUSED when nobody has. */
int merge_commit(struct merge *m, const struct workspace *w, struct err *e);

#endif
