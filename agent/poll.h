/* Asking the site: metadata through the TUF client, and the documents that concern this box. */
#ifndef SLUICE_AGENT_POLL_H
#define SLUICE_AGENT_POLL_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/conf.h"
#include "agent/net.h"
#include "agent/state.h"
#include "agent/world.h"
#include "common/base/err.h"
#include "common/tuf/tuf.h"

struct poller;

/* Opens the trusted metadata in state_dir/metadata. c, n and s are borrowed; s is the state as it
 * was loaded, and kept (and saved) up to date: the time floor, and stops. */
int poller_new(
	const struct conf *c, struct net *n, struct state *s, struct poller **out, struct err *e);
void poller_free(struct poller **p);
#define AUTO_POLLER CLEANUP(poller_free)

/* Effective time, and whether metadata is known to be no replay (agent/effective.h). */
int64_t poller_now_s(const struct poller *p);
bool poller_is_fresh(const struct poller *p);

/* One poll: timestamp and root N+1, and what changed behind them. *out is borrowed until the next
 * poll. Stops are recorded and lifted in the state, durably, as soon as the gates are read: also
 * when something later fails. An answer is as TUF has it: ERR_NETWORK, ERR_EXPIRED, ERR_UNTRUSTED,
 * ERR_MALFORMED, ERR_LIMIT; or ERR_STOPPED by keep_going (or NULL). */
int poller_poll(struct poller *p, const struct keep_going *keep_going, const struct world **out,
	struct err *e);

/* What the last poll that succeeded found; NULL before. Borrowed as above. */
const struct world *poller_world(const struct poller *p);

/* How the last one ended (refused: net_is_unwelcome), and the version of the snapshot then. */
enum polled { POLL_NONE, POLL_SUCCEEDED, POLL_FAILED, POLL_REFUSED };
enum polled poller_polled(const struct poller *p);
int64_t poller_snapshot(const struct poller *p);

/* Appends another small target of the site to out, verified, after a poll that succeeded; errors as
 * of poller_poll. *found false: signed metadata lists none. */
int poller_take(struct poller *p, const char *path, const struct keep_going *keep_going,
	struct buf *out, bool *found, struct err *e);

/* Where signed metadata lists another target, after a poll that succeeded; appends its path below
 * the target URL to url. Of a role that was read then, nothing is fetched. The caller frees *t.
 */
int poller_find(struct poller *p, const char *path, const struct keep_going *keep_going,
	struct tuf_target *t, struct buf *url, bool *found, struct err *e);

/* The gate of the plan that this box follows; "" without one. */
const char *poller_gate_path(const struct poller *p);

/* Whether the disk has lost trusted metadata since this was last asked: tuf_loss(). */
bool poller_loss(struct poller *p, struct err *why);

/* How often to ask for a stop: as agent.conf has it, or the plan, where that is known and less. */
uint64_t poller_stop_poll_s(const struct poller *p);

/* A wait of someone whose update may start at any moment: for a stop is asked for after it. */
int64_t poller_wait_ms(const struct poller *p, int64_t wait_ms);

/* How often a server answered so far (net_answers). */
uint64_t poller_answers(const struct poller *p);

/* How often one refused the connection (net_refusals). */
uint64_t poller_refusals(const struct poller *p);

/* What the server asked for when the last poll failed with 429 or 503; -1: nothing. */
int64_t poller_retry_after_s(const struct poller *p);

/* Whether timestamp.json is another one than at the last poll, asked without waiting: call it again
 * and again. The request is started by the first call; ANSWER_PENDING until it has ended. */
enum answer { ANSWER_PENDING, ANSWER_SAME, ANSWER_CHANGED, ANSWER_FAILED };
enum answer poller_ask_changed(struct poller *p, struct err *e);

#endif
