#include <getopt.h>
#include <stdio.h>

#include "agent/box.h"
#include "agent/command.h"
#include "agent/revert.h"
#include "agent/settle.h"

struct options {
	bool trees, no_reboot;
};

static int
options_read(int argc, char **argv, struct options *out, struct err *e)
{
	static const struct option known[] = {
		{"trees", no_argument, NULL, 't'}, {"no-reboot", no_argument, NULL, 'n'}, {0}};

	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (option == 't')
			out->trees = true;
		else if (option == 'n')
			out->no_reboot = true;
		else
			return err_set(e, ERR_USAGE, "see `sluice-agent rollback --help`");
	}
	if (optind != argc)
		return err_set(e, ERR_USAGE, "see `sluice-agent rollback --help`");
	return 0;
}

/* An update that is under way. One that was given up already keeps its reason. */
static int
give_up(struct box *b, const struct settlement *now, bool *reboot, struct err *e)
{
	enum revert how = now->what == SETTLED_INSTALLED ? REVERT_BY_HAND : REVERT_CONDEMN;

	if (now->what == SETTLED_GOING_BACK) {
		*reboot = true;
		(void)printf("%s\n", b->state->last_result);
		return 0;
	}
	if (revert_begin(&b->conf, b->boot, b->state, how, "rolled back by hand", e) < 0 ||
		revert_finish(&b->conf, b->boot, b->state, e) < 0)
		return -1;
	*reboot = revert_needs_reboot(b->state);
	(void)printf("%s %s is given up\n", now->was.release.name, now->was.release.version);
	return 0;
}

static int
go_back(struct box *b, const struct options *o, bool *reboot, struct err *e)
{
	bool tree_only = o->trees || b->boot == &boot_links;

	if (revert_confirmed(&b->conf, b->boot, b->state, tree_only, e) < 0)
		return -1;
	*reboot = !tree_only;
	(void)printf("%s\n", b->state->last_result);
	return 0;
}

static int
run(const char *conf_path, int argc, char **argv, struct err *e)
{
	AUTO_BOX struct box b = BOX_INIT;
	struct options o = {0};
	struct settlement now;
	bool reboot = false;
	int rc;

	if (options_read(argc, argv, &o, e) < 0 || box_open(conf_path, &b, e) < 0 ||
		box_lock(&b, e) < 0 || settle(&b.conf, b.boot, b.state, &now, e) < 0)
		return -1;
	if (now.what == SETTLED_INSTALLED || now.what == SETTLED_UNCONFIRMED ||
		now.what == SETTLED_GOING_BACK)
		rc = give_up(&b, &now, &reboot, e);
	else
		rc = go_back(&b, &o, &reboot, e);
	if (rc < 0 || !reboot)
		return rc;
	if (o.no_reboot || !b.conf.reboot) {
		(void)printf("reboot to start the other side\n");
		return 0;
	}
	return box_reboot(&b, e);
}

const struct command command_rollback = {
	.name = "rollback",
	.summary = "go back to the other side",
	.help = "usage: sluice-agent [-c FILE] rollback [--trees] [--no-reboot]\n\n"
		"Cancels an update that was installed and not started yet; leaves one that has\n"
		"started and is not confirmed; or, with none under way, goes back to the release\n"
		"on the other side, if it was confirmed and is not below the rollback floor.\n"
		"What is left is not tried again until a plan says a higher attempt.\n\n"
		"  --trees      of the folders that a link switches, not of the system\n"
		"  --no-reboot  do not run agent.conf's reboot command afterwards\n\n"
		"Example:\n"
		"  sluice-agent rollback\n",
	.run = run,
};
