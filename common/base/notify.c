#include "common/base/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/base/text.h"

enum { SEND_S = 5, STATUS_SIZE = 512, SIGNS_A_TIMEOUT = 4 };

void
notify_close(struct notify *n)
{
	cleanup_fd(&n->fd);
	*n = NOTIFY_INIT;
}

/* A path, or the name of an abstract socket behind an '@'. */
static int
address_set(struct notify *n, const char *name, struct err *e)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(n->to.sun_path))
		return err_set(e, ERR_USAGE, "NOTIFY_SOCKET is not a socket's path: %.64s", name);
	n->to = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(n->to.sun_path, name, len);
	if (name[0] == '@')
		n->to.sun_path[0] = 0;
	/* Of an abstract name every byte counts, a zero behind it too. */
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
	return 0;
}

static int
interval_set(struct notify *n, const char *usec, const char *pid, struct err *e)
{
	uint64_t us, who;

	if (!usec)
		return 0;
	if (num_parse(usec, 1, UINT64_MAX, &us, e) < 0)
		return err_context(e, "WATCHDOG_USEC");
	if (pid && num_parse(pid, 1, INT32_MAX, &who, e) < 0)
		return err_context(e, "WATCHDOG_PID");
	if (pid && who != (uint64_t)getpid())
		return 0;
	us = num_min(us, INT32_MAX * 1000ULL) / SIGNS_A_TIMEOUT;
	n->every_ms = (int64_t)num_max(us / 1000, 1);
	return 0;
}

static int
socket_open(struct notify *n, struct err *e)
{
	const struct timeval patience = {.tv_sec = SEND_S};

	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd < 0)
		return err_sys(e, errno, "making a socket for the service manager");
	if (setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return err_sys(e, errno, "setting up the service manager's socket");
	return 0;
}

int
notify_open(struct notify *n, struct err *e)
{
	const char *name = getenv("NOTIFY_SOCKET");
	AUTO_NOTIFY struct notify made = NOTIFY_INIT;
	int rc = 0;

	if (name && *name)
		rc = address_set(&made, name, e) < 0 ||
				     interval_set(&made, getenv("WATCHDOG_USEC"),
					     getenv("WATCHDOG_PID"), e) < 0 ||
				     socket_open(&made, e) < 0
			     ? -1
			     : 0;
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	if (rc < 0)
		return -1;
	*n = made;
	made = NOTIFY_INIT;
	return 0;
}

int
notify_say(const struct notify *n, const char *line, struct err *e)
{
	ssize_t sent;

	if (n->fd < 0)
		return 0;
	do
		sent = sendto(n->fd, line, strlen(line), MSG_NOSIGNAL,
			(const struct sockaddr *)&n->to, n->to_len);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? err_sys(e, errno, "telling the service manager") : 0;
}

void
notify_status(const struct notify *n, const char *format, ...)
{
	static const char word[] = "STATUS=";
	char line[STATUS_SIZE] = "STATUS=";
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line + sizeof(word) - 1, sizeof(line) - (sizeof(word) - 1), format, args);
	va_end(args);
	text_clean(line);
	/* Behind a newline it would be another word of the protocol. */
	for (char *c = line; *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	(void)notify_say(n, line, NULL);
}

void
notify_pet(struct notify *n)
{
	int64_t now_ms;

	if (n->fd < 0 || n->every_ms == 0)
		return;
	now_ms = clock_boot_ms();
	/* What did not get through is sent again at the next occasion. */
	if (now_ms >= n->next_ms && notify_say(n, "WATCHDOG=1", NULL) == 0)
		n->next_ms = now_ms + n->every_ms;
}
