#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "signer/command.h"
#include "signer/fleet.h"
#include "signer/ledger.h"
#include "signer/workspace.h"

static const char help[] =
	"usage: sluice boxes [--offline TIME] [--state STATE] [--version V]\n"
	"           [--authentic WORD] [--revoked] [--csv] [-w DIR]\n"
	"\n"
	"Lists boxes by what they last said: state, how their last update ended, the\n"
	"version that they run, when they were heard of. All conditions have to hold.\n"
	"\n"
	"  --offline TIME   not heard of for so long, or never\n"
	"  --state STATE    idle, starting, installed, unconfirmed, confirmed, held; or\n"
	"                   how the last update ended: ok, failed, reverted,\n"
	"                   inconclusive, stopped\n"
	"  --version V      that run this one\n"
	"  --authentic WORD whose audit said so: yes, no, unknown\n"
	"  --revoked        those that were revoked, which are left out else\n"
	"  --csv            name,compatible,state,outcome,class,version,heard,plan,tags,\n"
	"                   authentic\n"
	"\n"
	"example: sluice boxes --offline 1h\n"
	"         sluice boxes --state failed --csv > failed.csv\n";

struct boxes_options {
	const char *workspace;
	struct ledger_filter filter;
	bool csv;
};

static int
state_choose(const char *word, struct ledger_filter *f, struct err *e)
{
	enum box_state state;
	enum outcome outcome;

	if (box_state_of(word, &state)) {
		f->state = word;
		return 0;
	}
	if (outcome_of(word, &outcome) && outcome != OUTCOME_NONE) {
		f->outcome = word;
		return 0;
	}
	return err_set(e, ERR_USAGE, "--state: '%.32s' is none; see `sluice boxes --help`", word);
}

static int
offline_choose(const char *word, struct ledger_filter *f, struct err *e)
{
	uint64_t span_s;

	if (num_parse_duration(word, ASKED_SPAN_MAX_S, &span_s, NULL) < 0)
		return err_set(
			e, ERR_USAGE, "--offline: a time like 1h expected, not '%.32s'", word);
	f->silent_since_s = clock_wall_s() - (int64_t)span_s;
	return 0;
}

static int
authentic_choose(const char *word, struct ledger_filter *f, struct err *e)
{
	static const enum authentic words[] = {AUTHENTIC_YES, AUTHENTIC_NO, AUTHENTIC_UNKNOWN};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(word, authentic_name(words[i])) == 0) {
			f->authentic = word;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, "--authentic: yes, no or unknown expected, not '%.32s'", word);
}

static int
options_read(int argc, char **argv, struct boxes_options *o, struct err *e)
{
	enum { OFFLINE = 1, STATE, VERSION, AUTHENTIC, REVOKED, CSV };
	static const struct option known[] = {{"offline", required_argument, NULL, OFFLINE},
		{"state", required_argument, NULL, STATE},
		{"version", required_argument, NULL, VERSION},
		{"authentic", required_argument, NULL, AUTHENTIC},
		{"revoked", no_argument, NULL, REVOKED}, {"csv", no_argument, NULL, CSV},
		{NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, "w:", known, NULL)) != -1) {
		if (option == '?')
			return err_set(e, ERR_USAGE, "see `sluice boxes --help`");
		if ((option == STATE && state_choose(optarg, &o->filter, e) < 0) ||
			(option == OFFLINE && offline_choose(optarg, &o->filter, e) < 0) ||
			(option == AUTHENTIC && authentic_choose(optarg, &o->filter, e) < 0))
			return -1;
		if (option == VERSION)
			o->filter.version = optarg;
		o->filter.revoked = o->filter.revoked || option == REVOKED;
		o->csv = o->csv || option == CSV;
		o->workspace = option == 'w' ? optarg : o->workspace;
	}
	if (optind < argc)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	return 0;
}

/* RFC 4180. */
static void
csv_put(const char *field, bool last)
{
	if (!strpbrk(field, "\",\r\n")) {
		(void)printf("%s%s", field, last ? "\n" : ",");
		return;
	}
	(void)putchar('"');
	for (const char *c = field; *c; c++)
		(void)printf("%s%c", *c == '"' ? "\"" : "", *c);
	(void)printf("\"%s", last ? "\n" : ",");
}

static int
csv_row(void *arg, const struct ledger_box *b, struct err *e)
{
	char at[CLOCK_TEXT_SIZE] = "";
	const char *const fields[] = {b->name, b->compatible, b->state, b->outcome, b->class_,
		b->version, at, b->plan, b->tags, b->authentic};

	(void)arg;
	(void)e;
	if (b->seq > 0)
		(void)clock_format(b->heard_s, at);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		csv_put(fields[i], i + 1 == ARRAY_LEN(fields));
	return 0;
}

static int
row(void *arg, const struct ledger_box *b, struct err *e)
{
	char at[CLOCK_TEXT_SIZE] = "never heard of";
	uint64_t *count = arg;

	(void)e;
	if (b->seq > 0)
		(void)clock_format(b->heard_s, at);
	if ((*count)++ == 0)
		(void)printf("%-24s %-12s %-13s %-14s %s\n", "box", "state", "last update",
			"version", "heard");
	(void)printf("%-24s %-12s %-13s %-14s %s%s%s\n", b->name, b->state, b->outcome, b->version,
		at, *b->stops ? "  STOPPED" : "",
		strcmp(b->authentic, "no") == 0 ? "  NOT AUTHENTIC" : "");
	return 0;
}

static int
run(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_FLEET struct fleet *f = NULL;
	struct boxes_options o = {0};
	uint64_t count = 0;

	if (options_read(argc, argv, &o, e) < 0 || workspace_open(o.workspace, &w, e) < 0 ||
		fleet_open_read(&w, &f, e) < 0)
		return -1;
	if (o.csv) {
		(void)printf(
			"name,compatible,state,outcome,class,version,heard,plan,tags,authentic\n");
		return ledger_each_box(f, &o.filter, csv_row, NULL, e);
	}
	if (ledger_each_box(f, &o.filter, row, &count, e) < 0)
		return -1;
	(void)printf("%" PRIu64 " boxes\n", count);
	return 0;
}

const struct command cmd_boxes = {
	.name = "boxes",
	.summary = "list them, by what they said",
	.help = help,
	.run = run,
};
