/* What the bootloader forgot: the side that runs was confirmed, and its environment does not say so
 * any more. Firmware took its entry out of BootOrder, say, or storage that wears out gave back what
 * stood there before; and a start or two from now would end on the other side. */
#ifndef SLUICE_AGENT_REAFFIRM_H
#define SLUICE_AGENT_REAFFIRM_H

#include "agent/box.h"

/* 0 where the environment agrees, or nothing says that it has to: an update is under way, this side
 * was not installed by this agent, or a person has just rolled it back. ERR_SYSTEM where it does
 * not agree, or cannot be read. */
int reaffirm_check(const struct box *b, struct err *e);

/* Mends the environment where part of it is lost, and confirms that side again where it was
 * forgotten; says so in the log. The lock is held. */
void reaffirm(const struct box *b);

#endif
