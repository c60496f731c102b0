/* Bytes that came and were not read yet: as many as were asked for ahead, and no more. */
#ifndef SLUICE_AGENT_RING_H
#define SLUICE_AGENT_RING_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/limits.h"

/* All zero at first. */
struct ring {
	size_t head, count;
	uint8_t data[NET_WINDOW_BYTES];
};

/* There has to be room for them: NET_WINDOW_BYTES less count. */
void ring_put(struct ring *r, struct span bytes);

/* Takes up to len bytes out, in order; how many. */
size_t ring_take(struct ring *r, void *data, size_t len);

#endif
