#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "signer/command.h"

/* In the order in which a fleet comes to life. */
static const struct command *const commands[] = {
	&cmd_init,
	&cmd_key,
	&cmd_root,
	&cmd_role,
	&cmd_box,
	&cmd_pack,
	&cmd_sign,
	&cmd_verify,
	&cmd_show,
	&cmd_release,
	&cmd_rollout,
	&cmd_gate,
	&cmd_stop,
	&cmd_resume,
	&cmd_publish,
};

static const char exit_codes[] = "Exit codes: 0 done, 1 failed, 2 usage.";

static void
usage(FILE *to)
{
	(void)fprintf(to, "sluice: signs and rolls out updates for fleets of Linux boxes\n\n"
			  "usage: sluice COMMAND [OPTIONS]\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	(void)fprintf(to, "\n`sluice COMMAND --help` tells more. %s\n", exit_codes);
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
command_run(const struct command *c, int argc, char **argv)
{
	struct err e = ERR_INIT;

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			(void)printf("%s\n%s\n", c->help, exit_codes);
			return EXIT_OK;
		}
	}
	if (c->run(argc, argv, &e) == 0)
		return EXIT_OK;
	(void)fprintf(stderr, "sluice %s: %s\n", c->name, e.text);
	return e.class == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

int
main(int argc, char **argv)
{
	const struct command *c;

	if (file_open_standard(NULL) < 0)
		return EXIT_FAILED;
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? EXIT_USAGE : EXIT_OK;
	}
	c = command_find(argv[1]);
	if (!c) {
		(void)fprintf(
			stderr, "sluice: '%s' is not a command; see `sluice --help`\n", argv[1]);
		return EXIT_USAGE;
	}
	return command_run(c, argc - 1, argv + 1);
}
