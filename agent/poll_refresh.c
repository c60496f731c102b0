/* The refresh: at which time, and what the state keeps of it. */
#include "agent/poller.h"

#include "common/base/log.h"

static int
refresh_at(struct poller *p, int64_t tls_s, int64_t now_s, struct err *e)
{
	struct tuf_fetcher f = poller_fetcher(p);

	p->timestamp_came = false;
	p->lenient = tls_is_lenient(tls_s);
	if (net_set_time(p->net, tls_s, e) < 0)
		return -1;
	return tuf_refresh(p->tuf, &f, now_s, e);
}

static bool
is_bad_certificate(const struct err *e)
{
	return e->class == ERR_NETWORK && e->errnum == NET_BAD_CERTIFICATE;
}

/* Refreshes, with further tries where the time floor may be what stands in the way of TLS (a stolen
 * timestamp key can vouch for any year; the metadata's own signatures, not TLS, are what the box
 * trusts): by the wall clock, and where that is wrong too, and nobody vouches for it, with the
 * floor as the earliest that it can be: the server's certificate may be newer than all that the box
 * knew when it was switched off. By no time at all only where it is as good as unknown. */
static int
refresh_by_floor(struct poller *p, const struct clocks *now, struct err *e)
{
	int64_t now_s = effective_now_s(&p->time, p->state, now);
	int rc = refresh_at(p, now_s, now_s, e);

	if (rc < 0 && is_bad_certificate(e) && now_s != now->wall_s)
		rc = refresh_at(p, now->wall_s, now_s, e);
	if (rc < 0 && is_bad_certificate(e) && !now->trusted)
		rc = refresh_at(p,
			effective_is_unknown(&p->time, p->state, now, tuf_document(p->tuf, "root"))
				? NET_ANY_TIME
				: NET_SINCE(now_s),
			now_s, e);
	return rc;
}

/* Whatever else is fetched, and where reports go, is judged by what is known now. That may still be
 * before the server's certificate begins. */
static int
judge_by_now(const struct poller *p, bool reached, const struct clocks *now, struct err *e)
{
	int64_t now_s = effective_now_s(&p->time, p->state, now);

	return net_set_time(p->net, reached && p->lenient ? NET_SINCE(now_s) : now_s, e);
}

/* Takes over where the floor of versions stands now: also lower, where a root took their keys away.
 * True when the state changed. */
static bool
seen_take(struct poller *p)
{
	struct tuf_floor seen = tuf_floor_of(p->tuf);

	if (tuf_floor_equal(&seen, &p->state->seen))
		return false;
	p->state->seen = seen;
	return true;
}

/* Kept in memory where the disk takes nothing: a stop is to be heard all the same. Whatever starts,
 * activates or confirms an update saves the state itself, and fails there. */
static void
floors_save(struct poller *p)
{
	struct err e;
	int rc = state_save(p->conf->state_dir, p->state, &e);

	if (rc < 0 && !p->unsaved)
		log_error("what is known is not kept, and nothing can be started or confirmed: %s",
			e.text);
	p->unsaved = rc < 0;
}

/* Once more where the time floor has gone with its keys meanwhile. */
int
poller_refresh(struct poller *p, struct err *e)
{
	struct clocks now = clocks_read(p->conf->trust_clock);
	struct digest keys;
	bool changed;
	int rc, known;

	tuf_hold(p->tuf, &p->state->seen);
	rc = refresh_by_floor(p, &now, e);
	keys = tuf_timestamp_keys(p->tuf);
	changed = effective_check_keys(&p->time, p->state, &keys);
	if (rc < 0 && changed)
		rc = refresh_by_floor(p, &now, e);
	if (rc == 0) {
		const json_t *timestamp = tuf_document(p->tuf, "timestamp");

		changed |= effective_take(&p->time, p->state, timestamp, &keys, &now);
	}
	changed |= seen_take(p);
	known = judge_by_now(p, rc == 0, &now, rc == 0 ? e : NULL);
	if (rc == 0)
		rc = known;
	if (changed || p->unsaved)
		floors_save(p);
	return rc;
}
