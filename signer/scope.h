/* Plans and gates as role metadata lists them: which role speaks for a path, and what it says. */
#ifndef SLUICE_SIGNER_SCOPE_H
#define SLUICE_SIGNER_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/format/gate.h"
#include "common/format/plan.h"
#include "signer/metadata.h"
#include "signer/workspace.h"

/* Loads the role that boxes ask about a target path: the first delegation that covers it. wanted
 * (or NULL) has to be a role that they come to. ERR_REFUSED when nobody may speak for the path, or
 * boxes would never ask the wanted role. */
int scope_role(const struct workspace *w, const char *path, const char *wanted,
	struct metadata *out, struct err *e);

/* Calls each() for every target under a folder ("gates") that some role lists and speaks for. m and
 * path live until each() returns. Who reads what others signed holds nobody up: a role that cannot
 * be loaded is passed over, and of one for which each() fails the rest; that is the error once all
 * others had their turn. */
int scope_every(const struct workspace *w, const char *folder,
	int (*each)(void *arg, const struct metadata *m, const char *path, struct err *e),
	void *arg, struct err *e);

/* Length and SHA-256 of a TARGETS entry. */
int scope_entry(const json_t *entry, uint64_t *length, struct digest *sha256, struct err *e);

/* The stop ids that an entry's custom lifts, borrowed; NULL where there are none. */
const json_t *scope_resumes(const json_t *entry);

/* "rollouts/NAME.json" into out. ERR_USAGE for what cannot be a plan's name; "all" is let through.
 */
int scope_path(const char *folder, const char *name, char out[TUF_PATH_MAX + 1], struct err *e);

/* The plan of that name and the role that lists it. listed false: boxes find none. It has never
 * been published, and only the role is filled in; or it is withdrawn, and all is there that was. */
struct scope_plan {
	struct metadata role;
	bool listed, withdrawn;
	struct plan plan;
	struct digest sha256;
	const json_t *entry; /* borrowed from role, until that is changed */
};
void scope_plan_free(struct scope_plan *p);
#define AUTO_SCOPE_PLAN CLEANUP(scope_plan_free)
int scope_plan_load(const struct workspace *w, const char *name, const char *wanted,
	struct scope_plan *out, struct err *e);

/* The gate of that name. Not listed: role and gate.path are filled in. */
struct scope_gate {
	struct metadata role;
	bool listed;
	struct gate gate;
};
void scope_gate_free(struct scope_gate *g);
#define AUTO_SCOPE_GATE CLEANUP(scope_gate_free)
int scope_gate_load(const struct workspace *w, const char *name, const char *wanted,
	struct scope_gate *out, struct err *e);

/* Reads one gate that m lists. */
int scope_gate_read(const struct workspace *w, const struct metadata *m, const char *path,
	struct gate *out, struct err *e);

/* Stages the gate and lists it in its role, to be signed. Unless wanted by other means, sees to it
 * that the same role lists gates/all.json where it speaks for that: without it every box is shut.
 */
int scope_gate_put(const struct workspace *w, struct scope_gate *g, struct err *e);

/* Lists rollouts/all.json in m where m speaks for it and does not list it yet: resumes of stops for
 * all are written there. */
int scope_all_put(const struct workspace *w, struct metadata *m, struct err *e);

/* Lists a target again with these custom words (borrowed). */
int scope_custom_put(struct metadata *m, const char *path, json_t *custom, struct err *e);

/* Makes a gate speak of p: its binding is replaced, and its waves are shut, unless it binds p
 * already. Stops and pause stay. */
void scope_gate_bind(struct gate *g, const struct scope_plan *p);

#endif
