/* How fast bytes are taken: so many a second, averaged over about one. */
#ifndef SLUICE_AGENT_THROTTLE_H
#define SLUICE_AGENT_THROTTLE_H

#include <stddef.h>
#include <stdint.h>

/* The caller fills in the first, all else being zero. Times are by the boot clock. */
struct throttle {
	uint64_t bytes_per_s; /* 0: as fast as they come */
	int64_t spare;	      /* bytes that may be taken now; below 0: too many were */
	int64_t at_ms;	      /* when that was so */
};

/* How long to wait until more may be taken; 0: now. */
int64_t throttle_wait_ms(struct throttle *t, int64_t now_ms);

/* The most that should be taken in one go. */
size_t throttle_piece(const struct throttle *t, size_t len);

void throttle_take(struct throttle *t, size_t len);

#endif
