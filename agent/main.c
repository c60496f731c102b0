#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/command.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/version.h"

static const char *const CONF_PATH = "/etc/sluice/agent.conf";

static const struct command *const commands[] = {
	&command_run,
	&command_check,
	&command_install,
	&command_status,
	&command_audit,
	&command_confirm,
	&command_rollback,
	&command_boot,
};

static void
usage(FILE *to)
{
	(void)fprintf(to, "sluice-agent: keeps this box up to date\n\n"
			  "usage: sluice-agent {[-c FILE] COMMAND [OPTIONS] | --version}\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	(void)fprintf(to,
		"\n  -c FILE    the configuration (default %s)\n\n"
		"`sluice-agent COMMAND --help` tells more. Exit codes: 0 done, 1 failed, 2 "
		"usage.\n",
		CONF_PATH);
}

static const struct command *
command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

static int
command_start(const struct command *c, const char *conf_path, int argc, char **argv)
{
	struct err e = ERR_INIT;

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			(void)fputs(c->help, stdout);
			return EXIT_OK;
		}
	}
	optind = 0;
	if (c->run(conf_path, argc, argv, &e) == 0)
		return EXIT_OK;
	(void)fprintf(stderr, "sluice-agent %s: %s\n", c->name, e.text);
	return e.class == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'v'}, {0}};
	const char *conf_path = CONF_PATH;
	const struct command *c;

	if (file_open_standard(NULL) < 0)
		return EXIT_FAILED;
	/* A limit to the size of files is an error of write(), which says where, and no sudden
	 * death. */
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	for (int option; (option = getopt_long(argc, argv, "+c:", options, NULL)) != -1;) {
		if (option == 'c') {
			conf_path = optarg;
		} else if (option == 'v') {
			(void)printf("sluice-agent %s\n", SLUICE_VERSION);
			return EXIT_OK;
		} else {
			usage(option == 'h' ? stdout : stderr);
			return option == 'h' ? EXIT_OK : EXIT_USAGE;
		}
	}
	if (optind == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	c = command_find(argv[optind]);
	if (!c) {
		(void)fprintf(stderr,
			"sluice-agent: '%s' is not a command; see `sluice-agent --help`\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	return command_start(c, conf_path, argc - optind, argv + optind);
}
