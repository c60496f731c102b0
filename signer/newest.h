/* Inside metadata: how the newest version of a role is found, for newest.c and metadata.c. */
#ifndef SLUICE_SIGNER_NEWEST_H
#define SLUICE_SIGNER_NEWEST_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "signer/metadata.h"

static inline bool
newest_is_root(const struct metadata *m)
{
	return strcmp(m->role, "root") == 0;
}

/* What a new document of m gets. Boxes go from one root to the next, so there none is left out. */
static inline uint64_t
newest_next_version(const struct metadata *m)
{
	return newest_is_root(m) || m->unused == 0 ? m->published + 1 : m->unused;
}

/* Finds m's keys and entry in its delegator's "signed": roles by name in root, an ordered list in
 * targets. ERR_USAGE where there is no such role. */
int newest_find_authority(const json_t *delegator, struct metadata *m, struct err *e);

/* incoming/ROLE.json. */
int newest_waiting_path(
	const struct workspace *w, const struct metadata *m, char out[PATH_MAX], struct err *e);

/* What incoming/ROLE.json is now; zeros: there is none. */
int newest_waiting_digest(
	const struct workspace *w, const struct metadata *m, struct digest *out, struct err *e);

/* Whether m is still the next version of its role, as it was loaded. */
int newest_is_current(
	const struct workspace *w, const struct metadata *m, bool *current, struct err *e);

#endif
