#include <getopt.h>
#include <stdio.h>

#include "agent/box.h"
#include "agent/command.h"
#include "agent/confirm.h"
#include "agent/settle.h"
#include "agent/trial_note.h"

static int
no_arguments(int argc, char **argv, struct err *e)
{
	static const struct option known[] = {{0}};

	if (getopt_long(argc, argv, "", known, NULL) != -1 || optind != argc)
		return err_set(e, ERR_USAGE, "see `sluice-agent confirm --help`");
	return 0;
}

static int
confirm_local(struct box *b, const struct settlement *now, struct err *e)
{
	const struct release *r = &now->was.release;
	struct trial_note note = {0};

	if (!now->was.local)
		return err_set(e, ERR_REFUSED,
			"%s %s came over the network: `sluice-agent run` confirms it, with fresh "
			"metadata",
			r->name, r->version);
	if (confirm_health(&b->conf, b->boot, b->state, NULL, e) < 0 ||
		confirm_digests(&b->conf, b->state, NULL, e) < 0)
		return err_context(e, "%s %s is not confirmed (`sluice-agent rollback` goes back)",
			r->name, r->version);
	if (confirm_commit(&b->conf, b->boot, b->state, e) < 0)
		return -1;
	trial_note_write(&note, b);
	(void)printf("%s %s is confirmed\n", r->name, r->version);
	return 0;
}

static int
run(const char *conf_path, int argc, char **argv, struct err *e)
{
	AUTO_BOX struct box b = BOX_INIT;
	struct settlement now;

	if (no_arguments(argc, argv, e) < 0 || box_open(conf_path, &b, e) < 0 ||
		box_lock(&b, e) < 0 || settle(&b.conf, b.boot, b.state, &now, e) < 0)
		return -1;
	switch (now.what) {
	case SETTLED_UNCONFIRMED:
		return confirm_local(&b, &now, e);
	case SETTLED_NOTHING:
	case SETTLED_CONFIRMED:
		(void)printf("nothing waits to be confirmed\n");
		return 0;
	default:
		return err_set(e, ERR_REFUSED, "%s %s: %s", now.was.release.name,
			now.was.release.version, now.detail);
	}
}

const struct command command_confirm = {
	.name = "confirm",
	.summary = "check the new system and keep it",
	.help = "usage: sluice-agent [-c FILE] confirm\n\n"
		"For an update from a file, after the new system has started: runs the health\n"
		"checks, compares what runs with what was signed where agent.conf says\n"
		"read_only = yes, and tells the bootloader to keep it. An update that came over\n"
		"the network is confirmed by `sluice-agent run`.\n\n"
		"Example:\n"
		"  sluice-agent confirm\n",
	.run = run,
};
