/* What the daemon is told by signals: to end, or to poll now. */
#ifndef SLUICE_AGENT_SIGNALS_H
#define SLUICE_AGENT_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Set by SIGTERM and SIGINT, for ever. */
extern volatile sig_atomic_t signals_ending;

/* From now on signals set flags and end waits, and no call goes on by itself after one. */
void signals_catch(void);

/* Waits until the time is up or one of SIGTERM, SIGINT and SIGHUP comes or has come: true then. */
bool signals_nap(int64_t ms);

#endif
