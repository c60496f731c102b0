/* The commands of `sluice-agent`: one cmd_*.c each, listed in main.c. */
#ifndef SLUICE_AGENT_COMMAND_H
#define SLUICE_AGENT_COMMAND_H

#include "common/base/err.h"

enum exit_status { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct command {
	const char *name;
	const char *summary; /* one line for `sluice-agent --help` */
	const char *help;    /* for `sluice-agent NAME --help`: fits a screen, has an example */
	/* conf_path is agent.conf; argv[0] is the command's name. Returns 0 or -1 with e; ERR_USAGE
	 * exits 2, all else 1. */
	int (*run)(const char *conf_path, int argc, char **argv, struct err *e);
};

extern const struct command command_run;
extern const struct command command_check;
extern const struct command command_install;
extern const struct command command_status;
extern const struct command command_audit;
extern const struct command command_confirm;
extern const struct command command_rollback;
extern const struct command command_boot;

#endif
