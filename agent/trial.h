/* The trial of a new system: confirmed when it is healthy, and, where it came over the network,
 * when it reaches the server, whose gate says nothing against it; given up past its deadline. */
#ifndef SLUICE_AGENT_TRIAL_H
#define SLUICE_AGENT_TRIAL_H

#include <stdbool.h>

#include "agent/box.h"
#include "agent/lookout.h"
#include "agent/poll.h"
#include "agent/trial_note.h"

enum trial_end {
	TRIAL_GOES_ON,	 /* not yet: try again in a while */
	TRIAL_CONFIRMED, /* committed */
	TRIAL_GIVEN_UP,	 /* reverting: reboot, or for trees it is done */
};

struct trial {
	struct box *box;
	struct poller *poller; /* NULL: a box without a server */
	struct lookout *lookout;
	unsigned rounds;     /* that went by without an end; 0 starts a trial anew */
	struct digest right; /* the release whose slots were found to be right in this boot */
	uint64_t answers, refusals; /* of servers, before the first round */
	struct trial_note note;
	struct err why; /* what last spoke against confirming, but for the deadline */
};

/* One round. *e says why it goes on or was given up. -1: neither could be done (or SIGTERM). */
int trial_round(struct trial *t, enum trial_end *end, struct err *e);

/* Fails past the deadline of the trial that runs, if one does, for a stop of it, and for SIGTERM:
 * for whatever waits for another server than the site's meanwhile. */
struct keep_going trial_keep_going(struct trial *t);

/* Whether the bootloader tries this system, and may go back to the other side, though the state is
 * a new box's: what holds it is not there on the new system, say. Nothing confirms that. */
bool trial_is_forgotten(const struct box *b);

/* Whether a new system runs that has to be confirmed or left, with a network or without; one that
 * is forgotten, too. */
bool trial_is_on(const struct box *b);

/* Where no round can be had, for the state cannot be written: asks for a stop, and goes back by it
 * (revert.h). True: reboot. */
bool trial_is_stopped(struct trial *t, struct err *e);

/* How long to wait before the next. */
int64_t trial_wait_ms(const struct trial *t);

#endif
