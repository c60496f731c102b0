/* Inside the poller: its state, and what its files share. */
#ifndef SLUICE_AGENT_POLLER_H
#define SLUICE_AGENT_POLLER_H

#include "agent/effective.h"
#include "agent/poll.h"
#include "agent/vault.h"
#include "common/tuf/tuf.h"

/* What lifts stops of one gate, as it was last known. */
struct lifts {
	bool known;
	json_t *resumes; /* or NULL */
};

struct poller {
	const struct conf *conf;
	struct net *net;
	struct state *state;
	struct effective time;
	char gate_path[TUF_PATH_MAX + 1];
	struct vault vault;
	struct tuf_store store;
	struct tuf_client *tuf;
	const struct keep_going *keep_going; /* of the poll that runs */
	enum polled polled;
	bool unsaved; /* the state could not be saved, and that is logged */
	bool lenient; /* the last refresh needed NET_ANY_TIME or NET_SINCE */
	int64_t retry_after_s;

	/* timestamp.json as it came last and was good, and as it is being judged. */
	struct buf timestamp, timestamp_new;
	char etag[128], etag_new[128];
	size_t etag_site, etag_new_site; /* net_request.etag_site */
	bool timestamp_came;		 /* in this poll, whole, and not as 304 */
	struct net_transfer *asked;	 /* by poller_ask_changed */
	struct lifts plan_lifts, all_lifts;

	/* The world of these versions is still good until the first of its documents expires. */
	struct world *world;
	json_int_t world_snapshot, world_root;
	int64_t world_until_s;
};

/* Metadata and targets from the site, as long as p->keep_going lets it. */
struct tuf_fetcher poller_fetcher(struct poller *p);

/* The first step of a poll: brings root, timestamp, snapshot and targets up to date, at effective
 * time, and the state's floors with them. Errors as of poller_poll. */
int poller_refresh(struct poller *p, struct err *e);

#endif
