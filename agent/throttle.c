#include "agent/throttle.h"

#include "common/base/num.h"

enum { SECOND_MS = 1000, PIECES = 4 };

int64_t
throttle_wait_ms(struct throttle *t, int64_t now_ms)
{
	int64_t rate = (int64_t)t->bytes_per_s, since_ms;

	if (rate == 0)
		return 0;
	since_ms = (int64_t)num_min((uint64_t)(now_ms - t->at_ms), SECOND_MS);
	/* What a fraction of a millisecond brings is not lost. */
	if (since_ms * rate / SECOND_MS > 0) {
		t->spare += since_ms * rate / SECOND_MS;
		t->at_ms = now_ms;
	}
	if (t->spare > rate)
		t->spare = rate;
	return t->spare > 0 ? 0 : 1 - t->spare * SECOND_MS / rate;
}

size_t
throttle_piece(const struct throttle *t, size_t len)
{
	return t->bytes_per_s ? (size_t)num_min(len, t->bytes_per_s / PIECES + 1) : len;
}

void
throttle_take(struct throttle *t, size_t len)
{
	if (t->bytes_per_s)
		t->spare -= (int64_t)len;
}
