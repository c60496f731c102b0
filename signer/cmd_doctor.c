#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "common/base/num.h"
#include "signer/command.h"
#include "signer/doctor.h"
#include "signer/signing.h"
#include "signer/ui.h"
#include "signer/workspace.h"

#define WITHIN_DEFAULT_S ((uint64_t)30 * 86400)

enum { OPT_WITHIN = 1, OPT_JSON };

static const char help[] =
	"usage: sluice doctor [--within TIME] [--json] [-w DIR]\n"
	"           [--key K [--sign-with CMD] [--passphrase-file F | --passphrase-fd N]]\n"
	"\n"
	"Examines a workspace and changes nothing in it: what expires when, who can do\n"
	"what, what waits to be published and whose signatures it lacks, what each\n"
	"stolen key or host is good for, whether the site is what boxes believe, and\n"
	"whether a stop works, with another publisher dead, too. That last it tries: it\n"
	"signs one in a scratch copy and reads it with a client.\n"
	"\n"
	"Exits 1 when something expires within TIME (or has), or when the site fails\n"
	"verification; the rest is for thinking about. What machines sign again by\n"
	"themselves (timestamp, snapshot, gates, the CRL) counts once half its life is\n"
	"gone.\n"
	"\n"
	"  --within TIME      30d if left out\n"
	"  --json             everything, for programs\n"
	"  --key K            a gates key to try the stop with, if all have passphrases\n"
	"\n"
	"example:  sluice doctor -w /srv/fleet --within 14d\n";

struct doctor_options {
	struct signing signing;
	uint64_t within_s;
	bool json;
};

static int
option_take(struct doctor_options *o, int option, struct err *e)
{
	switch (option) {
	case OPT_WITHIN:
		if (num_parse_duration(optarg, ASKED_SPAN_MAX_S, &o->within_s, NULL) < 0)
			return err_set(e, ERR_USAGE,
				"--within takes a time like 30d or 12h, not '%.32s'", optarg);
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	default:
		return signing_option(&o->signing, option, optarg, e);
	}
}

static int
options_read(int argc, char **argv, struct doctor_options *o, struct err *e)
{
	static const struct option known[] = {{"within", required_argument, NULL, OPT_WITHIN},
		{"json", no_argument, NULL, OPT_JSON}, SIGNING_KEY, SIGNING_PASS_FILE,
		SIGNING_PASS_FD, {0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (option_take(o, option, e) < 0)
			return -1;
	}
	if (optind < argc)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	return 0;
}

static int
report_print(const struct doctor *d, bool json, struct err *e)
{
	if (!json) {
		doctor_print(d);
		return 0;
	}
	if (json_object_set_new(d->report, "healthy", json_boolean(!d->failed)) < 0)
		return err_sys(e, ENOMEM, "doctor");
	return ui_json_print(d->report, e);
}

static int
run(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_DOCTOR struct doctor d = {0};
	struct doctor_options o = {.signing = SIGNING_INIT, .within_s = WITHIN_DEFAULT_S};

	if (options_read(argc, argv, &o, e) < 0 || workspace_open(o.signing.workspace, &w, e) < 0 ||
		doctor_open(&w, o.within_s, &d, e) < 0 || doctor_look_at_keys(&d, e) < 0 ||
		doctor_look_at_roles(&d, e) < 0 || doctor_look_at_expiry(&d, e) < 0 ||
		doctor_look_at_renewal(&d, e) < 0 || doctor_look_at_site(&d, e) < 0 ||
		doctor_look_at_incoming(&d, e) < 0 || doctor_look_at_theft(&d, e) < 0 ||
		doctor_look_at_stop(&d, &o.signing, e) < 0 || doctor_sort(&d, e) < 0 ||
		report_print(&d, o.json, e) < 0)
		return -1;
	if (d.failed)
		return err_set(e, ERR_REFUSED, "this fleet needs attention now");
	return 0;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.summary = "what expires, what is wrong",
	.help = help,
	.run = run,
};
