/* The parent's view of the network child: requests out, unverified bytes in (wire.h between them).
 *
 * The child holds the TLS key and the network, the parent everything else. Several requests may be
 * open at once; each has a window of bytes that the child may send ahead, so nothing grows. */
#ifndef SLUICE_AGENT_NET_H
#define SLUICE_AGENT_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/conf.h"
#include "agent/source.h"
#include "agent/wire.h"
#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/tls.h"

struct net;

/* Starts the child (net_child.h), and does not wait until it works: the first net_open does. now_s
 * is the effective time that certificates are judged at; net_set_time changes it (NET_ANY_TIME,
 * NET_SINCE: tls.h). c is borrowed. keep_going (or NULL) is copied, and asked at least once a
 * second while a child is waited for, here or later, for a watchdog may be running; ERR_STOPPED
 * where it says no. ERR_USAGE when agent.conf names no server; ERR_USAGE or ERR_SYSTEM when the
 * certificates cannot be read. */
int net_start(const struct conf *c, int64_t now_s, const struct keep_going *keep_going,
	struct net **out, struct err *e);
void net_stop(struct net **n);
#define AUTO_NET CLEANUP(net_stop)
int net_set_time(struct net *n, int64_t now_s, struct err *e);

#define NET_ANY_TIME TLS_ANY_TIME
#define NET_SINCE(s) TLS_SINCE(s)

/* Whether a server says that it does not take the box's certificate, which was shown: by what it
 * answered (400, as nginx does), or in the handshake. */
static inline bool
net_is_unwelcome(const struct err *e)
{
	return e->class == ERR_NETWORK &&
	       (e->errnum == NET_UNWELCOME || e->errnum == NET_TURNED_AWAY);
}

/* Asks the next of the site's servers from now on, [site] url and mirrors in turn, and logs which
 * one it leaves, and why; every open transfer fails. False when there is but one, and nothing
 * happens. */
bool net_next_site(struct net *n, const struct err *left_for);

/* Whom the box is to servers has changed (identity.h), or which of them it believes: the next
 * request finds a new child; every open transfer fails. */
void net_restart(struct net *n);

/* How many there are. */
size_t net_sites(const struct net *n);

/* The same for ranges of bundles, which [site] targets_url is asked for first, if it is said: where
 * it is that, the site is asked from now on, for an hour, and no open transfer fails. */
bool net_next_source(struct net *n, const struct err *left_for);
size_t net_sources(const struct net *n);

/* Whether ranges are asked of targets_url now. */
bool net_asks_copy(const struct net *n);

struct net_request {
	enum net_base base;
	const char *path; /* quoted, relative to the base */
	bool has_range;
	/* has_range: NET_TARGETS alone, or of its copy (net_asks_copy); exactly these bytes; an
	 * answer of any other kind or length is ERR_NETWORK, but for the whole file (status 200),
	 * which then comes from its byte 0 on */
	uint64_t offset, len;
	uint64_t max;	     /* no range: the most bytes taken; more is ERR_LIMIT */
	const char *etag;    /* ask only for what changed since; or NULL */
	size_t etag_site;    /* whose it is: servers make their own, and no other gets it */
	struct span put;     /* NET_REPORTS: the body to PUT */
	int64_t deadline_ms; /* for the whole of it; 0: only the stall limit */
};

struct net_reply {
	long status; /* 200, 206, 304, 404 ... */
	char etag[128];
	size_t site;	       /* which of the site's servers was asked, from 0 */
	bool from_copy;	       /* it was none of them, but targets_url */
	int64_t retry_after_s; /* 429 and 503; -1 where not given; capped */
};

/* An open request. The child that dies, hangs or breaks the rules of wire.h is killed, every open
 * transfer then fails with ERR_NETWORK, and the next net_open starts another one. A failure that
 * the child tells of is ERR_NETWORK, ERR_SYSTEM or, without a range, ERR_LIMIT, whatever it says:
 * it can keep bytes from the box, and condemn nothing. */
struct net_transfer;

/* Starts a request and does not wait. What r points at is copied. ERR_NETWORK, ERR_SYSTEM. */
int net_open(struct net *n, const struct net_request *r, struct net_transfer **out, struct err *e);

/* Whether net_read would give something, or the end or an error, without waiting. */
bool net_ready(struct net_transfer *t);

/* Gives 1 to len body bytes in order; 0 at the end of a good answer; -1 with e. Asks keep_going (or
 * NULL) at least once a second while it waits; that may open, read and close other transfers. */
ssize_t net_read(struct net_transfer *t, void *data, size_t len,
	const struct keep_going *keep_going, struct err *e);

/* Whether it has ended without success, and there is nothing left to read. Does not wait. */
bool net_failed(struct net_transfer *t);

/* Waits until no range is on its way any more, or so long. */
void net_settle(struct net *n, int64_t ms);

/* What is known of the answer so far; status 0: nothing yet. */
const struct net_reply *net_reply_of(const struct net_transfer *t);

/* Ends it, whether or not it came to its end. NULL is allowed. Before net_stop. */
void net_close(struct net_transfer **t);
#define AUTO_TRANSFER CLEANUP(net_close)

/* The whole answer appended to out. 304 gives 0 with nothing appended. Statuses of 400 and more are
 * ERR_NETWORK with e->errnum = status, but for NET_UNWELCOME. keep_going (or NULL) as in source.h.
 */
int net_fetch(struct net *n, const struct net_request *r, struct buf *out, struct net_reply *reply,
	const struct keep_going *keep_going, struct err *e);

/* A source over one target path (bundle) of so many bytes, for install_write and for the head.
 *
 * Ranges that are expected are asked for while others are read, a few at a time, and fewer where a
 * server does not like that. A server (or a proxy before it) that answers with the whole file is
 * read once, from its beginning up to the last range: what lies between them is billed. Where that
 * is not enough, since it was cut off or ranges do not come in order, all further ones are
 * ERR_NETWORK that would bring it to more than the file and a hundredth. path is copied. */
struct net_source;
int net_source_new(struct net *n, const char *path, uint64_t bytes,
	const struct keep_going *keep_going, struct net_source **out, struct err *e);
void net_source_free(struct net_source **s);
struct source net_source_of(struct net_source *s);

/* What the server asked for when it last answered a range with 429 or 503; -1: nothing, or it
 * answered another one since. */
int64_t net_range_retry_after_s(const struct net *n);

/* The child's process id, or -1 while there is none. For memory figures and tests. */
pid_t net_pid(const struct net *n);

/* How many answers came, of any status, and connections on which TLS was agreed on and none came:
 * more than before means that a server was reached meanwhile. */
uint64_t net_answers(const struct net *n);

/* How many connections were refused, or taken and ended before TLS was agreed on, and how often
 * keep_going cut the wait for an answer short behind one that was taken: a network is there, and
 * maybe no server, or none that understands this system, or only the way there, behind which all
 * that is larger is lost. */
uint64_t net_refusals(const struct net *n);

/* All bytes that the child took and sent, TLS and headers not counted. */
uint64_t net_bytes_received(const struct net *n);

#endif
