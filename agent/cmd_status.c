#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent/box.h"
#include "agent/command.h"
#include "agent/reaffirm.h"
#include "agent/status.h"

static int
options_read(int argc, char **argv, const char *name, bool *json, struct err *e)
{
	static const struct option known[] = {{"json", no_argument, NULL, 'j'}, {0}};

	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (option != 'j')
			return err_set(e, ERR_USAGE, "see `sluice-agent %s --help`", name);
		*json = true;
	}
	return 0;
}

static int
print(const struct box *b, bool json, int (*as_json)(const struct box *, json_t **, struct err *),
	int (*as_text)(const struct box *, struct buf *, struct err *), struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT(STATUS_BYTES_MAX);
	AUTO_JSON json_t *j = NULL;

	if (json ? as_json(b, &j, e) < 0 || json_pretty(j, &out, e) < 0 : as_text(b, &out, e) < 0)
		return -1;
	(void)fputs(buf_str(&out), stdout);
	return 0;
}

static int
run_status(const char *conf_path, int argc, char **argv, struct err *e)
{
	AUTO_BOX struct box b = BOX_INIT;
	bool json = false;

	if (options_read(argc, argv, "status", &json, e) < 0)
		return -1;
	if (optind != argc)
		return err_set(e, ERR_USAGE, "see `sluice-agent status --help`");
	if (box_open(conf_path, &b, e) < 0)
		return -1;
	return print(&b, json, status_json, status_text, e);
}

/* Box by box at manufacture, or by hand after the environment was lost: what runs is the right one.
 */
static int
boot_init(struct box *b, struct err *e)
{
	enum side current;

	if (boot_check(b->boot, &b->conf, e) < 0)
		return -1;
	if (!b->boot->make)
		return err_set(e, ERR_USAGE, "backend = %s has no environment of its own to make",
			b->boot->name);
	if (box_lock(b, e) < 0 || b->boot->current(b->boot, &b->conf, &current, e) < 0 ||
		b->boot->make(&b->conf, current, e) < 0)
		return -1;
	(void)printf("side %s, which runs, is the one to boot\n", side_name(current));
	return 0;
}

static int
run_boot(const char *conf_path, int argc, char **argv, struct err *e)
{
	AUTO_BOX struct box b = BOX_INIT;
	bool json = false, init = false;

	if (options_read(argc, argv, "boot", &json, e) < 0)
		return -1;
	if (argc - optind == 1 && strcmp(argv[optind], "init") == 0 && !json)
		init = true;
	else if (argc - optind != 1 || strcmp(argv[optind], "show") != 0)
		return err_set(
			e, ERR_USAGE, "boot show or boot init? See `sluice-agent boot --help`");
	if (box_open(conf_path, &b, e) < 0)
		return -1;
	if (init)
		return boot_init(&b, e);
	if (print(&b, json, status_boot_json, status_boot_text, e) < 0)
		return -1;
	return boot_check(b.boot, &b.conf, e) < 0 ? -1 : reaffirm_check(&b, e);
}

const struct command command_status = {
	.name = "status",
	.summary = "show what runs, what is under way and what came of the last update",
	.help = "usage: sluice-agent [-c FILE] status [--json]\n\n"
		"Shows both sides and what is on them, an update that is under way, the rollback\n"
		"floor, stops that are in force, and how the last update ended. Changes "
		"nothing.\n\n"
		"Example:\n"
		"  sluice-agent status --json\n",
	.run = run_status,
};

const struct command command_boot = {
	.name = "boot",
	.summary = "show what the bootloader will do (boot show, boot init)",
	.help = "usage: sluice-agent [-c FILE] boot show [--json]\n"
		"       sluice-agent [-c FILE] boot init\n\n"
		"show   says which side runs, which boots next, and for each whether it is\n"
		"       bootable, confirmed, or on trial with how many tries left. Fails where\n"
		"       the bootloader is not set up as it must be. Changes nothing.\n"
		"init   writes the boot environment where there is none, or none that makes\n"
		"       sense: the side that runs is the one to boot, the other is off.\n\n"
		"Example:\n"
		"  sluice-agent boot show\n",
	.run = run_boot,
};
