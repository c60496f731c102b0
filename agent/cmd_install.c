#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include "agent/box.h"
#include "agent/command.h"
#include "agent/doubt.h"
#include "agent/hooks.h"
#include "agent/install.h"
#include "agent/local.h"
#include "agent/reporter.h"
#include "agent/settle.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"

struct options {
	const char *file, *metadata;
	bool no_reboot;
};

static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

static int
ask_signal(void *arg, struct err *e)
{
	(void)arg;
	if (interrupted)
		return err_set(e, ERR_STOPPED, "interrupted; run it again to go on from here");
	return 0;
}

static const struct keep_going UNTIL_SIGNAL = {ask_signal, NULL};

static int
options_read(int argc, char **argv, struct options *out, struct err *e)
{
	static const struct option known[] = {{"metadata", required_argument, NULL, 'm'},
		{"no-reboot", no_argument, NULL, 'n'}, {0}};

	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (option == 'm')
			out->metadata = optarg;
		else if (option == 'n')
			out->no_reboot = true;
		else
			return err_set(e, ERR_USAGE, "see `sluice-agent install --help`");
	}
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE, "which FILE? See `sluice-agent install --help`");
	out->file = argv[optind];
	return 0;
}

/* Which versions of metadata were seen lasts longer than the metadata. */
static int
seen_save(struct box *b, const struct tuf_floor *seen, struct err *e)
{
	if (tuf_floor_equal(seen, &b->state->seen))
		return 0;
	b->state->seen = *seen;
	return state_save(b->conf.state_dir, b->state, e);
}

/* Signed by those who may release, and right down to the last index. fd is the bundle. */
static int
verify(struct box *b, const struct options *o, int fd, struct head *out, struct err *e)
{
	struct tuf_floor seen = b->state->seen;
	AUTO_TUF struct tuf_client *client = NULL;
	struct role_keys releases;
	struct tuf_store store;
	char dir[PATH_MAX];

	if (local_metadata_dir(&b->conf, dir, e) < 0)
		return -1;
	store = tuf_store_dir(dir);
	if (local_releases(&store, o->metadata, &seen, &client, &releases, e) < 0 ||
		seen_save(b, &seen, e) < 0)
		return -1;
	return head_verify_local(fd, o->file, b->conf.state_dir, &releases, out, e);
}

static int
write_it(struct box *b, const struct head *h, int fd, struct err *e)
{
	struct file_source file = {.fd = fd, .name = h->name};
	struct source source = source_file(&file);
	struct pending p = {.local = true, .deadline_s = b->conf.confirm_deadline_s};
	struct install_stats stats = {0};
	struct intake_job j = {.c = &b->conf,
		.h = h,
		.source = &source,
		.keep_going = &UNTIL_SIGNAL,
		.near = true,
		.stats = &stats};
	AUTO_INTAKE struct intake *i = NULL;
	char in_place[NUM_HUMAN_SIZE], written[NUM_HUMAN_SIZE];

	if (install_look(&b->conf, b->boot, b->state, &j, &i, e) < 0 ||
		install_write(&b->conf, b->boot, b->state, i, &p, e) < 0)
		return -1;
	log_notice("%s %s: %s written, %s were in place; all read back right", h->release.name,
		h->release.version, num_human_size(stats.bytes_written, written),
		num_human_size(stats.bytes_in_place, in_place));
	return 0;
}

/* How the last update ended is told before this one begins: there is room for one. */
static int
tell_last(struct box *b, struct err *e)
{
	struct reporter reporter = {.box = b};

	if (doubt_is_open(b->state) && doubt_end(&b->conf, b->state, false, clock_wall_s(), e) < 0)
		return -1;
	reporter_tell_end(&reporter, clock_wall_s());
	return 0;
}

/* From here on the target is not what it was, so what goes wrong is recorded. */
static int
change(struct box *b, const struct head *h, int fd, enum side target, struct err *e)
{
	const struct release *r = &h->release;

	if (write_it(b, h, fd, e) < 0 ||
		hooks_run(&b->conf, HOOK_POST, r, target, &UNTIL_SIGNAL, e) < 0 ||
		hooks_run(&b->conf, HOOK_INHIBIT_REBOOT, r, target, &UNTIL_SIGNAL, e) < 0)
		return install_abandon(&b->conf, b->state, r, e);
	return install_activate(&b->conf, b->boot, b->state, e);
}

static int
install(struct box *b, const struct head *h, int fd, struct err *e)
{
	const struct release *r = &h->release;
	enum side target;

	if (local_stop_check(&b->conf, b->state, e) < 0 ||
		install_check(&b->conf, b->state, h, e) < 0 ||
		install_target(&b->conf, b->boot, b->state, h->manifest, &target, e) < 0 ||
		hooks_run(&b->conf, HOOK_INHIBIT_INSTALL, r, target, &UNTIL_SIGNAL, e) < 0 ||
		hooks_run(&b->conf, HOOK_PRE, r, target, &UNTIL_SIGNAL, e) < 0 ||
		tell_last(b, e) < 0)
		return -1;
	return change(b, h, fd, target, e);
}

static int
finish(const struct box *b, const struct options *o, struct err *e)
{
	const struct pending *p = &b->state->pending;

	if (p->tree_only) {
		log_notice("side %s is in use now; `sluice-agent confirm` keeps it",
			side_name(p->target));
		return 0;
	}
	if (o->no_reboot || !b->conf.reboot) {
		log_notice("reboot to start side %s, then `sluice-agent confirm` keeps it",
			side_name(p->target));
		return 0;
	}
	log_notice("rebooting into side %s", side_name(p->target));
	return box_reboot(b, e);
}

static int
run(const char *conf_path, int argc, char **argv, struct err *e)
{
	AUTO_BOX struct box b = BOX_INIT;
	AUTO_HEAD struct head h = HEAD_INIT;
	AUTO_CLOSE int fd = -1;
	struct options o = {0};
	struct settlement before;

	if (options_read(argc, argv, &o, e) < 0 || box_open(conf_path, &b, e) < 0)
		return -1;
	(void)signal(SIGINT, on_signal);
	(void)signal(SIGTERM, on_signal);
	if (box_lock(&b, e) < 0 || settle(&b.conf, b.boot, b.state, &before, e) < 0 ||
		file_open_regular(o.file, &fd, e) < 0 || verify(&b, &o, fd, &h, e) < 0 ||
		install(&b, &h, fd, e) < 0)
		return -1;
	return finish(&b, &o, e);
}

const struct command command_install = {
	.name = "install",
	.summary = "install a bundle from a file into the other side",
	.help = "usage: sluice-agent [-c FILE] install BUNDLE [--metadata DIR] [--no-reboot]\n\n"
		"Checks that BUNDLE is signed by those who may release for this box, that it is\n"
		"for this kind of box and not too old, writes it into the side that is not in\n"
		"use, reads everything back, and makes it the next to boot. No plan and no\n"
		"network is asked. Run again after an interruption, it goes on from there.\n\n"
		"  --metadata DIR  root and targets metadata that came along with the bundle\n"
		"  --no-reboot     do not run agent.conf's reboot command afterwards\n\n"
		"Example:\n"
		"  sluice-agent install /media/stick/gateway-2.4.0.ota --metadata /media/stick\n",
	.run = run,
};
