#include "common/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

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

/* systemd-timesyncd.service(8), "Files" */
static const char *const TIMESYNCD_SAYS_SO = "/run/systemd/timesync/synchronized";

bool
clock_is_synchronised(void)
{
	struct timex t = {0};
	int state = adjtimex(&t);

	if (state < 0 && errno == EPERM)
		return access(TIMESYNCD_SAYS_SO, F_OK) == 0;
	return state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC);
}

void
clock_sleep_ms(int64_t ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

	if (ms > 0)
		(void)nanosleep(&ts, NULL);
}

/* The number that the count digits at p write. */
static int
digits(const char *p, int count)
{
	int v = 0;

	for (int i = 0; i < count; i++)
		v = v * 10 + (p[i] - '0');
	return v;
}

/* -1 where text is no date of this form; never reads past the end of text. */
static int
date_read(const char *text, int64_t *out_s)
{
	static const char shape[] = "0000-00-00T00:00:00Z";
	struct tm tm = {0}, back;
	time_t t;

	for (size_t i = 0; i < sizeof(shape); i++) {
		if (shape[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
			return -1;
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
		return -1;
	*out_s = (int64_t)t;
	return 0;
}

int
clock_parse(const char *text, int64_t *out_s, struct err *e)
{
	if (date_read(text, out_s) < 0)
		return err_set(
			e, ERR_MALFORMED, "'%.32s' is not a date like 2026-11-22T15:04:05Z", text);
	return 0;
}

const char *
clock_format(int64_t s, char out[CLOCK_TEXT_SIZE])
{
	time_t t = (time_t)s;
	struct tm tm;

	if (s < 0 || !gmtime_r(&t, &tm) ||
		strftime(out, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(out, CLOCK_TEXT_SIZE, "(no date)");
	return out;
}
