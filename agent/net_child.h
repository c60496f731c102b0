/* The process that has the network: the program sluice-net (agent/net/), and what it is told. */
#ifndef SLUICE_AGENT_NET_CHILD_H
#define SLUICE_AGENT_NET_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/conf.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"

/* Has the service manager start it, where that listens for it (sluice-net.socket: it is a user's of
 * its own then, and *pid is 0); else starts it itself, to ask this one of the site's servers
 * (site.h), as who the box is now (identity.h), and to judge certificates at now_s. It gets one end
 * of a socket pair and nothing else of this process: it opens no file of ours, and certificates and
 * TLS key go over the socket. It may still be loading when this returns; it says WIRE_READY.
 * *socket is the parent's end, closed on exec; a send waits for a quarter of a second at most.
 * keep_going (or NULL) is asked while the child takes in what it is told, should that ever be long.
 * ERR_SYSTEM, also where the program is not found; ERR_USAGE where a file of agent.conf is not as
 * it should be. */
int net_child_start(const struct conf *c, size_t site, int64_t now_s,
	const struct keep_going *keep_going, pid_t *pid, int *socket, struct err *e);

/* Whether files that names are resolved by have been replaced since the last child started, or
 * since this was asked: one that runs does not see the new ones. */
bool net_child_is_stale(void);

/* To be told that it says WIRE_READY: one of the service manager's that never did is followed by
 * one of this process's own. */
void net_child_worked(void);

/* Whether the one started last, well or not, was the service manager's. */
bool net_child_is_service(void);

/* Kills it and waits until it is gone; one of the service manager's (pid 0) ends as its socket is
 * closed, and in any case when its unit says. Where why is that it is gone already (NET_GONE), it
 * becomes how that came, which program it is, and what to do. */
void net_child_end(pid_t pid, struct err *why);

#endif
