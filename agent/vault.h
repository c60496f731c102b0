/* Trusted metadata on the box's disk; and in memory, what the disk does not take (ENOSPC, EROFS),
 * for that is not to hide a stop.
 *
 * A new root takes keys away for good, and one that is only in memory is forgotten with the
 * process: a poll under it reads the gates, and fails then (vault_settle). Where another process
 * has brought a newer one to the disk meanwhile (an install by hand), that one counts. */
#ifndef SLUICE_AGENT_VAULT_H
#define SLUICE_AGENT_VAULT_H

#include <limits.h>
#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/tuf/tuf.h"

enum { VAULT_ROLES = 3 };

struct vault {
	char dir[PATH_MAX];
	bool gone[VAULT_ROLES]; /* targets, snapshot, timestamp: dropped, but for the disk */
	struct buf root;	/* trusted, and not on the disk; empty: it is there */
};

/* The folder metadata in state_dir. Frees with vault_free(). */
int vault_init(struct vault *v, const char *state_dir, struct err *e);
void vault_free(struct vault *v);

/* Where a client keeps its metadata; v outlives it. save fails only for want of memory, and drop of
 * what a new root makes void does not. */
struct tuf_store vault_store(struct vault *v);

/* Tries once more to bring a new root to the disk: ERR_SYSTEM as long as that fails, and once where
 * the disk has a newer one, by which nothing was polled yet. */
int vault_settle(struct vault *v, struct err *e);

#endif
