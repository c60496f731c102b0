#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "signer/authority.h"
#include "signer/bulk.h"
#include "signer/command.h"
#include "signer/fleet.h"
#include "signer/publish.h"
#include "signer/signing.h"
#include "signer/ui.h"
#include "signer/workspace.h"

enum { OPT_CARRY = 1 };

static const char help[] =
	"usage: sluice publish [-w DIR] [--passphrase-file F | --passphrase-fd N]\n"
	"       sluice publish --carry [-w DIR]\n"
	"\n"
	"Takes what waits in incoming/ into site/: checks every role's threshold,\n"
	"version and targets, signs snapshot and timestamp with the online keys of\n"
	"workspace.yaml, writes all that is immutable first and timestamp.json last, and\n"
	"runs the push command for each. Large content goes first and by itself; a stop\n"
	"does not wait for it. A role that lacks signatures stays in incoming/; the rest\n"
	"is published without it. Renews the CRL in the second half of its life.\n"
	"Run it hourly (from a timer) to keep the timestamp fresh, and again after any\n"
	"interruption: until its end readers see the old site.\n"
	"\n"
	"  -w DIR               the workspace (else $SLUICE_WORKSPACE, else around here)\n"
	"  --passphrase-file F  for online keys that have a passphrase\n"
	"  --passphrase-fd N\n"
	"  --carry              only copy large content, and push it: needs no key, and\n"
	"                       publishes nothing; `sluice watch` runs it beside itself\n"
	"\n"
	"example: sluice publish -w /srv/fleet\n";

/* An expired CRL locks every box out, so whoever keeps the timestamp fresh keeps it fresh, too. */
static int
renew_crl(const struct workspace *w, struct err *e)
{
	AUTO_FLEET struct fleet *f = NULL;
	int64_t now_s = clock_wall_s();

	if (!authority_crl_is_due(w, now_s))
		return 0;
	if (fleet_open(w, &f, e) < 0 || authority_renew_crl(w, f, now_s, e) < 0)
		return err_context(e, "renewing the CRL");
	return 0;
}

/* Dies with all that it runs, if it is alone with that: a push would go on without it else. */
static void
on_end(int number)
{
	if (getpgrp() == getpid())
		(void)kill(0, SIGKILL);
	_exit(128 + number);
}

/* Prints what it did for the watch, whatever came of it. */
static int
carry(struct workspace *w, struct err *e)
{
	const struct sigaction act = {.sa_handler = on_end};
	AUTO_JSON json_t *carried = NULL, *said = NULL;
	struct err why = ERR_INIT;
	int rc;

	w->stays_in_group = true;
	(void)sigaction(SIGTERM, &act, NULL);
	rc = bulk_run(w, &carried, &why);
	said = json_pack("{s:o, s:s}", "carried", carried ? json_incref(carried) : json_object(),
		"why", why.text);
	if (!said)
		return err_sys(e, ENOMEM, "publishing");
	if (ui_json_print(said, e) < 0)
		return -1;
	return rc < 0 ? err_set(e, why.class, "%s", why.text) : 0;
}

static int
options_read(int argc, char **argv, struct signing *o, bool *carries, struct err *e)
{
	static const struct option known[] = {SIGNING_PASS_FILE, SIGNING_PASS_FD,
		{"carry", no_argument, NULL, OPT_CARRY}, {NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (option == OPT_CARRY)
			*carries = true;
		else if (signing_option(o, option, optarg, e) < 0)
			return -1;
	}
	if (optind < argc)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	return 0;
}

static int
run(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	struct signing o = SIGNING_INIT;
	bool carries = false;
	int published;

	if (options_read(argc, argv, &o, &carries, e) < 0 || workspace_open(o.workspace, &w, e) < 0)
		return -1;
	if (carries)
		return carry(&w, e);
	published = publish(&w, &o.pass, e);
	/* Neither holds up the other; the first failure is the one that is told. */
	return renew_crl(&w, published < 0 ? NULL : e) < 0 ? -1 : published;
}

const struct command cmd_publish = {
	.name = "publish",
	.summary = "what is signed, into site/",
	.help = help,
	.run = run,
};
