/* A release that was left because no server ever answered it: was it the release, or the world?
 *
 * The old system finds out: if it reaches the server promptly, the new one should have, and the
 * release is held to have failed. If it does not, nothing is known, and the release is tried again
 * later, a bounded number of times. Any answer at all, a refusal as well, shows that the new
 * system's network works, and so does TLS that was agreed on: of that, and of metadata that is not
 * fresh, there is no doubt, and it is inconclusive at once. A connection that was refused, or taken
 * by somebody who fell silent, counts as an answer the first time that the release is left over it:
 * the server may have been away, or have hung, and be back while the box goes back. The next time
 * it may be the release's own firewall, or a network that takes connections and loses all that is
 * larger. An old system that is answered, and not well, or refused, knows that it is the server's
 * fault. */
#ifndef SLUICE_AGENT_DOUBT_H
#define SLUICE_AGENT_DOUBT_H

#include <stdbool.h>

#include "agent/box.h"
#include "agent/poll.h"
#include "common/base/err.h"

/* How many polls the time is good for. */
enum { DOUBT_POLLS = 8 };

bool doubt_is_open(const struct state *s);

/* One try; *wait_ms is when to call it again, at random as all polls are. The time of [health]
 * prompt runs in each boot from the first call in it, which does not poll yet. poller may be NULL.
 * Ends it, and saves that, when the server was reached, shows that it is out of order, or the time
 * is over. */
int doubt_poll(const struct box *b, struct poller *poller, const struct keep_going *until_term,
	int64_t *wait_ms, struct err *e);

/* Ends it: reached says what came out. now_s is when the release is put off from, if it was not. */
int doubt_end(const struct conf *c, struct state *s, bool reached, int64_t now_s, struct err *e);

#endif
