/* What a plan may say and hardly anybody means: warnings, each at its place. */
#ifndef SLUICE_SIGNER_LINT_H
#define SLUICE_SIGNER_LINT_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* Reads a plan that rollout_load takes, and calls each(arg, "FILE:LINE:COLUMN: ...") for every
 * warning, in no special order. *count gets their number. now_s is for a start that has passed. */
int lint_plan(const char *path, int64_t now_s, void (*each)(void *arg, const char *text), void *arg,
	size_t *count, struct err *e);

#endif
