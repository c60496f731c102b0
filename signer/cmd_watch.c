#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/notify.h"
#include "common/base/num.h"
#include "signer/command.h"
#include "signer/signing.h"
#include "signer/watch.h"
#include "signer/workspace.h"

enum { LOOK_EVERY_MS = 1000 };

enum { OPT_ONCE = 1, OPT_EVERY, OPT_JSON };

static const char help[] =
	"usage: sluice watch [--once] [--every TIME] [--json] [-w DIR]\n"
	"           [--passphrase-file F | --passphrase-fd N]\n"
	"\n"
	"The publisher: takes reports from spool/ into fleet.db, judges every rollout by\n"
	"them, opens the next wave where one has passed, and stops a plan by itself where\n"
	"too many boxes fail or fall silent. Publishes what waits in incoming/, and signs\n"
	"timestamp, snapshot, gates and CRL again before they expire. Copies and pushes\n"
	"bundles in a process beside, so nothing waits for them. A person opens the first\n"
	"wave. It may be killed at any moment, and has no open port.\n"
	"\n"
	"`watch` in workspace.yaml says which key signs gates and how far it may go. It\n"
	"needs those keys alone that are named there; without one it says what it would\n"
	"do. One line an event; problems are told once, for as long as they last.\n"
	"\n"
	"  --once         one look, for a timer, and on until large content is published;\n"
	"                 exits 1 where it had a problem\n"
	"  --every TIME   how often it judges where no report comes (60s)\n"
	"  --json         an object a line\n"
	"\n"
	"example: sluice watch -w /srv/fleet --passphrase-file /etc/sluice/passphrase\n";

struct watch_options {
	struct signing signing;
	bool once, json;
	const char *every;
};

static volatile sig_atomic_t ending;

static void
on_signal(int number)
{
	(void)number;
	ending = 1;
}

/* Blocked until ppoll waits, so that one that comes just before is not missed. */
static void
nap(int64_t ms)
{
	const struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	sigset_t block, before;

	(void)sigemptyset(&block);
	(void)sigaddset(&block, SIGTERM);
	(void)sigaddset(&block, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &block, &before);
	if (!ending)
		(void)ppoll(NULL, 0, &ts, &before);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
}

static int
ask(void *arg, struct err *e)
{
	notify_pet(arg);
	return ending ? err_set(e, ERR_STOPPED, "the watch ends") : 0;
}

static void
tell_text(void *arg, const struct watch_event *x)
{
	char at[CLOCK_TEXT_SIZE];

	(void)arg;
	(void)printf("%s %s%s%s%s\n", clock_format(x->at_s, at), x->plan, *x->plan ? ": " : "",
		strcmp(x->what, "problem") == 0 ? "problem: " : "", x->text);
	(void)fflush(stdout);
}

static void
tell_json(void *arg, const struct watch_event *x)
{
	char at[CLOCK_TEXT_SIZE];
	AUTO_JSON json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "at",
		clock_format(x->at_s, at), "event", x->what, "plan", x->plan, "wave", x->wave,
		"stop", x->stop, "box", x->box, "text", x->text);

	(void)arg;
	if (j && json_dumpf(j, stdout, JSON_COMPACT | JSON_SORT_KEYS) == 0)
		(void)putchar('\n');
	(void)fflush(stdout);
}

static int
options_read(int argc, char **argv, struct watch_options *o, struct err *e)
{
	static const struct option known[] = {SIGNING_PASS_FILE, SIGNING_PASS_FD,
		{"once", no_argument, NULL, OPT_ONCE},
		{"every", required_argument, NULL, OPT_EVERY},
		{"json", no_argument, NULL, OPT_JSON}, {NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (option == OPT_ONCE)
			o->once = true;
		else if (option == OPT_JSON)
			o->json = true;
		else if (option == OPT_EVERY)
			o->every = optarg;
		else if (signing_option(&o->signing, option, optarg, e) < 0)
			return -1;
	}
	if (optind < argc)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	return 0;
}

static int
every_choose(const struct watch_options *o, const struct workspace *w, uint64_t *out, struct err *e)
{
	*out = w->watch.every_s;
	if (!o->every)
		return 0;
	if (num_parse_duration(o->every, WATCH_EVERY_MAX_S, out, e) < 0 || *out == 0) {
		return err_set(e, ERR_USAGE, "--every: from 1s to %ds expected, not '%.32s'",
			WATCH_EVERY_MAX_S, o->every);
	}
	return 0;
}

static unsigned
look_if_due(struct watch *w, int64_t every_ms, int64_t *full_ms)
{
	int64_t now_ms = clock_boot_ms();
	bool full = *full_ms == 0 || now_ms - *full_ms >= every_ms;

	if (full)
		*full_ms = now_ms;
	return watch_look(w, full);
}

/* What the first look publishes, the second one sees. Large content may take an hour, in which
 * others' stops go out as ever. */
static int
look_once(struct watch *w, int64_t every_ms, struct err *e)
{
	int64_t full_ms = clock_boot_ms();
	unsigned problems = watch_look(w, true);

	problems += watch_look(w, false);
	while (watch_is_busy(w) && !ending) {
		problems += look_if_due(w, every_ms, &full_ms);
		nap(LOOK_EVERY_MS);
	}
	if (watch_is_busy(w))
		return err_set(e, ERR_STOPPED, "ended before all was published");
	watch_settle(w);
	return problems ? err_set(e, ERR_REFUSED, "there were problems, as told above") : 0;
}

static void
look_on(struct watch *w, int64_t every_ms, struct notify *manager)
{
	int64_t full_ms = 0;
	struct err e;

	if (notify_say(manager, "READY=1", &e) < 0)
		log_warning("%s", e.text);
	while (!ending) {
		notify_pet(manager);
		(void)look_if_due(w, every_ms, &full_ms);
		nap(LOOK_EVERY_MS);
	}
	(void)notify_say(manager, "STOPPING=1", NULL);
}

static int
run(int argc, char **argv, struct err *e)
{
	const struct sigaction act = {.sa_handler = on_signal};
	AUTO_NOTIFY struct notify manager = NOTIFY_INIT;
	const struct keep_going keep_going = {ask, &manager};
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_WATCH struct watch *watch = NULL;
	struct watch_options o = {.signing = SIGNING_INIT};
	struct watch_settings s = {.keep_going = &keep_going};
	uint64_t every_s;

	if (options_read(argc, argv, &o, e) < 0 || workspace_open(o.signing.workspace, &w, e) < 0 ||
		every_choose(&o, &w, &every_s, e) < 0 || notify_open(&manager, e) < 0)
		return -1;
	s.pass = o.signing.pass;
	s.tell = o.json ? tell_json : tell_text;
	if (watch_open(&w, &s, &watch, e) < 0)
		return -1;
	(void)sigaction(SIGTERM, &act, NULL);
	(void)sigaction(SIGINT, &act, NULL);
	if (o.once)
		return look_once(watch, (int64_t)every_s * 1000, e);
	look_on(watch, (int64_t)every_s * 1000, &manager);
	return 0;
}

const struct command cmd_watch = {
	.name = "watch",
	.summary = "publish and judge, by itself",
	.help = help,
	.run = run,
};
