#include "agent/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/signals.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/num.h"

enum { PETS_A_TIMEOUT = 4 };

/* Like signals, there is one for the process. */
static struct watchdog *opened;

void
watchdog_open(struct watchdog *w, const struct conf *c)
{
	struct err e;

	*w = WATCHDOG_INIT;
	w->device = c->watchdog_device;
	w->timeout_s = c->watchdog_timeout_s;
	w->always = c->watchdog_always;
	opened = w;
	if (notify_open(&w->notify, &e) < 0)
		log_warning("the service manager hears nothing of us: %s", e.text);
}

/* What the driver makes of it may be more or less. */
static void
timeout_set(struct watchdog *w)
{
	int wanted_s = (int)w->timeout_s, given_s = wanted_s;

	if (ioctl(w->fd, WDIOC_SETTIMEOUT, &given_s) < 0 &&
		ioctl(w->fd, WDIOC_GETTIMEOUT, &given_s) < 0)
		given_s = wanted_s;
	if (given_s != wanted_s)
		log_warning("%s: it resets the box after %d s, not after %d s as agent.conf says",
			w->device, given_s, wanted_s);
	w->every_ms = (int64_t)num_max((uint64_t)given_s, 1) * 1000 / PETS_A_TIMEOUT;
	w->next_ms = 0;
}

/* From here on it runs. One that the bootloader has started goes on from here, in our care. */
static int
device_start(struct watchdog *w, struct err *e)
{
	struct watchdog_info info = {0};
	AUTO_CLOSE int fd = open(w->device, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 && errno == EBUSY)
		return err_sys(e, errno,
			"%s is in other hands (systemd's RuntimeWatchdogSec= takes it, too)",
			w->device);
	if (fd < 0)
		return err_sys(e, errno, "opening %s", w->device);
	if (ioctl(fd, WDIOC_GETSUPPORT, &info) < 0)
		return err_sys(e, errno, "%s is no watchdog", w->device);
	if (!(info.options & WDIOF_MAGICCLOSE))
		log_warning("%s: its driver stops it when the agent dies; it resets the box only "
			    "when the agent hangs",
			w->device);
	w->fd = take_fd(&fd);
	timeout_set(w);
	log_notice("%s guards: %.32s", w->device, (const char *)info.identity);
	return 0;
}

static void
start(struct watchdog *w)
{
	struct err e;

	if (device_start(w, &e) == 0) {
		w->problem[0] = 0;
		watchdog_pet(w);
		return;
	}
	if (w->problem[0])
		return;
	(void)snprintf(w->problem, sizeof(w->problem), "no watchdog: %.200s", e.text);
	log_warning("%s; a system that hangs does not fall back by itself", w->problem);
}

/* It says whether it can be stopped before it is closed: one that could not (nowayout) would go on
 * without us, and reset a box that is confirmed. */
static void
stop(struct watchdog *w)
{
	int off = WDIOS_DISABLECARD;

	if (w->keeps_on)
		return;
	if (ioctl(w->fd, WDIOC_SETOPTIONS, &off) < 0 && errno == EBUSY) {
		w->keeps_on = true;
		log_notice("%s cannot be stopped; it is petted on", w->device);
		return;
	}
	if (write(w->fd, "V", 1) != 1)
		log_warning("%s: it may not have been stopped: %s", w->device, strerror(errno));
	(void)close(take_fd(&w->fd));
	log_info("%s is stopped", w->device);
}

void
watchdog_guard(struct watchdog *w, bool on_trial)
{
	bool wanted = w->device && (on_trial || w->always);

	w->on_trial = on_trial;
	if (wanted && w->fd < 0)
		start(w);
	else if (!wanted && w->fd >= 0)
		stop(w);
	if (!wanted)
		w->problem[0] = 0;
	if (!on_trial)
		w->let_go = false;
}

static void
device_pet(struct watchdog *w)
{
	int64_t now_ms = clock_boot_ms();

	if (now_ms < w->next_ms || w->let_go)
		return;
	if (write(w->fd, "", 1) == 1)
		w->next_ms = now_ms + w->every_ms;
}

void
watchdog_pet(struct watchdog *w)
{
	if (!w)
		return;
	notify_pet(&w->notify);
	if (w->fd >= 0)
		device_pet(w);
}

static int
ask_beside(void *arg, struct err *e)
{
	(void)arg;
	(void)e;
	watchdog_pet(opened);
	return 0;
}

struct keep_going
watchdog_beside(void)
{
	return (struct keep_going){.ask = ask_beside};
}

static int64_t
slice_ms(const struct watchdog *w, int64_t left_ms)
{
	if (w->notify.every_ms > 0 && w->notify.every_ms < left_ms)
		left_ms = w->notify.every_ms;
	if (w->fd >= 0 && w->every_ms < left_ms)
		left_ms = w->every_ms;
	return left_ms;
}

bool
watchdog_nap(struct watchdog *w, int64_t ms)
{
	int64_t begin_ms = clock_boot_ms(), left_ms = ms;

	do {
		watchdog_pet(w);
		if (signals_nap(slice_ms(w, left_ms)))
			return true;
		left_ms = ms - (clock_boot_ms() - begin_ms);
	} while (left_ms > 0);
	return false;
}

void
watchdog_let_go(struct watchdog *w)
{
	if (!w->on_trial || w->fd < 0 || w->let_go)
		return;
	w->let_go = true;
	log_error("%s resets the box now, for nothing else does", w->device);
}

void
watchdog_close(struct watchdog *w)
{
	if (w->fd >= 0 && !w->on_trial)
		stop(w);
	if (w->fd >= 0) {
		(void)!write(w->fd, "", 1);
		log_notice(
			"%s runs on: unless the agent starts again, it resets the box", w->device);
	}
	cleanup_fd(&w->fd);
	w->fd = -1;
	notify_close(&w->notify);
	if (opened == w)
		opened = NULL;
}
