/* What sluice-trial goes by (agent/libexec/sluice-trial), which starts the box anew where a new
 * system is not confirmed in its time, whatever became of the agent. The agent notes in a file that
 * is gone after a reboot
 *
 *     until SECONDS     this long after the boot the trial that runs may take
 *     over              this system is confirmed; or no trial runs, and there is no other system
 *                       to go back to
 *
 * and nothing of what it is not sure of: sluice-trial then has a patience of its own. */
#ifndef SLUICE_AGENT_TRIAL_NOTE_H
#define SLUICE_AGENT_TRIAL_NOTE_H

#include <stdbool.h>

#include "agent/box.h"

enum { TRIAL_NOTE_SIZE = 32 };

/* All zero at first. */
struct trial_note {
	char said[TRIAL_NOTE_SIZE];
	bool failed; /* and the log says so */
};

/* Notes what is so now, where that is something new. A note that cannot be written is logged once:
 * nothing else depends on it. Where no bootloader of this machine counts tries ([boot] backend is
 * none; or trial_note is not said, and backend is simulated or cmdline another's), there is none.
 */
void trial_note_write(struct trial_note *n, const struct box *b);

#endif
