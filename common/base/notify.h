/* Telling the service manager how we are: sd_notify(3)'s protocol, datagrams to $NOTIFY_SOCKET. */
#ifndef SLUICE_BASE_NOTIFY_H
#define SLUICE_BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

struct notify {
	int fd; /* -1: nobody listens */
	struct sockaddr_un to;
	socklen_t to_len;
	int64_t every_ms; /* how often it wants a sign of life; 0: it does not */
	int64_t next_ms;
};
#define NOTIFY_INIT ((struct notify){.fd = -1})

void notify_close(struct notify *n);
#define AUTO_NOTIFY CLEANUP(notify_close)

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no program
 * of ours speaks for us. Without them, or where WATCHDOG_PID is another, it succeeds and nothing is
 * ever sent. every_ms becomes a quarter of WATCHDOG_USEC. ERR_USAGE: they make no sense. */
int notify_open(struct notify *n, struct err *e);

/* Sends "READY=1", "STOPPING=1" and the like. Waits a while where the manager is behind. */
int notify_say(const struct notify *n, const char *line, struct err *e);

/* STATUS=: one line for people, which `systemctl status` shows. Cut where it is long. What cannot
 * be sent is lost. */
void notify_status(const struct notify *n, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A sign of life, where one is due. It costs little, so it may be called before every chunk. To be
 * called by what gets ahead alone, never by a timer: who hangs must fall silent. */
void notify_pet(struct notify *n);

#endif
