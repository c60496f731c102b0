/* The process that the network child runs in (http.h says what it does there). */
#ifndef SLUICE_AGENT_NET_CHILD_H
#define SLUICE_AGENT_NET_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/conf.h"
#include "common/base/err.h"

/* Forks it, to ask this one of the site's servers (site.h), as who the box is now (identity.h), and
 * to judge certificates at now_s. *socket is the parent's end, closed on exec; a send waits for a
 * quarter of a second at most. ERR_SYSTEM. */
int net_child_start(
	const struct conf *c, size_t site, int64_t now_s, pid_t *pid, int *socket, struct err *e);

/* Kills it and waits until it is gone. */
void net_child_end(pid_t pid);

#endif
