/* A slide: looks for blocks at every byte of an old place, and not only where blocks begin.
 *
 * What was inserted in a file moves the rest of it by as many bytes, and a program that was linked
 * anew keeps much of its content at other places. It takes a step for each byte, in one thread: 2.8
 * seconds were measured for 768 MiB on a PC, a third of them zeros. */
#ifndef SLUICE_AGENT_SLIDE_H
#define SLUICE_AGENT_SLIDE_H

#include <stdint.h>

#include "agent/hint_table.h"
#include "agent/place.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"

/* Those hints of the table that are nowhere yet are set to the byte that a block with them begins
 * at. What cannot be read is passed over. ERR_STOPPED; ERR_SYSTEM without memory. */
int slide_run(const struct place *place, uint64_t bytes, struct hint_table *table,
	const struct keep_going *keep_going, struct err *e);

#endif
