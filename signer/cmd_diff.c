#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/num.h"
#include "signer/command.h"
#include "signer/diff.h"
#include "signer/diff_print.h"
#include "signer/threads.h"

enum { TOP_PRESET = 10 };

struct diff_options {
	struct diff_job job;
	size_t top; /* files shown of a payload */
	bool json;
};

static int
top_parse(const char *text, size_t *out, struct err *e)
{
	uint64_t n;

	if (num_parse(text, 0, INT32_MAX, &n, e) < 0) {
		(void)err_context(e, "--top");
		e->class = ERR_USAGE;
		return -1;
	}
	*out = (size_t)n;
	return 0;
}

static int
option_take(int option, const char *value, struct diff_options *o, struct err *e)
{
	switch (option) {
	case 'j':
		o->json = true;
		return 0;
	case 'd':
		o->job.delta = false;
		return 0;
	case 'a':
		o->top = SIZE_MAX;
		return 0;
	case 'n':
		return top_parse(value, &o->top, e);
	default:
		return threads_parse(value, &o->job.threads, e);
	}
}

/* Images need room, which /tmp may have in memory only. */
static const char *
scratch_folder(void)
{
	const char *named = getenv("TMPDIR");

	return named && *named ? named : "/var/tmp";
}

static int
options_parse(int argc, char **argv, struct diff_options *o, struct err *e)
{
	static const struct option known[] = {{"all", no_argument, NULL, 'a'},
		{"top", required_argument, NULL, 'n'}, {"no-delta", no_argument, NULL, 'd'},
		{"json", no_argument, NULL, 'j'}, {"threads", required_argument, NULL, 't'},
		{NULL, 0, NULL, 0}};
	int option;

	*o = (struct diff_options){
		.job = {.threads = threads_default(), .scratch = scratch_folder(), .delta = true},
		.top = TOP_PRESET};
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == '?')
			return err_set(e, ERR_USAGE,
				"'%s' is unknown or lacks its value; see --help", argv[optind - 1]);
		if (option_take(option, optarg, o, e) < 0)
			return -1;
	}
	if (optind != argc - 2)
		return err_set(e, ERR_USAGE, "give two bundles, OLD and NEW; see --help");
	o->job.old = argv[optind];
	o->job.new = argv[optind + 1];
	return 0;
}

static int
diff_run(int argc, char **argv, struct err *e)
{
	AUTO_DIFF struct diff d = DIFF_INIT;
	struct diff_options o;

	if (options_parse(argc, argv, &o, e) < 0 || diff_bundles(&o.job, &d, e) < 0)
		return -1;
	return o.json ? diff_print_json(&d, o.top, e) : diff_print(&d, o.top, e);
}

const struct command cmd_diff = {
	.name = "diff",
	.summary = "what an update would cost",
	.help = "usage: sluice diff OLD NEW [--no-delta] [--all | --top N] [--json]\n"
		"           [--threads N]\n"
		"\n"
		"Says how many bytes a box that runs OLD fetches for the bundle NEW, by a delta\n"
		"and without one: for each payload, and for each file of a tree or of an ext4\n"
		"image, the dearest first; and what would make it less, where that shows here.\n"
		"\n"
		"It reckons as a box does. What one has in place is not fetched, nor is what has\n"
		"moved within an image. A box whose other side holds more of NEW fetches less.\n"
		"Metadata of the site, some KiB, comes on top. The delta is made as for\n"
		"`sluice release NEW --delta-from OLD`, to be looked at only.\n"
		"\n"
		"  --no-delta    without that: a quarter of the time, and little memory\n"
		"  --all         all files, and not the ten dearest of each payload\n"
		"  --top N       so many of them\n"
		"  --json        the same for programs, in bytes\n"
		"  --threads N   as many as there are processors if left out\n"
		"\n"
		"Both are unpacked meanwhile, in /var/tmp or where TMPDIR says. Nobody's\n"
		"signature is looked at (see sluice verify).\n"
		"\n"
		"example: sluice diff gateway-2.3.0.ota gateway-2.4.0.ota\n",
	.run = diff_run,
};
