#include "common/format/window.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/num.h"
#include "common/format/bucket.h"
#include "common/format/field.h"

enum { DAY_S = 86400, HOUR_S = 3600, DAYS_AHEAD = 15 };

static const char days[][4] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

uint8_t
window_day(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(days); i++) {
		if (strcmp(days[i], name) == 0)
			return (uint8_t)(1U << i);
	}
	return 0;
}

const char *
window_day_name(size_t i)
{
	return days[i % ARRAY_LEN(days)];
}

/* "02:00" at p as minutes, up to 24:00. */
static int
minutes_read(const char *p, uint32_t *out)
{
	static const char shape[] = "00:00";
	uint32_t hours, minutes;

	for (size_t i = 0; shape[i]; i++) {
		if (shape[i] == '0' ? p[i] < '0' || p[i] > '9' : p[i] != shape[i])
			return -1;
	}
	hours = (uint32_t)((p[0] - '0') * 10 + (p[1] - '0'));
	minutes = (uint32_t)((p[3] - '0') * 10 + (p[4] - '0'));
	if (minutes > 59 || hours * 60 + minutes > 24 * 60)
		return -1;
	*out = hours * 60 + minutes;
	return 0;
}

int
window_hours(const char *text, struct window *out)
{
	uint32_t from, to;

	if (strlen(text) != strlen("02:00-05:00") || text[5] != '-' ||
		minutes_read(text, &from) < 0 || minutes_read(text + 6, &to) < 0 ||
		from == 24 * 60 || from == to)
		return -1;
	out->opens_s = from * 60;
	out->length_s = (to > from ? to - from : to + 24 * 60 - from) * 60;
	return 0;
}

uint32_t
window_spread_preset(const struct window *w)
{
	return w->length_s / 2;
}

static int
days_parse(const json_t *object, struct window *w, struct err *e)
{
	json_t *list, *value;
	size_t i;

	if (json_get_array(object, "days", ARRAY_LEN(days), &list, e) < 0)
		return -1;
	json_array_foreach (list, i, value) {
		uint8_t day = json_is_string(value) ? window_day(json_string_value(value)) : 0;

		if (day == 0 || w->days & day)
			return err_set(e, ERR_MALFORMED,
				"'days' has an entry that is no day, like \"sat\", or is there "
				"twice");
		w->days |= day;
	}
	return w->days ? 0 : err_set(e, ERR_MALFORMED, "'days' names none");
}

static int
clock_word_parse(const json_t *object, struct window *w, struct err *e)
{
	const char *text;

	if (json_get_string(object, "clock", WINDOW_HOURS_MAX, &text, e) < 0)
		return -1;
	w->utc = strcmp(text, "utc") == 0;
	if (!w->utc && strcmp(text, "local") != 0)
		return err_set(e, ERR_MALFORMED, "'clock' is neither \"local\" nor \"utc\"");
	return 0;
}

int
window_parse(const json_t *object, struct window *out, struct err *e)
{
	static const char *const known[] = {"days", "hours", "clock", "spread_s", NULL};
	struct window w = {0};
	const char *hours;
	uint64_t spread;

	if (json_only(object, known, e) < 0 || days_parse(object, &w, e) < 0 ||
		json_get_string(object, "hours", WINDOW_HOURS_MAX, &hours, e) < 0 ||
		clock_word_parse(object, &w, e) < 0)
		return -1;
	if (window_hours(hours, &w) < 0)
		return err_set(e, ERR_MALFORMED, "'hours' is not like \"02:00-05:00\"");
	if (json_get_uint(object, "spread_s", 0, w.length_s, &spread, e) < 0)
		return -1;
	w.spread_s = (uint32_t)spread;
	*out = w;
	return 0;
}

uint32_t
window_offset(const struct window *w, const char *rollout, const char *box)
{
	return (uint32_t)bucket_of("sluice-spread-v1", rollout, box, w->spread_s);
}

/* What the civil clock says at a moment, as seconds since 1970-01-01 00:00 of that clock. */
static int64_t
civil_at(const struct window *w, int64_t at_s)
{
	time_t t = (time_t)at_s;
	struct tm tm;

	if (w->utc || !localtime_r(&t, &tm))
		return at_s;
	return (int64_t)timegm(&tm);
}

/* The first moment in (low, high] at which the civil clock says so much or more; it does at high
 * and not at low. */
static int64_t
moment_between(const struct window *w, int64_t civil_s, int64_t low, int64_t high)
{
	while (high - low > 1) {
		int64_t middle = low + (high - low) / 2;

		if (civil_at(w, middle) >= civil_s)
			high = middle;
		else
			low = middle;
	}
	return high;
}

/* The first moment at which the civil clock says so much or more. Around one change of the zone's
 * offset it is by the old offset or by the new one; or, where clocks jump over it, the change. */
static int64_t
moment_of(const struct window *w, int64_t civil_s)
{
	int64_t low = civil_s - ZONE_MAX_S, high = civil_s + ZONE_MAX_S;
	int64_t before = civil_at(w, low) - low, after = civil_at(w, high) - high;
	int64_t first = civil_s - (before > after ? before : after),
		second = civil_s - (before > after ? after : before);

	if (civil_at(w, first) == civil_s)
		return first;
	if (civil_at(w, second) == civil_s)
		return second;
	return moment_between(w, civil_s, low, high);
}

static int64_t
day_of(int64_t civil_s)
{
	return civil_s / DAY_S - (civil_s % DAY_S < 0);
}

/* 1970 began on a Thursday. */
static bool
opens_on(const struct window *w, int64_t day)
{
	return w->days >> (((day + 4) % 7 + 7) % 7) & 1;
}

bool
window_opening(const struct window *w, int64_t now_s, struct opening *out)
{
	int64_t today;

	/* The zone may have been changed since. */
	tzset();
	today = day_of(civil_at(w, now_s));
	for (int64_t day = today - 1; day < today + DAYS_AHEAD; day++) {
		struct opening o;

		if (!opens_on(w, day))
			continue;
		o.opens_s = moment_of(w, day * DAY_S + w->opens_s);
		o.closes_s = moment_of(w, day * DAY_S + w->opens_s + w->length_s);
		if (o.closes_s <= now_s || o.closes_s <= o.opens_s)
			continue;
		*out = o;
		return true;
	}
	return false;
}

int64_t
window_turn(const struct window *w, uint32_t offset_s, int64_t now_s)
{
	struct opening o;
	int64_t lasts, turn;

	if (!window_opening(w, now_s, &o))
		return INT64_MAX;
	lasts = o.closes_s - o.opens_s;
	turn = o.opens_s +
	       (lasts < w->length_s ? offset_s * lasts / w->length_s : (int64_t)offset_s);
	return turn > now_s ? turn : now_s;
}

const char *
window_text(const struct window *w, char out[WINDOW_TEXT_SIZE])
{
	uint32_t from = w->opens_s / 60, to = (w->opens_s + w->length_s) / 60;
	int len = 0;

	/* Monday first, as people have it. */
	for (size_t i = 1; i <= ARRAY_LEN(days) && w->days != WINDOW_EVERY_DAY; i++) {
		if (w->days >> (i % 7) & 1)
			len += snprintf(out + len, WINDOW_TEXT_SIZE - (size_t)len, "%s%s",
				len ? ", " : "", days[i % 7]);
	}
	if (to > 24 * 60)
		to -= 24 * 60;
	(void)snprintf(out + len, WINDOW_TEXT_SIZE - (size_t)len, "%s %02u:%02u-%02u:%02u %s",
		len ? "" : "daily", from / 60, from % 60, to / 60, to % 60,
		w->utc ? "UTC" : "local time");
	return out;
}
