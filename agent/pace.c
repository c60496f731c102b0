#include "agent/pace.h"

#include "common/base/num.h"
#include "common/crypto/random.h"

int64_t
pace_next_ms(struct pace *p, const struct conf *c)
{
	p->failures = 0;
	return (int64_t)random_below(c->poll_s * 1000 + 1);
}

int64_t
pace_retry_ms(struct pace *p, const struct conf *c, int64_t retry_after_s)
{
	uint64_t limit_s = num_min(RETRY_FIRST_S, c->poll_s), after_s = 0;

	for (unsigned i = 0; i < p->failures && limit_s < c->retry_max_s; i++)
		limit_s *= 2;
	p->failures++;
	limit_s = num_min(limit_s, c->retry_max_s);
	if (retry_after_s > 0)
		after_s = num_min((uint64_t)retry_after_s, c->retry_max_s);
	return (int64_t)(after_s * 1000 + random_below(limit_s * 1000 + 1));
}

int64_t
pace_spaced_s(const struct conf *c, uint64_t tries)
{
	uint64_t wait_s = num_min(c->poll_s, c->retry_max_s);

	for (uint64_t i = 1; i < tries && wait_s < c->retry_max_s; i++)
		wait_s = num_min(wait_s * 2, c->retry_max_s);
	return (int64_t)(wait_s + random_below(wait_s + 1));
}

int64_t
pace_spaced_max_s(const struct conf *c)
{
	return 2 * (int64_t)c->retry_max_s;
}
