/* Where the network child finds what it is asked for. */
#ifndef SLUICE_AGENT_NET_ADDRESS_H
#define SLUICE_AGENT_NET_ADDRESS_H

#include <stdint.h>

#include "agent/net/papers.h"
#include "common/base/buf.h"

/* Appends the URL of a path below a base (enum net_base). ERR_USAGE where agent.conf names none. */
int address_of(const struct papers *papers, uint32_t base, const char *path, struct buf *url,
	struct err *e);

#endif
