/* Eclipse hawkBit's rule for stopping a rollout, in the simulation that `sluice simulate` plays:
 *
 *   rival PLAN BOXES FAILING_BP BRICKING_BP SEEDS
 *
 * Its error condition of a group (ThresholdRolloutGroupErrorCondition): the errors that its boxes
 * reported, over all boxes of the group, are more than the threshold, here the plan's `failures`.
 * What is silent is no error. Printed as JSON: runs that were stopped, and the median of the boxes
 * that had started by then. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/num.h"
#include "signer/rollout.h"
#include "signer/simulation.h"

enum { POLL_S = 900, OVER_S = 86400, SEEDS_LIMIT = 1000 };

static struct judgement
group_judge(const struct plan *p, const struct local_limits *limits, const struct standing *s)
{
	const struct tally *group = &s->waves[s->open - 1];
	uint64_t errors = group->failed + group->reverted;
	struct judgement j = {.kind = JUDGEMENT_WAIT};

	(void)limits;
	if (errors * 10000 > group->boxes * p->stop.failures_bp)
		j.kind = JUDGEMENT_STOP;
	return j;
}

static int
number_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int
play(const struct plan *p, const struct simulation *s, uint64_t seeds, struct err *e)
{
	AUTO_SIMULATED_FLEET struct simulated_fleet f = {0};
	static uint64_t started[SEEDS_LIMIT];
	struct simulated_run run;
	size_t stopped = 0;

	if (simulated_fleet_make(p, s->boxes, &f, e) < 0)
		return -1;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		if (simulation_run(p, &f, s, seed, &run, e) < 0)
			return -1;
		if (run.end == END_STOPPED)
			started[stopped++] = run.started;
	}
	qsort(started, stopped, sizeof(*started), number_compare);
	(void)printf("{\"stopped\": %zu, \"median\": %llu}\n", stopped,
		(unsigned long long)started[stopped / 2]);
	return 0;
}

static int
run(char **argv, struct err *e)
{
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_PLAN struct plan p = {0};
	struct simulation s = {.poll_s = POLL_S, .over_s = OVER_S, .judge = group_judge};
	uint64_t failing, bricking, seeds;

	if (num_parse(argv[2], 1, SIMULATED_BOXES_MAX, &s.boxes, e) < 0 ||
		num_parse(argv[3], 0, 5000, &failing, e) < 0 ||
		num_parse(argv[4], 0, 5000, &bricking, e) < 0 ||
		num_parse(argv[5], 1, SEEDS_LIMIT, &seeds, e) < 0 ||
		rollout_load(argv[1], &r, e) < 0 || rollout_plan(&r, NULL, &p, e) < 0)
		return -1;
	s.failing_bp = (uint32_t)failing;
	s.bricking_bp = (uint32_t)bricking;
	return play(&p, &s, seeds, e);
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;

	if (argc == 6 && run(argv, &e) == 0)
		return 0;
	(void)fprintf(stderr, "rival: %s\n",
		argc == 6 ? e.text : "PLAN BOXES FAILING_BP BRICKING_BP SEEDS expected");
	return 1;
}
