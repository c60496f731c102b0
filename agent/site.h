/* The servers of a site, all with the same content: [site] url, and then mirrors. */
#ifndef SLUICE_AGENT_SITE_H
#define SLUICE_AGENT_SITE_H

#include "agent/conf.h"
#include "common/base/buf.h"

/* How many there are; 1 for a box without a site, too. */
size_t site_count(const struct conf *c);

/* The base URL of one of them, from 0, as agent.conf has it; empty without a site. Borrowed. */
struct span site_span(const struct conf *c, size_t number);

#endif
