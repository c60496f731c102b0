#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/num.h"
#include "signer/bundle_file.h"
#include "signer/command.h"
#include "signer/delta_file.h"
#include "signer/output.h"
#include "signer/threads.h"

static const char help[] =
	"usage: sluice delta OLD.ota NEW.ota -o FILE [--threads N]\n"
	"\n"
	"Writes what a box that has OLD needs to make NEW of it, which is far less than\n"
	"NEW as a rule. It is tried out before it is kept: applied to OLD it gave NEW.\n"
	"Both are bundles of the same name, in two versions. Payloads are compared with\n"
	"those of the same name, kind and slot.\n"
	"\n"
	"Where a box would save less than a tenth of NEW, that is an error, and nothing\n"
	"is written. Signatures are not checked.\n"
	"\n"
	"  -o, --output FILE   the delta; replaced in one step once it is whole\n"
	"      --threads N     as many threads as there are processors if left out;\n"
	"                      the delta is the same whatever N is\n"
	"\n"
	"It needs as much memory as OLD has plain bytes, and half of that again; and for\n"
	"a while room for the plain bytes of both beside FILE.\n"
	"\n"
	"example: sluice delta gateway-2.3.9.ota gateway-2.4.0.ota -o gateway.delta\n";

struct delta_options {
	const char *from, *to, *output;
	unsigned threads;
};

static int
options_parse(int argc, char **argv, struct delta_options *o, struct err *e)
{
	static const struct option known[] = {{"output", required_argument, NULL, 'o'},
		{"threads", required_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
	int option;

	*o = (struct delta_options){.threads = threads_default()};
	opterr = 0;
	while ((option = getopt_long(argc, argv, "o:", known, NULL)) != -1) {
		if (option == 'o')
			o->output = optarg;
		else if (option != 't')
			return err_set(e, ERR_USAGE,
				"'%s' is unknown or lacks its value; see --help", argv[optind - 1]);
		else if (threads_parse(optarg, &o->threads, e) < 0)
			return -1;
	}
	if (optind != argc - 2 || !o->output)
		return err_set(e, ERR_USAGE, "give OLD.ota, NEW.ota and -o FILE; see --help");
	o->from = argv[optind];
	o->to = argv[optind + 1];
	return 0;
}

static int
bundle_open(const char *path, struct bundle_file *b, struct err *e)
{
	return bundle_file_open(path, b, e) < 0 ? -1 : bundle_file_check_members(b, e);
}

static int
delta_report(const struct delta_options *o, const struct delta_made *m, struct err *e)
{
	char size[NUM_HUMAN_SIZE], full[NUM_HUMAN_SIZE], bundle[NUM_HUMAN_SIZE];

	(void)num_human_size(m->size, size);
	(void)num_human_size(m->full, full);
	(void)num_human_size(m->bundle_size, bundle);
	if (!m->pays)
		return err_set(e, ERR_REFUSED,
			"a delta does not pay: a box would fetch %s of it and %s of the bundle's "
			"%s; %s was not written",
			size, full, bundle, o->output);
	(void)printf("%s: %s, %.1f%% of %s", o->output, size,
		100 * (double)m->size / (double)m->bundle_size, o->to);
	if (m->full > 0)
		(void)printf("; a box needs %s of that besides", full);
	(void)printf("\n");
	return 0;
}

static int
delta_run(int argc, char **argv, struct err *e)
{
	AUTO_BUNDLE_FILE struct bundle_file from = BUNDLE_FILE_INIT, to = BUNDLE_FILE_INIT;
	AUTO_OUTPUT struct output out = OUTPUT_INIT;
	struct delta_options o;
	struct delta_made made;
	char scratch[PATH_MAX];

	if (options_parse(argc, argv, &o, e) < 0 || bundle_open(o.from, &from, e) < 0 ||
		bundle_open(o.to, &to, e) < 0 || output_begin(o.output, &out, e) < 0 ||
		folder_of(o.output, scratch, e) < 0 ||
		delta_file_make(&from, &to, o.threads, scratch, out.fd, o.output, &made, e) < 0 ||
		delta_report(&o, &made, e) < 0)
		return -1;
	return output_commit(&out, e);
}

const struct command cmd_delta = {
	.name = "delta",
	.summary = "only what differs, for boxes",
	.help = help,
	.run = delta_run,
};
