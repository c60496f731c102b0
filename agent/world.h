/* The world as signed metadata has it, at one poll: all that is decided from. */
#ifndef SLUICE_AGENT_WORLD_H
#define SLUICE_AGENT_WORLD_H

#include <stdbool.h>

#include "common/base/cleanup.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/format/gate.h"
#include "common/format/listing.h"
#include "common/format/plan.h"
#include "common/limits.h"

/* Every document here was verified. has_* false: signed metadata lists no such document. */
struct world {
	char gate_path[TUF_PATH_MAX + 1]; /* of the plan that this box follows */

	bool has_plan;
	struct plan plan;
	struct digest plan_sha256;
	json_t *plan_resumes; /* ids of stops, or NULL; owned */

	bool has_gate, has_all;
	struct gate gate, all;
	json_t *all_resumes; /* or NULL; owned */

	bool has_bundle; /* the plan's bundle is released, with the length and digest it names */
	struct listing listing;
	char *bundle_url; /* below the target URL; owned */
};

void world_free(struct world **w);
#define AUTO_WORLD CLEANUP(world_free)

/* An empty one for a box that follows this plan ("rollouts/stable.json", or NULL). It is large.
 * NULL without memory. */
struct world *world_new(const char *plan_path);

/* "rollouts/stable.json" gives "gates/stable.json", NULL "". */
void gate_path_of(const char *plan_path, char out[TUF_PATH_MAX + 1]);

#endif
