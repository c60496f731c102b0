/* The way back of last resort: a new system on which the agent cannot even take its steps, for its
 * state cannot be written, say, or is not there, or the boot environment not be read. It hears of
 * no stop, and no deadline of its own runs out, as it gets no further. Another start goes on the
 * bootloader's count of tries, which brings the old system back. */
#ifndef SLUICE_AGENT_RESCUE_H
#define SLUICE_AGENT_RESCUE_H

#include <stdint.h>

#include "agent/box.h"
#include "agent/watchdog.h"

/* All zero at first. */
struct rescue {
	int64_t since_ms; /* by the boot clock, since when it gets no further; 0: it does */
};

/* After a step that could be taken. */
void rescue_rest(struct rescue *r);

/* After one that could not: starts the box anew where this has lasted for as long as a trial may,
 * and where that cannot be done the watchdog does it. Nothing happens unless a new system is on
 * trial, unconfirmed as far as anyone can tell, that the bootloader leaves. Returns how long to
 * wait for the next step: wait_ms, or less. */
int64_t rescue_step(struct rescue *r, const struct box *b, struct watchdog *w, int64_t wait_ms);

#endif
