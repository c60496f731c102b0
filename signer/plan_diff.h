/* What publishing a plan changes, in plain words, for whoever signs it. */
#ifndef SLUICE_SIGNER_PLAN_DIFF_H
#define SLUICE_SIGNER_PLAN_DIFF_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/format/plan.h"
#include "signer/binding.h"
#include "signer/scope.h"
#include "signer/workspace.h"

struct plan_diff {
	const struct workspace *w;
	const char *name;		 /* of the plan: stable for rollouts/stable.json */
	const struct scope_plan *before; /* what is published, if anything is */
	const struct plan *after;
	const struct binding *binding; /* of after; NULL: it cannot be published yet */
};

/* Prints all of it: bundle, boxes, waves, limits, how many boxes are in each wave before and after
 * where fleet.db has boxes, and what becomes of the gate. */
int plan_diff_print(const struct plan_diff *d, struct err *e);

#endif
