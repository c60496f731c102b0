/* A delivery: an order's bundle from the server into the slots of the target side. */
#ifndef SLUICE_AGENT_DELIVERY_H
#define SLUICE_AGENT_DELIVERY_H

#include <stdbool.h>

#include "agent/box.h"
#include "agent/budget.h"
#include "agent/head.h"
#include "agent/net.h"
#include "agent/order.h"
#include "common/base/err.h"

/* All borrowed. */
struct delivery {
	struct box *box;
	struct net *net;
	const struct order *order;
	const struct delta *delta; /* that the head came out of, if its fd is not -1 */
	struct budget *budget;
	struct keep_going keep_going;
	/* Called once it is known what it will take, before anything is written, with that in
	 * words. */
	void (*foretell)(void *arg, const struct pending *update, const char *text);
	void *arg;
};

/* Looks what the slots lack, and writes it: install_look(), install_write(). *held: it is too much
 * for the budget. */
int delivery_run(const struct delivery *d, const struct head *h, bool *held, struct err *e);

#endif
