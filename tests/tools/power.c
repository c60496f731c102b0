/* Plays the bootloader and the power button of a box with the simulated boot environment.
 *
 *     power --dir BOX --agent PATH [--can-boot CMD] [--restarts N]
 *         boots the box and runs `PATH -c BOX/agent.conf run` until SIGTERM. A file
 *         BOX/reboot-requested reboots it, SIGUSR1 cuts its power and boots it again. CMD SIDE
 *         exits other than 0 when that side cannot boot. An agent that ends is started again, N
 *         times (5) in a boot; then the box is off and the exit status 1.
 *     power --dir BOX --once [--can-boot CMD]
 *         only what the bootloader does at power-on.
 *
 * Prints a line for every event. Exit status 3: neither side boots. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/boot_env.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/process.h"
#include "common/crypto/random.h"

enum {
	EXIT_DEAD = 3,
	BOOTS_MAX = 2 * BOOT_TRIES_MAX,
	TICK_MS = 50,
	STOP_MS = 10000,
	CAN_BOOT_MS = 10000,
	RESTART_MS = 200,
};

struct power {
	const char *dir, *agent, *can_boot;
	uint64_t restarts;
	bool once;
	char conf_path[PATH_MAX], reboot_path[PATH_MAX];
	struct conf conf;
};

enum ended { ENDED_REBOOT, ENDED_CUT, ENDED_OFF, ENDED_AGENT };

static volatile sig_atomic_t stop_asked, cut_asked;

static void
on_signal(int number)
{
	if (number == SIGUSR1)
		cut_asked = 1;
	else
		stop_asked = 1;
}

__attribute__((format(printf, 1, 2))) static void
event(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	(void)putchar('\n');
	(void)fflush(stdout);
}

/* Whether CMD SIDE says that the side starts. */
static bool
side_starts(const struct power *p, enum side side)
{
	const char *argv[] = {p->can_boot, side_name(side), NULL};
	struct err e = ERR_INIT;
	int status = 0;

	if (!p->can_boot)
		return true;
	if (process_run(&(struct process){.argv = argv, .timeout_ms = CAN_BOOT_MS}, &status, &e) <
		0) {
		event("can-boot: %s", e.text);
		return false;
	}
	return status == 0;
}

/* One attempt. *booted is false when the side that was picked did not start. broken[] are sides for
 * good that were seen not to start: a bootloader tries the other one then. */
static int
attempt(const struct power *p, bool broken[SIDES], bool *booted, struct err *e)
{
	char id[2 * 8 + 8] = "boot-";
	struct boot_env env, shown;

	if (boot_env_load(p->conf.boot_file, &env, e) < 0)
		return -1;
	random_hex(8, id + strlen(id));
	shown = env;
	for (size_t i = 0; i < SIDES; i++)
		shown.vars.side[i].bootable = shown.vars.side[i].bootable && !broken[i];
	if (boot_env_power_on(&shown, id, e) < 0)
		return -1;
	env.booted = shown.booted;
	env.vars.side[env.booted].tries_left = shown.vars.side[env.booted].tries_left;
	memcpy(env.boot_id, shown.boot_id, sizeof(env.boot_id));
	if (boot_env_save(p->conf.boot_file, &env, e) < 0)
		return -1;
	*booted = side_starts(p, env.booted);
	event("%s %s, %llu tries left, boot id %s", *booted ? "boot" : "failed boot",
		side_name(env.booted), (unsigned long long)env.vars.side[env.booted].tries_left,
		env.boot_id);
	if (!*booted && env.vars.side[env.booted].confirmed)
		broken[env.booted] = true;
	return 0;
}

static int
boot(const struct power *p)
{
	bool broken[SIDES] = {false}, booted = false;

	for (int i = 0; i < BOOTS_MAX && !booted; i++) {
		struct err e = ERR_INIT;

		if (attempt(p, broken, &booted, &e) < 0) {
			event("dead: %s", e.text);
			return EXIT_DEAD;
		}
	}
	return booted ? 0 : EXIT_DEAD;
}

static pid_t
agent_start(const struct power *p)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)setpgid(0, 0);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)execl(p->agent, p->agent, "-c", p->conf_path, "run", (char *)NULL);
		_exit(127);
	}
	/* It is killed as a group, maybe before it has run at all: then there was none yet, and it
	 * would live on. */
	if (pid > 0)
		(void)setpgid(pid, pid);
	return pid;
}

static bool
agent_reap(pid_t pid, int64_t wait_ms, int *status)
{
	int64_t until = clock_boot_ms() + wait_ms;

	do {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		clock_sleep_ms(wait_ms > 0 ? TICK_MS : 0);
	} while (clock_boot_ms() < until);
	return false;
}

static void
agent_stop(pid_t pid, bool cut)
{
	int status;

	if (!cut) {
		(void)kill(pid, SIGTERM);
		if (agent_reap(pid, STOP_MS, &status)) {
			event("agent stopped, status %d", status);
			(void)kill(-pid, SIGKILL);
			return;
		}
		event("agent did not stop");
	}
	(void)kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

/* Waits for whatever ends this run of the agent. */
static enum ended
agent_watch(const struct power *p, pid_t pid)
{
	for (;;) {
		int status;

		if (agent_reap(pid, 0, &status)) {
			event("agent ended, status %d", status);
			(void)kill(-pid, SIGKILL);
			return file_exists(p->reboot_path) ? ENDED_REBOOT : ENDED_AGENT;
		}
		if (stop_asked || cut_asked || file_exists(p->reboot_path)) {
			bool cut = cut_asked;

			agent_stop(pid, cut);
			return stop_asked ? ENDED_OFF : cut ? ENDED_CUT : ENDED_REBOOT;
		}
		clock_sleep_ms(TICK_MS);
	}
}

/* From a boot to what ends it. */
static enum ended
run_agent(const struct power *p)
{
	enum ended how = ENDED_AGENT;

	for (uint64_t i = 0; i <= p->restarts && how == ENDED_AGENT && !stop_asked; i++) {
		pid_t pid;

		if (i > 0)
			clock_sleep_ms(RESTART_MS);
		pid = agent_start(p);
		if (pid < 0)
			return ENDED_AGENT;
		event("agent started, pid %ld", (long)pid);
		how = agent_watch(p, pid);
	}
	return stop_asked ? ENDED_OFF : how;
}

static int
run(const struct power *p)
{
	for (;;) {
		int rc = boot(p);

		if (rc != 0 || p->once)
			return rc;
		switch (run_agent(p)) {
		case ENDED_REBOOT:
			(void)unlink(p->reboot_path);
			event("reboot");
			break;
		case ENDED_CUT:
			cut_asked = 0;
			(void)unlink(p->reboot_path);
			event("power cut");
			break;
		case ENDED_OFF:
			event("off");
			return 0;
		case ENDED_AGENT:
			event("off: the agent does not stay up");
			return 1;
		}
	}
}

static int
options_read(int argc, char **argv, struct power *p)
{
	static const struct option known[] = {{"dir", required_argument, NULL, 'd'},
		{"agent", required_argument, NULL, 'a'}, {"can-boot", required_argument, NULL, 'b'},
		{"restarts", required_argument, NULL, 'r'}, {"once", no_argument, NULL, 'o'}, {0}};
	struct err e = ERR_INIT;

	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		switch (option) {
		case 'd':
			p->dir = optarg;
			break;
		case 'a':
			p->agent = optarg;
			break;
		case 'b':
			p->can_boot = optarg;
			break;
		case 'r':
			if (num_parse(optarg, 0, 1000, &p->restarts, &e) < 0)
				return -1;
			break;
		case 'o':
			p->once = true;
			break;
		default:
			return -1;
		}
	}
	return p->dir && (p->once || p->agent) && optind == argc ? 0 : -1;
}

int
main(int argc, char **argv)
{
	struct power p = {.restarts = 5};
	struct sigaction action = {.sa_handler = on_signal};
	struct err e = ERR_INIT;
	int rc;

	if (options_read(argc, argv, &p) < 0) {
		(void)fputs("usage: power --dir BOX (--once | --agent PATH) [--can-boot CMD] "
			    "[--restarts N]\n",
			stderr);
		return 2;
	}
	if (path_join(p.conf_path, sizeof(p.conf_path), p.dir, "agent.conf", &e) < 0 ||
		path_join(p.reboot_path, sizeof(p.reboot_path), p.dir, "reboot-requested", &e) <
			0 ||
		conf_load(p.conf_path, &p.conf, &e) < 0) {
		(void)fprintf(stderr, "power: %s\n", e.text);
		return 2;
	}
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGUSR1, &action, NULL);
	rc = run(&p);
	conf_free(&p.conf);
	return rc;
}
