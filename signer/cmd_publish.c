#include <getopt.h>

#include "common/base/clock.h"
#include "signer/authority.h"
#include "signer/command.h"
#include "signer/fleet.h"
#include "signer/publish.h"
#include "signer/signing.h"
#include "signer/workspace.h"

static const char help[] =
	"usage: sluice publish [-w DIR] [--passphrase-file F | --passphrase-fd N]\n"
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

static int
run(int argc, char **argv, struct err *e)
{
	static const struct option known[] = {SIGNING_PASS_FILE, SIGNING_PASS_FD, {0}};
	AUTO_WORKSPACE struct workspace w = {0};
	struct signing o = SIGNING_INIT;
	int published;

	if (signing_options(argc, argv, known, &o, e) < 0)
		return -1;
	if (optind < argc)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	if (workspace_open(o.workspace, &w, e) < 0)
		return -1;
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
