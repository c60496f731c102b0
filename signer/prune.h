/* Files of the site that nobody comes to any more. */
#ifndef SLUICE_SIGNER_PRUNE_H
#define SLUICE_SIGNER_PRUNE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "signer/workspace.h"

struct pruning {
	json_t *names; /* relative to site/; owned */
	uint64_t bytes;
	struct timespec seen; /* when site/metadata had last changed by then */
};

void pruning_free(struct pruning *p);
#define AUTO_PRUNING CLEANUP(pruning_free)

/* Looks for versions of metadata and content that no snapshot leads to which is published, or was
 * within grace_s: whoever has a timestamp of then may still fetch all of it, so grace_s has to be
 * the life of a timestamp at least (ERR_USAGE). Every root.json stays, and so do names that the
 * publisher does not make, and what was put there within grace_s. Any document that is kept and
 * cannot be read fails it: what it leads to is not known. */
int prune_find(const struct workspace *w, uint64_t grace_s, int64_t now_s, struct pruning *out,
	struct err *e);

/* Removes them, under the publisher's lock, which is let go again and again: a stop that somebody
 * publishes meanwhile does not wait for millions of files. *stale: something was published since
 * they were looked for, and may lead to what is left of them; look again. *removed is what has
 * gone, in files and bytes, and is added to. The caller has the lock of bulk.h since before they
 * were looked for. */
struct removed {
	uint64_t files, bytes;
};
int prune_remove(const struct workspace *w, struct pruning *p, struct removed *removed, bool *stale,
	struct err *e);

#endif
