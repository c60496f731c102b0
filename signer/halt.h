/* Putting a stop into a gate. */
#ifndef SLUICE_SIGNER_HALT_H
#define SLUICE_SIGNER_HALT_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/format/gate.h"

/* Adds a stop with a new id; *out is in the gate. resumes are the ids that are lifted (or NULL):
 * where there is no room for another, those go. ERR_LIMIT where none of them is lifted. */
int halt_add(struct gate *g, const json_t *resumes, const char *reason, int64_t now_s,
	const struct stop **out, struct err *e);

#endif
