#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/num.h"
#include "signer/command.h"
#include "signer/doctor.h"
#include "signer/overview.h"
#include "signer/ui.h"
#include "signer/workspace.h"

enum { BAR_CELLS = 30, LOOK_EVERY_MS = 2000, NAMES_SHOWN = 12 };

static const char help[] =
	"usage: sluice status [--watch] [--json] [-w DIR]\n"
	"\n"
	"What is rolled out and how far it has got, by what boxes have said: a bar for\n"
	"each wave (# well, x gone wrong, + under way, . not heard of yet), stops and how\n"
	"many boxes have taken them, versions in the field, failures by their reason,\n"
	"boxes that are offline, and what expires next. `sluice watch` keeps the counts.\n"
	"\n"
	"  --watch   again every two seconds, until it is interrupted\n"
	"  --json    for programs\n"
	"\n"
	"example: sluice status -w /srv/fleet\n";

static uint64_t
number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static const char *
text(const json_t *object, const char *key)
{
	const char *t = json_text(object, key);

	return t ? t : "";
}

/* Of what is there at all something is seen. */
static size_t
cells(uint64_t part, uint64_t all, size_t left)
{
	uint64_t n = all ? part * BAR_CELLS / all : 0;

	if (part > 0 && n == 0)
		n = 1;
	return (size_t)num_min(n, left);
}

static void
bar_make(const json_t *wave, char out[BAR_CELLS + 1])
{
	const uint64_t all = number(wave, "boxes"), ok = number(wave, "ok"),
		       bad = number(wave, "failed") + number(wave, "reverted") +
			     number(wave, "overdue"),
		       decided = num_min(ok + bad, number(wave, "started")),
		       parts[] = {bad, ok, number(wave, "started") - decided};
	static const char marks[] = "x#+";
	size_t at = 0;

	memset(out, '.', BAR_CELLS);
	out[BAR_CELLS] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t n = cells(parts[i], all, BAR_CELLS - at);

		memset(out + at, marks[i], n);
		at += n;
	}
}

static void
wave_print(const json_t *wave)
{
	char bar[BAR_CELLS + 1];

	(void)printf("  %-12.24s %-4s", text(wave, "name"),
		json_is_true(json_object_get(wave, "open")) ? "open" : "shut");
	if (!json_object_get(wave, "boxes")) {
		(void)putchar('\n');
		return;
	}
	bar_make(wave, bar);
	(void)printf(" [%s] %llu of %llu well", bar, (unsigned long long)number(wave, "ok"),
		(unsigned long long)number(wave, "boxes"));
	for (size_t i = 0; i < 4; i++) {
		static const char *const counts[] = {
			"failed", "reverted", "overdue", "inconclusive"};

		if (number(wave, counts[i]) > 0)
			(void)printf(", %llu %s", (unsigned long long)number(wave, counts[i]),
				counts[i]);
	}
	(void)putchar('\n');
}

static void
stops_print(const json_t *gate)
{
	const json_t *stop;
	size_t i;

	json_array_foreach (json_object_get(gate, "stops"), i, stop)
		(void)printf("  STOPPED %s at %s: %s\n    %llu of %llu boxes have acknowledged\n",
			text(stop, "id"), text(stop, "at"), text(stop, "reason"),
			(unsigned long long)number(stop, "taken"),
			(unsigned long long)number(stop, "boxes"));
	if (json_is_true(json_object_get(gate, "paused")))
		(void)printf("  paused: no box starts\n");
}

/* What a person has to do for a plan that no gate opens. */
static void
loose_print(const json_t *rollout)
{
	const json_t *first = json_array_get(json_object_get(rollout, "waves"), 0);

	if (*text(rollout, "loose") && first)
		(void)printf("  no box starts: %s; sluice gate open %s %s --key K\n",
			text(rollout, "loose"), text(rollout, "name"), text(first, "name"));
}

static void
before_print(const json_t *before)
{
	const json_t *wave;
	size_t i;

	if (!before)
		return;
	(void)printf("  until now, by version %llu (%s):\n",
		(unsigned long long)number(before, "version"), text(before, "rollout"));
	json_array_foreach (json_object_get(before, "waves"), i, wave)
		wave_print(wave);
}

static void
rollouts_print(const json_t *doc)
{
	const json_t *all = json_object_get(doc, "all"), *r, *wave;
	size_t i, k;

	if (*text(doc, "problem"))
		(void)printf("problem: %s\n", text(doc, "problem"));
	if (json_array_size(json_object_get(all, "stops")) > 0 ||
		json_is_true(json_object_get(all, "paused"))) {
		(void)printf("every box\n");
		stops_print(all);
	}
	json_array_foreach (json_object_get(doc, "rollouts"), i, r) {
		(void)printf("%s: %s, version %llu\n", text(r, "name"), text(r, "rollout"),
			(unsigned long long)number(r, "version"));
		if (*text(r, "problem"))
			(void)printf("  problem: %s\n", text(r, "problem"));
		stops_print(r);
		loose_print(r);
		json_array_foreach (json_object_get(r, "waves"), k, wave)
			wave_print(wave);
		before_print(json_object_get(r, "before"));
	}
	if (json_array_size(json_object_get(doc, "rollouts")) == 0)
		(void)printf("nothing is rolled out\n");
	json_array_foreach (json_object_get(doc, "withdrawn"), i, r)
		(void)printf("%s: withdrawn; no box goes by it\n", json_string_value(r));
	json_array_foreach (json_object_get(doc, "planless"), i, r) {
		(void)printf("%s: no plan is known here, and stops of its gate stand\n",
			text(r, "name"));
		stops_print(r);
	}
}

static void
counts_print(const json_t *doc, const char *key, const char *title, const char *unknown)
{
	const json_t *list = json_object_get(doc, key), *row;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	(void)printf("%s:", title);
	json_array_foreach (list, i, row) {
		if (i == NAMES_SHOWN)
			break;
		(void)printf("%s %s %llu", i ? "," : "",
			*text(row, "what") ? text(row, "what") : unknown,
			(unsigned long long)number(row, "boxes"));
	}
	(void)printf("%s\n", json_array_size(list) > NAMES_SHOWN ? ", ..." : "");
}

static void
boxes_print(const json_t *doc)
{
	const json_t *boxes = json_object_get(doc, "boxes"), *spool = json_object_get(doc, "spool");
	char span[DOCTOR_SPAN_SIZE];

	(void)printf("boxes: %llu; %llu were never heard of, %llu are offline (silent for %s)\n",
		(unsigned long long)number(boxes, "count"),
		(unsigned long long)number(boxes, "never"),
		(unsigned long long)number(boxes, "offline"),
		doctor_span((int64_t)number(boxes, "offline_after_s"), span));
	counts_print(doc, "states", "states", "(never heard of)");
	counts_print(doc, "versions", "versions", "(not known)");
	counts_print(doc, "failures", "last failed", "(not known)");
	counts_print(doc, "audits", "installed software authentic", "");
	(void)printf("reports: %llu", (unsigned long long)number(spool, "reports"));
	if (number(spool, "aside") + number(spool, "clashes") > 0)
		(void)printf("; %llu files were set aside in spool/aside/, %llu reports clashed",
			(unsigned long long)number(spool, "aside"),
			(unsigned long long)number(spool, "clashes"));
	(void)putchar('\n');
}

static void
crl_print(const json_t *doc)
{
	if (number(doc, "crl_unread") > 0)
		(void)printf("CRL %llu is not read by the web server yet: `reload` failed, and "
			     "whom it revokes is believed; `sluice watch` tries again\n",
			(unsigned long long)number(doc, "crl_unread"));
}

static void
expiries_print(const json_t *doc)
{
	const json_t *row;
	size_t i;
	bool said = false;

	json_array_foreach (json_object_get(doc, "expiries"), i, row) {
		if (strcmp(text(row, "state"), "ok") == 0)
			continue;
		(void)printf("%s%s %s at %s: %s\n", said ? "  " : "what expires:\n  ",
			text(row, "name"), text(row, "state"), text(row, "expires"),
			text(row, "do"));
		said = true;
	}
}

static int
status_print(const struct workspace *w, bool json, bool clear, struct err *e)
{
	AUTO_JSON json_t *doc = NULL;

	if (overview_read(w, &doc, e) < 0)
		return -1;
	if (json)
		return ui_json_print(doc, e);
	if (clear)
		(void)printf("\033[H\033[2J%s\n", text(doc, "at"));
	rollouts_print(doc);
	boxes_print(doc);
	crl_print(doc);
	expiries_print(doc);
	return 0;
}

static int
run(int argc, char **argv, struct err *e)
{
	enum { WATCH = 1, JSON };
	static const struct option known[] = {{"watch", no_argument, NULL, WATCH},
		{"json", no_argument, NULL, JSON}, {NULL, 0, NULL, 0}};
	AUTO_WORKSPACE struct workspace w = {0};
	const char *dir = NULL;
	bool watch = false, json = false;
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, "w:", known, NULL)) != -1) {
		if (option == '?')
			return err_set(e, ERR_USAGE, "see `sluice status --help`");
		watch = watch || option == WATCH;
		json = json || option == JSON;
		dir = option == 'w' ? optarg : dir;
	}
	if (optind < argc)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	if (workspace_open(dir, &w, e) < 0)
		return -1;
	while (status_print(&w, json, watch && isatty(STDOUT_FILENO), e) == 0) {
		if (!watch || fflush(stdout) != 0)
			return 0;
		clock_sleep_ms(LOOK_EVERY_MS);
	}
	return -1;
}

const struct command cmd_status = {
	.name = "status",
	.summary = "rollouts and boxes, now",
	.help = help,
	.run = run,
};
