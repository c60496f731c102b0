#include "agent/courier.h"

#include "agent/spool.h"
#include "common/base/clock.h"
#include "common/base/log.h"

enum { HTTP_FIRST = 100, HTTP_UNAUTHORISED = 401, HTTP_FORBIDDEN = 403 };

/* A server that says no by another status had no quarrel with the certificate, or it would have
 * said 400, or nothing. */
static enum courier_end
end_of(const struct err *e)
{
	if (e->class == ERR_STOPPED)
		return COURIER_STOPPED;
	if (net_is_unwelcome(e))
		return COURIER_REFUSED;
	if (e->class != ERR_NETWORK)
		return COURIER_HELD;
	if (e->errnum == HTTP_UNAUTHORISED || e->errnum == HTTP_FORBIDDEN)
		return COURIER_DENIED;
	return e->errnum < HTTP_FIRST ? COURIER_FAILED : COURIER_HELD;
}

enum courier_end
courier_carry(struct courier *c, const struct conf *conf, struct net *n,
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
	if (end_of(&e) == COURIER_STOPPED)
		return COURIER_STOPPED;
	log_warning("reports wait: %s", e.text);
	c->not_before_ms = clock_boot_ms() + pace_retry_ms(&c->pace, conf, reply.retry_after_s);
	return end_of(&e);
}
