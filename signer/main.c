#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/version.h"
#include "signer/command.h"

/* In the order in which a fleet comes to life. */
static const struct command *const commands[] = {
	&cmd_init,
	&cmd_key,
	&cmd_root,
	&cmd_role,
	&cmd_metadata,
	&cmd_box,
	&cmd_pack,
	&cmd_sign,
	&cmd_verify,
	&cmd_show,
	&cmd_diff,
	&cmd_delta,
	&cmd_release,
	&cmd_rollout,
	&cmd_plan,
	&cmd_simulate,
	&cmd_gate,
	&cmd_stop,
	&cmd_resume,
	&cmd_publish,
	&cmd_watch,
	&cmd_webhook,
	&cmd_status,
	&cmd_boxes,
	&cmd_backup,
	&cmd_site,
	&cmd_doctor,
	&cmd_tls,
};

static const char exit_codes[] = "Exit codes: 0 done, 1 failed, 2 usage.";

/* In two columns, so that all fit a screen. */
static void
usage(FILE *to)
{
	const size_t rows = (ARRAY_LEN(commands) + 1) / 2;

	(void)fprintf(to, "sluice: signs and rolls out updates for fleets of Linux boxes\n"
			  "usage: sluice {COMMAND [OPTIONS] | --version}\n\n");
	for (size_t i = 0; i < rows; i++) {
		const struct command *left = commands[i], *right = i + rows < ARRAY_LEN(commands)
									   ? commands[i + rows]
									   : NULL;

		(void)fprintf(to, "  %-9s %-*s", left->name, right ? COMMAND_SUMMARY_COLUMNS : 0,
			left->summary);
		if (right)
			(void)fprintf(to, "  %-9s %s", right->name, right->summary);
		(void)fprintf(to, "\n");
	}
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

static bool
wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return true;
	}
	return false;
}

/* The verb that the command line names, or NULL. */
static const struct verb *
verb_find(const struct command *c, int argc, char **argv)
{
	for (const struct verb *v = c->verbs; v && v->name && argc > 1; v++) {
		if (strcmp(v->name, argv[1]) == 0)
			return v;
	}
	return NULL;
}

static int
verb_missing(const struct command *c, struct err *e)
{
	char words[256] = "";
	size_t len = 0;

	for (const struct verb *v = c->verbs; v->name && len < sizeof(words); v++)
		len += (size_t)snprintf(
			words + len, sizeof(words) - len, "%s%s", len ? ", " : "", v->name);
	return err_set(e, ERR_USAGE, "say what: %s; see `sluice %s --help`", words, c->name);
}

/* What was printed has to have got somewhere: a full disk is no success. */
static int
output_end(struct err *e)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return err_sys(e, errno, "writing to standard output");
}

static int
command_run(const struct command *c, int argc, char **argv)
{
	const struct verb *v = verb_find(c, argc, argv);
	struct err e = ERR_INIT;
	int rc;

	if (wants_help(argc, argv)) {
		(void)printf("%s\n%s\n", v && v->help ? v->help : c->help, exit_codes);
		rc = 0;
	} else if (v) {
		rc = v->run(argc - 1, argv + 1, &e);
	} else {
		rc = c->verbs ? verb_missing(c, &e) : c->run(argc, argv, &e);
	}
	if (rc == 0 && output_end(&e) == 0)
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
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("sluice %s\n", SLUICE_VERSION);
		return EXIT_OK;
	}
	c = command_find(argv[1]);
	if (!c) {
		(void)fprintf(
			stderr, "sluice: '%s' is not a command; see `sluice --help`\n", argv[1]);
		return EXIT_USAGE;
	}
	return command_run(c, argc - 1, argv + 1);
}
