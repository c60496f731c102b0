#include "agent/courier.h"

#include "agent/spool.h"
#include "common/base/clock.h"
#include "common/base/log.h"

enum courier_end
courier_send(struct courier *c, const struct conf *conf, struct net *n,
	const struct keep_going *keep_going)
{
	struct net_reply reply;
	struct err e;

	if (clock_boot_ms() < c->not_before_ms)
		return COURIER_IDLE;
	if (spool_send(conf, n, keep_going, &reply, &e) == 0) {
		c->pace.failures = 0;
		return reply.status >= 200 && reply.status < 300 ? COURIER_THROUGH : COURIER_IDLE;
	}
	log_warning("reports wait: %s", e.text);
	c->not_before_ms = clock_boot_ms() + pace_retry_ms(&c->pace, conf, reply.retry_after_s);
	return COURIER_FAILED;
}
