/* A plan against a fleet that is made up, through plan_membership() and judgement_reach(): how many
 * boxes a bad release touches before it is stopped, and how often a good one is stopped.
 *
 * A box of an open wave starts at a random moment within over_s, and a random part of poll_s later.
 * It fetches and writes for 2 to 10 minutes, reports, and boots; a good one reports success 1 to 3
 * minutes later. A failing one goes back after the plan's deadline, the slowest that it can be; one
 * that bricks is never heard of again. The same seed gives the same outcome everywhere. */
#ifndef SLUICE_SIGNER_SIMULATION_H
#define SLUICE_SIGNER_SIMULATION_H

#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/format/judgement.h"
#include "common/format/plan.h"

/* Another rule than ours, to be played in its place. */
typedef struct judgement simulated_judge(
	const struct plan *p, const struct local_limits *limits, const struct standing *s);

/* The three shares add up to 10000 at most. */
struct simulation {
	uint64_t boxes, poll_s, over_s;
	uint32_t failing_bp, bricking_bp, offline_bp;
	simulated_judge *judge; /* NULL: judgement_reach() */
};

/* Which wave each box is in; owns wave_of. */
struct simulated_fleet {
	uint8_t *wave_of; /* WAVES_MAX: in none */
	uint64_t boxes, in_wave[WAVES_MAX];
};

void simulated_fleet_free(struct simulated_fleet *f);
#define AUTO_SIMULATED_FLEET CLEANUP(simulated_fleet_free)

/* Boxes that the plan would take: those that its waves name first, then "sim-000001" and on.
 * ERR_USAGE where no version satisfies `from` or no box is in a wave. */
int simulated_fleet_make(
	const struct plan *p, uint64_t boxes, struct simulated_fleet *out, struct err *e);

enum simulated_end {
	END_STOPPED,
	END_FINISHED, /* the last wave has passed, and every box that comes is decided */
	END_HELD,
	END_WAITING, /* for boxes that never come */
	END_COUNT,
};

struct simulated_run {
	enum simulated_end end;
	size_t wave; /* the last that was open */
	uint64_t started, seconds;
};

/* ERR_SYSTEM without memory. */
int simulation_run(const struct plan *p, const struct simulated_fleet *f,
	const struct simulation *s, uint64_t seed, struct simulated_run *out, struct err *e);

#endif
