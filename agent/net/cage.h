/* What stands between a network child that was taken over and the rest of the box.
 *
 * Entered before the first byte from the network is read, and never left. Each part is there where
 * the kernel has it, whatever else is: what is in force is a set of enum wire_layer. */
#ifndef SLUICE_AGENT_NET_CAGE_H
#define SLUICE_AGENT_NET_CAGE_H

#include <stdint.h>

#include "agent/net/papers.h"

/* Becomes the user that papers name (where it is root and there is one); gives up capabilities,
 * core dumps, files of its own making, and what else it has no use for; then enters fence.h and
 * filter.h. Never fails: a box that is less protected than others must still be able to get an
 * update. */
uint32_t cage_enter(const struct papers *papers);

#endif
