/* How long to wait until the next poll: never all boxes at once, and less often while it fails. */
#ifndef SLUICE_AGENT_PACE_H
#define SLUICE_AGENT_PACE_H

#include <stdint.h>

#include "agent/conf.h"

struct pace {
	unsigned failures; /* in a row */
};

/* After a poll that went well: uniform over 0 to poll_s, so that boxes that were started together
 * are spread from the first poll on. Forgets failures. */
int64_t pace_next_ms(struct pace *p, const struct conf *c);

/* After a failure: uniform over 0 to a limit that starts at RETRY_FIRST_S (or poll_s, if that is
 * less) and doubles up to retry_max_s; and not before the server's Retry-After (-1: none), which
 * counts up to retry_max_s. */
enum { RETRY_FIRST_S = 10 };
int64_t pace_retry_ms(struct pace *p, const struct conf *c, int64_t retry_after_s);

/* Seconds until a release that ended inconclusive so many times is tried again: doubles from poll_s
 * up to retry_max_s, and up to as much again at random. */
int64_t pace_spaced_s(const struct conf *c, uint64_t tries);

/* The most that pace_spaced_s ever gives. */
int64_t pace_spaced_max_s(const struct conf *c);

#endif
