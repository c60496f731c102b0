#include "common/base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

int64_t
clock_wall_s(void)
{
	/* time() and not clock_gettime(): both are the same clock, and tests that fake it fake
	 * this. */
	return (int64_t)time(NULL);
}

int64_t
clock_boot_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool
clock_is_synchronised(void)
{
	struct timex t = {0};
	int state = adjtimex(&t);

	return state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC);
}

void
clock_sleep_ms(int64_t ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

	if (ms > 0)
		(void)nanosleep(&ts, NULL);
}

/* count digits at p as a number; -1 where one is not a digit. */
static int
digits(const char *p, int count)
{
	int v = 0;

	for (int i = 0; i < count; i++) {
		if (!isdigit((unsigned char)p[i]))
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

int
clock_parse(const char *text, int64_t *out_s, struct err *e)
{
	static const char shape[] = "0000-00-00T00:00:00Z";
	struct tm tm = {0}, back;
	time_t t;

	if (strlen(text) != sizeof(shape) - 1)
		goto malformed;
	for (size_t i = 0; shape[i]; i++) {
		if (shape[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
			goto malformed;
	}
	tm.tm_year = digits(text, 4) - 1900;
	tm.tm_mon = digits(text + 5, 2) - 1;
	tm.tm_mday = digits(text + 8, 2);
	tm.tm_hour = digits(text + 11, 2);
	tm.tm_min = digits(text + 14, 2);
	tm.tm_sec = digits(text + 17, 2);
	back = tm;
	t = timegm(&back);
	/* timegm() carries a 31st of April over into May: a date that changed was no date. */
	if (t < 0 || back.tm_mday != tm.tm_mday || back.tm_mon != tm.tm_mon ||
		back.tm_sec != tm.tm_sec || back.tm_min != tm.tm_min || back.tm_hour != tm.tm_hour)
		goto malformed;
	*out_s = (int64_t)t;
	return 0;
malformed:
	return err_set(e, ERR_MALFORMED, "'%.32s' is not a date like 2026-11-22T15:04:05Z", text);
}

const char *
clock_format(int64_t s, char out[CLOCK_TEXT_MAX])
{
	time_t t = (time_t)s;
	struct tm tm;

	if (s < 0 || !gmtime_r(&t, &tm) ||
		strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(out, CLOCK_TEXT_MAX, "(no date)");
	return out;
}
