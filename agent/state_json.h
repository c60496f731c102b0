/* struct state as JSON: the words of state.json. */
#ifndef SLUICE_AGENT_STATE_JSON_H
#define SLUICE_AGENT_STATE_JSON_H

#include "agent/state.h"
#include "common/base/err.h"
#include "common/base/json.h"

/* Checks every field; words that it does not know are passed over. out is filled in as far as it
 * came when it fails. ERR_MALFORMED. */
int state_from_json(const json_t *root, struct state *out, struct err *e);

/* NULL without memory. The caller frees it. */
json_t *state_to_json(const struct state *s);

/* Likewise of the last install alone: what it was to take ("plan_in_place", "plan_zeros",
 * "plan_inactive", "plan_running", "plan_network", "plan_stored", "plan_ranges"), what it took
 * ("in_place", "running", "inactive", "fetched", "written") and its "manifest". */
json_t *state_intake_json(const struct intake_record *record);

#endif
