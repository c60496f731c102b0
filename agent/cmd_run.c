#include <getopt.h>
#include <stddef.h>

#include "agent/command.h"
#include "agent/cycle.h"

static int
no_arguments(int argc, char **argv, struct err *e)
{
	static const struct option known[] = {{0}};

	if (getopt_long(argc, argv, "", known, NULL) != -1 || optind != argc)
		return err_set(e, ERR_USAGE, "see `sluice-agent %s --help`", argv[0]);
	return 0;
}

static int
run(const char *conf_path, int argc, char **argv, struct err *e)
{
	return no_arguments(argc, argv, e) < 0 ? -1 : cycle_run(conf_path, e);
}

static int
check(const char *conf_path, int argc, char **argv, struct err *e)
{
	return no_arguments(argc, argv, e) < 0 ? -1 : cycle_check(conf_path, e);
}

const struct command command_run = {
	"run",
	"follow the plan: poll, update, confirm, report (the daemon)",
	"usage: sluice-agent [-c FILE] run\n\n"
	"Polls the site of agent.conf, takes the updates that its plan, gate and release\n"
	"signatures allow, confirms them from the new system or goes back, and reports.\n"
	"Runs until SIGTERM, which ends it at a safe point: what is written so far\n"
	"counts. SIGHUP polls now. Logs to standard error.\n\n"
	"Example:\n"
	"  sluice-agent run\n"
	"  systemctl reload sluice-agent      # polls now\n",
	run,
};

const struct command command_check = {
	"check",
	"ask once whether there is an update, and say why or why not",
	"usage: sluice-agent [-c FILE] check\n\n"
	"Polls once and prints the decision with its reason. Installs nothing. Exits 1\n"
	"when the site cannot be reached or what it says is not as it should be.\n\n"
	"Example:\n"
	"  $ sluice-agent check\n"
	"  held: wave everyone of gateway-2.4.0 is not open yet\n",
	check,
};
