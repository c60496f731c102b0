/* Effective time (DESIGN section 2, "Time"): what a box without a clock may take for now.
 *
 * Pure: clocks come in, the caller keeps struct state. */
#ifndef SLUICE_AGENT_EFFECTIVE_H
#define SLUICE_AGENT_EFFECTIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/state.h"
#include "common/base/json.h"

/* What the clocks say. */
struct clocks {
	int64_t wall_s, boot_ms;
	bool trusted; /* the wall clock is synchronised, or agent.conf says that it is right */
};
struct clocks clocks_read(bool trust_clock);

/* Where the floor stands since this agent started. */
struct effective {
	int64_t floor_boot_ms;	/* the boot clock when the floor was known to hold */
	uint64_t floor_version; /* which floor that was: another process may have moved it since */
	uint64_t first_version; /* of the timestamp that was known at the start; 0: none */
};

/* At the start, with the state as it was loaded. */
struct effective effective_start(const struct state *s, const struct clocks *now);

/* The trusted wall clock, else the later of wall clock and floor plus the boot clock elapsed since.
 */
int64_t effective_now_s(const struct effective *t, const struct state *s, const struct clocks *now);

/* Drops a floor that other timestamp keys vouched for than those in force. True when it did. */
bool effective_check_keys(
	struct effective *t, struct state *s, const struct digest *timestamp_keys);

/* Takes the floor from a trusted timestamp.json ("signed"), if it is a newer version than the
 * state's. One without signed_at (not made by Sluice) counts as seen and gives no floor. A floor
 * of the same keys never sinks, and effective time does not go back within a boot. What remains to
 * who holds a timestamp key: after each boot of a box without a clock, time may begin again where
 * the newest honest floor was. True when the state changed. */
bool effective_take(struct effective *t, struct state *s, const json_t *timestamp,
	const struct digest *timestamp_keys, const struct clocks *now);

/* Whether the time is as good as unknown: there is no trusted clock, and no floor either, or one
 * past the date at which the trusted root expires. Either somebody with a timestamp key has vouched
 * for such a time, or the box has slept that long: all it can do is fetch a newer root. */
bool effective_is_unknown(const struct effective *t, const struct state *s,
	const struct clocks *now, const json_t *root);

/* Whether it is known that metadata is no replay from before this start: by a trusted clock, or
 * because a newer timestamp than the last one known has been seen since. */
bool effective_is_fresh(const struct effective *t, const struct state *s, const struct clocks *now);

#endif
