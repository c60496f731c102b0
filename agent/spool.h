/* Reports on their way: signed, kept on disk until the server has taken them, sent in order. */
#ifndef SLUICE_AGENT_SPOOL_H
#define SLUICE_AGENT_SPOOL_H

#include "agent/conf.h"
#include "agent/net.h"
#include "agent/state.h"
#include "common/base/err.h"
#include "common/format/report.h"

/* Signs a report with the box's report key and keeps it durably as state_dir/spool/SEQ.json, whole
 * or not at all. Fills in who, when and seq (which is used up in s, and that saved, before the file
 * is made: a number is never used twice). At most SPOOL_MAX are kept: the oldest go. A box without
 * report_url or report_key keeps none, and that is no error. */
int spool_add(const struct conf *c, struct state *s, struct report *r, struct err *e);

/* The same for one that is made again until it is known to be kept: *seq, a part of s, is 0 before
 * the first time and then the number it was given, so that all of them are the same report. */
int spool_add_once(
	const struct conf *c, struct state *s, struct report *r, uint64_t *seq, struct err *e);

/* PUTs what is kept, oldest first, and deletes what was taken; stops at the first that was not.
 * One that the server refuses for what it is (413) is deleted too, and logged. One that cannot
 * be read, or is no report of this box's, is set aside as spool/damaged (one at a time is kept): it
 * holds up no other. *reply is of the last request; retry_after_s is -1 where none was made. */
int spool_send(const struct conf *c, struct net *n, const struct keep_going *keep_going,
	struct net_reply *reply, struct err *e);

/* How many are kept. */
int spool_count(const struct conf *c, size_t *count, struct err *e);

#endif
