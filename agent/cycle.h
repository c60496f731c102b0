/* The walk of an update on a box: `sluice-agent run` and `sluice-agent check`. */
#ifndef SLUICE_AGENT_CYCLE_H
#define SLUICE_AGENT_CYCLE_H

#include "common/base/err.h"

/* Polls, decides and updates until SIGTERM (or SIGINT), which ends it at a safe point; SIGHUP polls
 * now. The state is locked while something is done, not between polls. Fails only for what no later
 * poll can mend: configuration, state, trusted root. */
int cycle_run(const char *conf_path, struct err *e);

/* One poll: prints the decision and why. Installs nothing; what the poll learns (newer metadata,
 * stops) is kept. */
int cycle_check(const char *conf_path, struct err *e);

#endif
