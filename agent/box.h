/* A box as its programs start with it: configuration, bootloader, state, and the lock on it. */
#ifndef SLUICE_AGENT_BOX_H
#define SLUICE_AGENT_BOX_H

#include "agent/boot.h"
#include "agent/conf.h"
#include "agent/decide.h"
#include "agent/state.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

struct box {
	struct conf conf;
	const struct boot_backend *boot;
	struct state *state;
	int lock;
};

#define BOX_INIT ((struct box){.lock = -1})
void box_close(struct box *b);
#define AUTO_BOX CLEANUP(box_close)

/* Reads the configuration and the state, without the lock: for looking. Changes nothing. */
int box_open(const char *conf_path, struct box *out, struct err *e);

/* The same for the daemon: says in the log where the bootloader is not set up so that an update can
 * be relied on it. What is under way goes on all the same. */
int box_start(const char *conf_path, struct box *out, struct err *e);

/* Takes the lock (making the state folder where there is none) and reads the state anew: before
 * anything is changed. ERR_REFUSED when another agent is at work. */
int box_lock(struct box *b, struct err *e);
void box_unlock(struct box *b);

/* The same for a person who asks: waits for a daemon that is at work, but not for a whole install.
 */
int box_lock_patiently(struct box *b, struct err *e);

/* What runs on this box: of the slots that the bootloader switches, or of the linked ones where
 * there are no others. known is false where this agent did not install it. Borrowed from the state.
 */
int box_running(const struct box *b, const struct release **out, struct err *e);

/* What runs of the folders that a link switches. NULL where the box has none. */
int box_linked(const struct box *b, const struct release **out, struct err *e);

/* What this box is, for a decision: all but the time and how fresh the world is. Borrows from b. */
int box_facts(const struct box *b, struct facts *out, struct err *e);

/* Runs the command of agent.conf that reboots. ERR_REFUSED where there is none. */
int box_reboot(const struct box *b, struct err *e);

#endif
