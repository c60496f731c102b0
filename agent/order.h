/* An order: one release that was decided on, and all that carrying it out needs to know. */
#ifndef SLUICE_AGENT_ORDER_H
#define SLUICE_AGENT_ORDER_H

#include "agent/budget.h"
#include "agent/conf.h"
#include "agent/decide.h"
#include "agent/delta.h"
#include "agent/head.h"
#include "agent/net.h"
#include "agent/world.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/format/listing.h"

/* A copy of its part of the world, which changes while an order is carried out. */
struct order {
	char *bundle_url; /* below the target URL */
	uint64_t bundle_length;
	struct listing listing;
	struct delta_offer delta; /* delta_find() */
	char rollout[NAME_BYTES_MAX + 1], wave[NAME_BYTES_MAX + 1];
	uint64_t plan_version, attempt, deadline_s, stop_poll_s;
	uint64_t budget_bytes; /* 0: anything */
	bool recalls;	       /* boxes, from what they run: hours for downloads do not bind */
};

void order_free(struct order *o);
#define AUTO_ORDER CLEANUP(order_free)

/* For a decision that says VERDICT_UPDATE. The deadline is the plan's or the box maker's, whichever
 * is sooner. */
int order_take(const struct world *w, const struct decision *d, const struct conf *c,
	struct order *out, struct err *e);

/* What it may spend, and when, from now_s on. */
struct budget order_budget(
	const struct order *o, const struct conf *c, struct state *s, int64_t now_s);

/* The pending record that an install begins with. */
struct pending order_pending(const struct order *o);

/* The same, with what signed metadata says of the release: for hooks and reports until its manifest
 * is here. */
struct pending order_announce(const struct order *o);

/* The head that was last brought, and the delta that it came out of: an update that is put off
 * again and again, by an inhibitor or a server without the rest, fetches them once. Begins as
 * KEPT_HEAD_INIT. */
struct kept_head {
	int fd; /* -1: none */
	struct digest sha256;
	struct delta delta; /* its fd is -1: there is none, or it is of no use */
};

#define KEPT_HEAD_INIT ((struct kept_head){.fd = -1, .delta = DELTA_INIT})
void kept_head_drop(struct kept_head *k);

/* Makes the head of the bundle out of the delta, or fetches it by a range, into a file without a
 * name in state_dir, counting what comes against the budget, unless it is the one that is kept;
 * verifies it by the digest, and the identity, that signed metadata names; and keeps it. Where
 * other bytes come than were signed, the site's other servers are asked, each once. ERR_NETWORK;
 * ERR_UNTRUSTED; ERR_REFUSED by the budget, which is over then. */
int order_bring_head(const struct order *o, const struct conf *c, struct net *n, struct budget *b,
	struct kept_head *kept, const struct keep_going *keep_going, struct head *out,
	struct err *e);

#endif
