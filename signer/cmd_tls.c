#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "signer/authority.h"
#include "signer/command.h"
#include "signer/workspace.h"

static const char help[] =
	"usage: sluice tls renew [-w DIR]\n"
	"\n"
	"Gives the web server a new certificate (tls/server.crt) by the fleet's CA: for\n"
	"its present key, for the host names in workspace.yaml, and good until the CA's\n"
	"own end at most. Then it runs the `reload` command of workspace.yaml, if there\n"
	"is one. Boxes notice nothing. `sluice doctor` tells in time when this is due.\n"
	"\n"
	"A certificate that is not of this CA is left alone: whoever made it renews it.\n"
	"\n"
	"example:  sluice tls renew -w /srv/fleet\n";

static int
run(int argc, char **argv, struct err *e)
{
	static const struct option known[] = {{0}};
	AUTO_WORKSPACE struct workspace w = {0};
	const char *dir = NULL;
	char until[CLOCK_TEXT_SIZE];
	int64_t until_s;
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, "w:", known, NULL)) != -1) {
		if (option != 'w')
			return err_set(e, ERR_USAGE,
				"an option is not known or lacks its value; see `sluice tls "
				"--help`");
		dir = optarg;
	}
	if (argc - optind != 1 || strcmp(argv[optind], "renew") != 0)
		return err_set(e, ERR_USAGE, "say `sluice tls renew`; --help tells more");
	if (workspace_open(dir, &w, e) < 0 ||
		authority_renew_server(&w, clock_wall_s(), &until_s, e) < 0)
		return -1;
	(void)printf("tls/server.crt is good until %s%s\n", clock_format(until_s, until),
		w.reload ? "" : "; now let the web server read it again");
	return 0;
}

const struct command cmd_tls = {
	.name = "tls",
	.summary = "the web server's certificate",
	.help = help,
	.run = run,
};
