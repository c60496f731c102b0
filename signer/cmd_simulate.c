#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/num.h"
#include "signer/command.h"
#include "signer/rollout.h"
#include "signer/simulation.h"
#include "signer/ui.h"

enum { SPAN_TEXT_SIZE = 32 };

enum {
	OPT_BOXES = 1,
	OPT_FAILING,
	OPT_BRICKING,
	OPT_OFFLINE,
	OPT_POLL,
	OPT_OVER,
	OPT_SEEDS,
	OPT_JSON
};

static const char help[] =
	"usage: sluice simulate FILE [--boxes N] [--failing P%] [--bricking P%]\n"
	"           [--offline P%] [--over TIME] [--poll TIME] [--seeds N] [--json]\n"
	"\n"
	"Plays a plan against made-up boxes, through the judgement that the real ones\n"
	"get: how many have started when a bad release is stopped, how long a good one\n"
	"takes, and how often it is stopped by mistake. The same seeds give the same\n"
	"figures. Nothing is signed, and no workspace is needed.\n"
	"\n"
	"  --boxes N       boxes that the plan would take; 1000\n"
	"  --failing P%    go back to the old system, after the plan's deadline; 0%\n"
	"  --bricking P%   start, and are never heard of again; 0%\n"
	"  --offline P%    never come; 0%\n"
	"  --over TIME     boxes of a wave turn up spread over this time; 24h\n"
	"  --poll TIME     and then ask within this time; 15m\n"
	"  --seeds N       how often it is played, with seeds from 1 to N; 60\n"
	"  --json          for programs\n"
	"\n"
	"example:  sluice simulate manifests/rollouts/stable.yaml --failing 10%\n";

struct simulate_options {
	struct simulation settings;
	uint64_t seeds;
	bool json;
	const char *file;
};

/* What all runs came to. */
struct summary {
	uint64_t ends[END_COUNT], stopped_in[WAVES_MAX];
	/* Of each run that was stopped, and seconds of each that finished; sorted. */
	uint64_t *started, *stopped_s, *finished_s;
};

static int
option_take(struct simulate_options *o, int option, struct err *e)
{
	switch (option) {
	case OPT_BOXES:
		return num_parse(optarg, 1, SIMULATED_BOXES_MAX, &o->settings.boxes, e);
	case OPT_FAILING:
		return num_parse_percent(optarg, &o->settings.failing_bp, e);
	case OPT_BRICKING:
		return num_parse_percent(optarg, &o->settings.bricking_bp, e);
	case OPT_OFFLINE:
		return num_parse_percent(optarg, &o->settings.offline_bp, e);
	case OPT_POLL:
		return num_parse_duration(optarg, PLAN_SPAN_MAX_S, &o->settings.poll_s, e);
	case OPT_OVER:
		return num_parse_duration(optarg, PLAN_SPAN_MAX_S, &o->settings.over_s, e);
	case OPT_SEEDS:
		return num_parse(optarg, 1, SEEDS_MAX, &o->seeds, e);
	case OPT_JSON:
		o->json = true;
		return 0;
	default:
		return err_set(e, ERR_USAGE, "it is not known, or lacks its value");
	}
}

/* Whatever is wrong with an option is wrong with the command line. */
static int
options_loop(int argc, char **argv, struct simulate_options *o, struct err *e)
{
	static const struct option known[] = {{"boxes", required_argument, NULL, OPT_BOXES},
		{"failing", required_argument, NULL, OPT_FAILING},
		{"bricking", required_argument, NULL, OPT_BRICKING},
		{"offline", required_argument, NULL, OPT_OFFLINE},
		{"poll", required_argument, NULL, OPT_POLL},
		{"over", required_argument, NULL, OPT_OVER},
		{"seeds", required_argument, NULL, OPT_SEEDS},
		{"json", no_argument, NULL, OPT_JSON}, {0}};
	struct err why = ERR_INIT;
	int option, index = 0;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, "", known, &index)) != -1) {
		if (option_take(o, option, &why) < 0)
			return err_set(e, ERR_USAGE, "%s%s: %s; see `sluice simulate --help`",
				option == '?' ? "" : "--",
				option == '?' ? argv[optind - 1] : known[index].name, why.text);
	}
	return 0;
}

static int
options_read(int argc, char **argv, struct simulate_options *o, struct err *e)
{
	const struct simulation *s = &o->settings;

	if (options_loop(argc, argv, o, e) < 0)
		return -1;
	if (argc - optind != 1)
		return err_set(
			e, ERR_USAGE, "one plan's file expected; see `sluice simulate --help`");
	if (s->failing_bp + s->bricking_bp + s->offline_bp > 10000)
		return err_set(e, ERR_USAGE,
			"--failing, --bricking and --offline are over 100%% together");
	o->file = argv[optind];
	return 0;
}

static void
summary_free(struct summary *s)
{
	free(s->started);
	free(s->stopped_s);
	free(s->finished_s);
}
#define AUTO_SUMMARY CLEANUP(summary_free)

static int
number_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
summary_add(struct summary *s, const struct simulated_run *run)
{
	uint64_t at = s->ends[run->end]++;

	if (run->end == END_FINISHED)
		s->finished_s[at] = run->seconds;
	if (run->end != END_STOPPED)
		return;
	s->stopped_in[run->wave]++;
	s->started[at] = run->started;
	s->stopped_s[at] = run->seconds;
}

static int
summary_make(const struct plan *p, const struct simulated_fleet *f,
	const struct simulate_options *o, struct summary *s, struct err *e)
{
	struct simulated_run run;

	s->started = calloc(o->seeds, sizeof(*s->started));
	s->stopped_s = calloc(o->seeds, sizeof(*s->stopped_s));
	s->finished_s = calloc(o->seeds, sizeof(*s->finished_s));
	if (!s->started || !s->stopped_s || !s->finished_s)
		return err_sys(e, ENOMEM, "%llu seeds", (unsigned long long)o->seeds);
	for (uint64_t seed = 1; seed <= o->seeds; seed++) {
		if (simulation_run(p, f, &o->settings, seed, &run, e) < 0)
			return -1;
		summary_add(s, &run);
	}
	qsort(s->started, s->ends[END_STOPPED], sizeof(*s->started), number_compare);
	qsort(s->stopped_s, s->ends[END_STOPPED], sizeof(*s->stopped_s), number_compare);
	qsort(s->finished_s, s->ends[END_FINISHED], sizeof(*s->finished_s), number_compare);
	return 0;
}

/* Of an even number of runs the worse of the two in the middle. */
static uint64_t
median_of(const uint64_t *sorted, uint64_t count)
{
	return count ? sorted[count / 2] : 0;
}

static uint64_t
max_of(const uint64_t *sorted, uint64_t count)
{
	return count ? sorted[count - 1] : 0;
}

/* Boxes that fail are no more than the plan puts up with: a stop is a mistake then. */
static bool
release_is_good(const struct plan *p, const struct simulation *s)
{
	return s->failing_bp + s->bricking_bp <= p->stop.failures_bp;
}

static const char *
span_text(uint64_t s, char out[SPAN_TEXT_SIZE])
{
	(void)snprintf(out, SPAN_TEXT_SIZE, "%lluh %02um", (unsigned long long)(s / 3600),
		(unsigned)(s % 3600 / 60));
	return out;
}

static void
waves_print(const struct plan *p, const struct simulated_fleet *f, const struct summary *s)
{
	for (size_t i = 0; i < p->wave_count; i++) {
		(void)printf("  wave %-16s %llu boxes", p->waves[i].name,
			(unsigned long long)f->in_wave[i]);
		if (s->stopped_in[i])
			(void)printf(
				"; stopped here %llu times", (unsigned long long)s->stopped_in[i]);
		(void)printf("\n");
	}
}

static void
summary_print(const struct plan *p, const struct simulated_fleet *f,
	const struct simulate_options *o, const struct summary *s)
{
	uint64_t stopped = s->ends[END_STOPPED], finished = s->ends[END_FINISHED];
	char median[SPAN_TEXT_SIZE], max[SPAN_TEXT_SIZE];

	(void)printf("%s: %llu boxes, %llu runs\n", p->rollout, (unsigned long long)f->boxes,
		(unsigned long long)o->seeds);
	waves_print(p, f, s);
	(void)printf("stopped%s %llu\n", release_is_good(p, &o->settings) ? " by mistake" : "",
		(unsigned long long)stopped);
	if (stopped) {
		(void)printf("  boxes started  median %llu, at most %llu\n",
			(unsigned long long)median_of(s->started, stopped),
			(unsigned long long)max_of(s->started, stopped));
		(void)printf("  after          median %s, at most %s\n",
			span_text(median_of(s->stopped_s, stopped), median),
			span_text(max_of(s->stopped_s, stopped), max));
	}
	(void)printf("finished %llu\n", (unsigned long long)finished);
	if (finished)
		(void)printf("  after          median %s, at most %s\n",
			span_text(median_of(s->finished_s, finished), median),
			span_text(max_of(s->finished_s, finished), max));
	(void)printf("held %llu\nstill waiting for boxes %llu\n",
		(unsigned long long)s->ends[END_HELD], (unsigned long long)s->ends[END_WAITING]);
}

static json_t *
spread_json(const uint64_t *sorted, uint64_t count)
{
	return json_pack("{s:I, s:I}", "median", (json_int_t)median_of(sorted, count), "max",
		(json_int_t)max_of(sorted, count));
}

static json_t *
waves_json(const struct plan *p, const struct simulated_fleet *f, const struct summary *s)
{
	json_t *waves = json_array();

	for (size_t i = 0; i < p->wave_count; i++)
		(void)json_array_append_new(
			waves, json_pack("{s:s, s:I, s:I}", "name", p->waves[i].name, "boxes",
				       (json_int_t)f->in_wave[i], "stopped",
				       (json_int_t)s->stopped_in[i]));
	return waves;
}

static int
summary_print_json(const struct plan *p, const struct simulated_fleet *f,
	const struct simulate_options *o, const struct summary *s, struct err *e)
{
	uint64_t stopped = s->ends[END_STOPPED];
	AUTO_JSON json_t *j = json_pack("{s:s, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:o, s:o, s:o, "
					"s:o}",
		"rollout", p->rollout, "boxes", (json_int_t)f->boxes, "runs", (json_int_t)o->seeds,
		"good_release", release_is_good(p, &o->settings), "stopped", (json_int_t)stopped,
		"finished", (json_int_t)s->ends[END_FINISHED], "held",
		(json_int_t)s->ends[END_HELD], "waiting", (json_int_t)s->ends[END_WAITING],
		"started", spread_json(s->started, stopped), "stopped_s",
		spread_json(s->stopped_s, stopped), "finished_s",
		spread_json(s->finished_s, s->ends[END_FINISHED]), "waves", waves_json(p, f, s));

	if (!j)
		return err_sys(e, ENOMEM, "%s", p->rollout);
	return ui_json_print(j, e);
}

static int
run(int argc, char **argv, struct err *e)
{
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_PLAN struct plan plan = {0};
	AUTO_SIMULATED_FLEET struct simulated_fleet fleet = {0};
	AUTO_SUMMARY struct summary summary = {0};
	struct simulate_options o = {
		.settings = {.boxes = 1000, .poll_s = 900, .over_s = 86400}, .seeds = 60};

	if (options_read(argc, argv, &o, e) < 0 || rollout_load(o.file, &r, e) < 0 ||
		rollout_plan(&r, NULL, &plan, e) < 0 ||
		simulated_fleet_make(&plan, o.settings.boxes, &fleet, e) < 0 ||
		summary_make(&plan, &fleet, &o, &summary, e) < 0)
		return -1;
	if (o.json)
		return summary_print_json(&plan, &fleet, &o, &summary, e);
	summary_print(&plan, &fleet, &o, &summary);
	return 0;
}

const struct command cmd_simulate = {
	.name = "simulate",
	.summary = "a plan on a made-up fleet",
	.help = help,
	.run = run,
};
