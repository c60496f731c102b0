/* What publishing a plan binds it to: the release that its bundle's name stands for, and that of
 * the bundle it recalls. */
#ifndef SLUICE_SIGNER_BINDING_H
#define SLUICE_SIGNER_BINDING_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/format/listing.h"
#include "signer/rollout.h"
#include "signer/scope.h"
#include "signer/workspace.h"

struct binding {
	struct rollout_bundle bundle;
	struct listing listing; /* of the plan's own bundle */
};

/* What release engineers signed of one bundle. ERR_REFUSED where they have not. */
int binding_bundle(const struct workspace *w, const char *path, struct rollout_bundle *out,
	struct listing *listing, struct err *e);

/* What release engineers signed of the bundles that a plan names. ERR_REFUSED where they have not,
 * or no box could ever follow: it recalls the release that it brings, or a box may not even fetch
 * the bundle's head. */
int binding_find(
	const struct workspace *w, const struct rollout *r, struct binding *out, struct err *e);

/* Appends the plan's bytes to out. One that says what the listed one (before) says keeps its
 * version, so that its gate stays open: *same. */
int binding_plan(const struct rollout *r, const struct binding *b, const struct scope_plan *before,
	struct buf *out, bool *same, struct err *e);

#endif
