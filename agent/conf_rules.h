/* What the keys of agent.conf must be to each other. */
#ifndef SLUICE_AGENT_CONF_RULES_H
#define SLUICE_AGENT_CONF_RULES_H

#include "agent/conf.h"

/* Fills in e with where a section stands and what is wrong with it, and returns -1. */
typedef int conf_complain_fn(const void *arg, const char *section, const char *what, struct err *e);

/* c is complete but for what is missing on purpose. */
int conf_rules_check(
	const struct conf *c, conf_complain_fn *complain, const void *arg, struct err *e);

#endif
