#include "agent/signals.h"

#include <poll.h>
#include <time.h>

volatile sig_atomic_t signals_ending;
static volatile sig_atomic_t poll_now;

static void
on_signal(int number)
{
	if (number == SIGHUP)
		poll_now = 1;
	else
		signals_ending = 1;
}

void
signals_catch(void)
{
	struct sigaction act = {.sa_handler = on_signal};

	(void)sigaction(SIGTERM, &act, NULL);
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGHUP, &act, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

bool
signals_nap(int64_t ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	sigset_t block, before;
	bool woken;

	/* Blocked until ppoll waits, so that one that comes just before is not missed. */
	(void)sigemptyset(&block);
	(void)sigaddset(&block, SIGTERM);
	(void)sigaddset(&block, SIGINT);
	(void)sigaddset(&block, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &block, &before);
	if (!signals_ending && !poll_now && ms > 0)
		(void)ppoll(NULL, 0, &ts, &before);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	woken = signals_ending || poll_now;
	poll_now = 0;
	return woken;
}
