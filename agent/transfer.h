/* One open request, as the parent of the network child keeps it (net.h); and what it makes of what
 * the child says of it. */
#ifndef SLUICE_AGENT_TRANSFER_H
#define SLUICE_AGENT_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/net.h"
#include "agent/ring.h"
#include "agent/wire.h"

/* What all requests came to: net.h says what of. */
struct net_tally {
	uint64_t received, answers, refusals;
	int64_t range_retry_after_s;
	bool bare; /* the site does not take the certificate, and is asked without */
};

struct net_transfer {
	struct net *net;
	struct net_tally *tally;
	uint32_t id;
	char *path;
	bool has_range, is_report;
	uint64_t len;	 /* of a range exactly, else the most */
	uint64_t taken;	 /* bytes that came */
	uint64_t credit; /* bytes that may still come */
	uint64_t window; /* bytes that may be on their way */
	uint64_t owed;	 /* bytes read and not yet granted again */
	int64_t deadline_ms, alive_ms, stall_ms;
	struct net_reply reply;
	bool ended, met; /* met: somebody took its connection */
	unsigned steps;
	struct err err; /* class ERR_NONE: ended well */
	struct ring queue;
};

/* Ends it, if it has not ended. */
void transfer_fail(struct net_transfer *t, const struct err *why);

/* Takes a message about one that has not ended. An error is a child that breaks the rules. */
int transfer_hear(struct net_transfer *t, const struct wire_message *m, struct err *e);

/* Nobody waits for its answer any more. Whether TLS was agreed on is not known. */
void transfer_give_up(struct net_transfer *t);

#endif
