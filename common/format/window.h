/* When boxes may start: a plan's window.
 *
 *   {"days":["sat","sun"], "hours":"02:00-05:00", "clock":"local", "spread_s":3600}
 *
 * It binds starting, and switching to what was written: a download that outlasts it goes on, and
 * the reboot waits until it opens again. A stop beats it. Hours may pass midnight; the day is that
 * on which the window opens. An opening lasts from the first moment at which the civil clock says
 * its beginning or later to the first at which it says its end or later. So where clocks go forward
 * over all of it, it is left out that day; over its beginning, it opens late; and where they go
 * back, it does not open a second time.
 *
 * Each box starts at an offset of its own behind the opening, so that not all start at once; one
 * that comes later starts at once. */
#ifndef SLUICE_FORMAT_WINDOW_H
#define SLUICE_FORMAT_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/json.h"

enum { WINDOW_EVERY_DAY = 0x7f, WINDOW_TEXT_SIZE = 96 };

struct window {
	uint8_t days;	   /* a bit a day, Sunday's the lowest; not 0 */
	uint32_t opens_s;  /* behind midnight */
	uint32_t length_s; /* 1 minute to 24 hours */
	uint32_t spread_s; /* up to length_s */
	bool utc;	   /* else by the time zone of this process: TZ, /etc/localtime */
};

/* Reads and checks all of it: every word of the sample above is a must. ERR_MALFORMED, ERR_LIMIT.
 */
int window_parse(const json_t *object, struct window *out, struct err *e);

/* "sat" as the bit of its day; 0 for what is no day. */
uint8_t window_day(const char *name);

/* The name of day i; 0 is "sun". i is below 7. */
const char *window_day_name(size_t i);

/* "02:00-05:00" into opens_s and length_s; minutes, and 24:00 for midnight at the end. -1 for what
 * is not of that form, or ends where it begins. */
int window_hours(const char *text, struct window *out);

/* What a window of this length is spread over where nobody says: half of it. */
uint32_t window_spread_preset(const struct window *w);

/* First 8 bytes of SHA-256("sluice-spread-v1" 00 rollout 00 box), big-endian, × spread_s >> 64:
 * below spread_s, or 0. */
uint32_t window_offset(const struct window *w, const char *rollout, const char *box);

/* One time that a window is open: from opens_s to before closes_s. */
struct opening {
	int64_t opens_s, closes_s;
};

/* The opening that now_s lies in, or the next. False where there is none within two weeks (a zone
 * that leaves out a day). */
bool window_opening(const struct window *w, int64_t now_s, struct opening *out);

/* The first moment from now_s on at which a box with this offset may start: now_s itself where it
 * may now. INT64_MAX where there is none. An opening that clocks made shorter spreads its boxes
 * over as much less. */
int64_t window_turn(const struct window *w, uint32_t offset_s, int64_t now_s);

/* "sat, sun 02:00-05:00 local time": for people. Returns out. */
const char *window_text(const struct window *w, char out[WINDOW_TEXT_SIZE]);

#endif
