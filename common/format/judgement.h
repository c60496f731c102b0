/* What the reports of a wave mean: the one evaluator, for the watch and for the simulator.
 *
 * Pure: counts and times in, a judgement out. All comparisons are of whole numbers, so that two
 * hosts never differ; no share is ever rounded before it is compared.
 *
 * Decided = ok + failed + reverted + overdue. What is inconclusive counts as nothing, and a box
 * that was never seen counts against coverage only. */
#ifndef SLUICE_FORMAT_JUDGEMENT_H
#define SLUICE_FORMAT_JUDGEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/format/plan.h"

/* The boxes of one wave; those of all waves together are up to TALLY_MAX. */
struct tally {
	uint64_t boxes; /* in the wave, as the plan has it */
	uint64_t seen;	/* heard of since the wave was opened */
	uint64_t started;
	uint64_t ok, failed, reverted, overdue; /* each box in one of these at most */
	uint64_t inconclusive;
};

uint64_t tally_bad(const struct tally *t);
uint64_t tally_decided(const struct tally *t);

/* What a host's own configuration says, which no plan can raise. 0: it says nothing. */
struct local_limits {
	uint64_t soak_min_s;
	uint64_t first_wave_max; /* boxes; behind a larger first wave no other opens by itself */
};

/* Where a rollout stands. */
struct standing {
	const struct tally *waves; /* those that are open, in the plan's order */
	/* Of each of them what a person has accepted by resuming: counts as they were then, which
	 * the search for a stop leaves out. NULL: nothing. */
	const struct tally *accepted;
	size_t open;	      /* how many, from 1 to the plan's; the last is the one judged */
	int64_t good_since_s; /* what the judgement before this one said, or 0 */
	int64_t now_s;	      /* by any clock: that of the judgement before */
};

enum judgement_kind {
	JUDGEMENT_WAIT, /* not enough is known */
	JUDGEMENT_SOAK, /* good so far: watched until until_s */
	JUDGEMENT_PASS, /* the next wave may open */
	JUDGEMENT_HOLD, /* never onward: known and not good enough, or this host may not */
	JUDGEMENT_STOP,
};

enum { JUDGEMENT_REASON_SIZE = 320 };

struct judgement {
	enum judgement_kind kind;
	int64_t good_since_s; /* for the next standing; 0 where the wave is not good, so that a wave
				 that gets worse soaks anew */
	int64_t until_s;      /* JUDGEMENT_SOAK only */
	char reason[JUDGEMENT_REASON_SIZE]; /* in words and numbers */
};

/* A stop is looked for in each open wave and in all of them together: a wave alone would be blind
 * to failures that drip from several, and the sum to a wave of failing boxes behind many good
 * ones. Stragglers of a wave that has passed count in both. What was accepted still counts against
 * going on: it only stops nobody again. */
struct judgement judgement_reach(
	const struct plan *p, const struct local_limits *limits, const struct standing *s);

/* Whether a box that was seen starting, undecided, and has been silent for so long is overdue. The
 * caller leaves out time in which nobody could have been heard. */
bool judgement_overdue(const struct plan *p, uint64_t silent_s);

/* Whether bad of decided boxes show, at z = 2.326 (99%, one-sided), that more than share_bp
 * fail: the Wilson lower bound of bad / decided exceeds it. Exact. */
bool wilson_exceeds(uint64_t bad, uint64_t decided, uint32_t share_bp);

/* The fewest boxes that, all of them well, show at that z that more than share_bp are: 266 for 98%.
 * 0 where no number does: of everything. */
uint64_t wilson_sample(uint32_t share_bp);

/* That bound itself in millionths, rounded to the nearest: for people. */
uint32_t wilson_lower_ppm(uint64_t bad, uint64_t decided);

/* "wait", "soak", "pass", "hold", "stop". */
const char *judgement_name(enum judgement_kind kind);

#endif
