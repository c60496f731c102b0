#include "agent/courier.h"

#include "agent/spool.h"
#include "common/base/clock.h"
#include "common/base/log.h"

enum { HTTP_UNAUTHORISED = 401, HTTP_FORBIDDEN = 403 };

static bool
is_refusal(const struct err *e)
{
	return net_is_unwelcome(e) ||
	       (e->class == ERR_NETWORK &&
		       (e->errnum == HTTP_UNAUTHORISED || e->errnum == HTTP_FORBIDDEN));
}

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
	if (e.class == ERR_STOPPED)
		return COURIER_STOPPED;
	log_warning("reports wait: %s", e.text);
	c->not_before_ms = clock_boot_ms() + pace_retry_ms(&c->pace, conf, reply.retry_after_s);
	return is_refusal(&e) ? COURIER_REFUSED : COURIER_FAILED;
}
