/* Whom a plan is for: boxes of the fleet, or of an inventory, by wave, and why the others are in
 * none. */
#ifndef SLUICE_SIGNER_AUDIENCE_H
#define SLUICE_SIGNER_AUDIENCE_H

#include <stdint.h>

#include "common/format/plan.h"
#include "signer/fleet.h"

struct audience {
	uint64_t boxes;		     /* asked: all but those below */
	uint64_t revoked, elsewhere; /* elsewhere: a box says that it follows another plan */
	uint64_t in_wave[WAVES_MAX], left_out[MEMBERSHIPS];
	uint64_t in_none;
};

/* Whether the plan asks this box at all: it is not revoked, and follows no other plan. */
bool audience_asks(const struct plan *p, const struct fleet_member *m);

void audience_add(const struct plan *p, const struct fleet_member *m, struct audience *a);

/* Where boxes are looked up: an inventory's path, or a fleet. */
struct boxes {
	const char *inventory; /* or NULL */
	struct fleet *fleet;   /* or NULL */
};

/* As fleet_each_box. */
int boxes_each(const struct boxes *b,
	int (*each)(void *arg, const struct fleet_member *m, struct err *e), void *arg,
	struct err *e);

/* Counts them all. Memory does not grow with their number, but for an inventory's names (11 to 22
 * bytes each). */
int audience_count(
	const struct boxes *b, const struct plan *p, struct audience *out, struct err *e);

#endif
