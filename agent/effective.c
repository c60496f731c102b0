#include "agent/effective.h"

#include "common/base/clock.h"
#include "common/base/num.h"

struct clocks
clocks_read(bool trust_clock)
{
	return (struct clocks){.wall_s = clock_wall_s(),
		.boot_ms = clock_boot_ms(),
		.trusted = trust_clock || clock_is_synchronised()};
}

struct effective
effective_start(const struct state *s, const struct clocks *now)
{
	return (struct effective){.floor_boot_ms = now->boot_ms,
		.floor_version = s->floor_version,
		.first_version = s->floor_version};
}

/* The floor as it stands now. How old one is that was not taken here is not known. */
static int64_t
floor_now_s(const struct effective *t, const struct state *s, const struct clocks *now)
{
	if (s->floor_version != t->floor_version || now->boot_ms <= t->floor_boot_ms)
		return s->floor_s;
	return s->floor_s + (now->boot_ms - t->floor_boot_ms) / 1000;
}

int64_t
effective_now_s(const struct effective *t, const struct state *s, const struct clocks *now)
{
	int64_t floor_s = floor_now_s(t, s, now);

	if (now->trusted || s->floor_s == 0)
		return now->wall_s;
	return now->wall_s > floor_s ? now->wall_s : floor_s;
}

bool
effective_check_keys(struct effective *t, struct state *s, const struct digest *timestamp_keys)
{
	if (s->floor_version == 0 || digest_equal(&s->floor_keys, timestamp_keys))
		return false;
	/* New keys count their versions anew: what was known at the start says nothing of them. */
	t->first_version = 0;
	s->floor_s = 0;
	s->floor_version = 0;
	s->floor_keys = (struct digest){{0}};
	return true;
}

/* Moves the floor up to what newer metadata vouches for. It never sinks, nor does the time that it
 * has reached by the boot clock: else whoever holds a timestamp key could keep it at any day he
 * likes, and nothing would ever expire. */
static void
floor_raise(struct effective *t, struct state *s, int64_t signed_s, const struct clocks *now)
{
	if (s->floor_s == 0 || s->floor_version != t->floor_version ||
		signed_s >= floor_now_s(t, s, now))
		t->floor_boot_ms = now->boot_ms;
	else if (signed_s > s->floor_s)
		t->floor_boot_ms += (signed_s - s->floor_s) * 1000;
	if (signed_s > s->floor_s)
		s->floor_s = signed_s;
}

bool
effective_take(struct effective *t, struct state *s, const json_t *timestamp,
	const struct digest *timestamp_keys, const struct clocks *now)
{
	bool dropped = effective_check_keys(t, s, timestamp_keys);
	uint64_t version;
	const char *text;
	int64_t signed_s = 0;

	if (json_get_uint(timestamp, "version", 1, INT64_MAX, &version, NULL) < 0 ||
		version <= s->floor_version)
		return dropped;
	if (json_get_string(timestamp, "signed_at", CLOCK_TEXT_SIZE, &text, NULL) == 0 &&
		clock_parse(text, &signed_s, NULL) < 0)
		signed_s = 0;
	floor_raise(t, s, signed_s, now);
	s->floor_version = version;
	s->floor_keys = *timestamp_keys;
	t->floor_version = version;
	return true;
}

bool
effective_is_fresh(const struct effective *t, const struct state *s, const struct clocks *now)
{
	return now->trusted || s->floor_version > t->first_version;
}

bool
effective_is_unknown(const struct effective *t, const struct state *s, const struct clocks *now,
	const json_t *root)
{
	const char *text;
	int64_t expires_s;

	if (now->trusted)
		return false;
	if (s->floor_s == 0)
		return true;
	return json_get_string(root, "expires", CLOCK_TEXT_SIZE, &text, NULL) == 0 &&
	       clock_parse(text, &expires_s, NULL) == 0 && effective_now_s(t, s, now) >= expires_s;
}
