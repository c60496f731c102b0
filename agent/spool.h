/* Reports on their way: signed, kept on disk until the server has taken them, sent in order. */
#ifndef SLUICE_AGENT_SPOOL_H
#define SLUICE_AGENT_SPOOL_H

#include "agent/conf.h"
#include "agent/net.h"
#include "agent/state.h"
#include "common/base/err.h"
#include "common/format/report.h"

/* Signs a report with the box's report key and keeps it durably as state_dir/spool/SEQ.json. Fills
 * in who, when and seq (which is used up in s, and that saved, before the file is made: a number is
 * never used twice). At most SPOOL_MAX are kept: the oldest go. A box without report_url or
 * report_key keeps none, and that is no error. */
int spool_add(const struct conf *c, struct state *s, struct report *r, struct err *e);

/* PUTs what is kept, oldest first, and deletes what was taken; stops at the first that was not.
 * One that the server refuses for what it is (400, 413) is deleted too, and logged. *reply is of
 * the last request. */
int spool_send(const struct conf *c, struct net *n, const struct keep_going *keep_going,
	struct net_reply *reply, struct err *e);

/* How many are kept. */
int spool_count(const struct conf *c, size_t *count, struct err *e);

#endif
