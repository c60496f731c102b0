#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/num.h"

/* The kernel is played: what it says of its clock, and whether systemd-timesyncd has left word. */
static struct {
	int state, status, errnum;
	bool word;
} kernel;

int
adjtimex(struct timex *t)
{
	t->status = kernel.status;
	errno = kernel.errnum;
	return kernel.errnum ? -1 : kernel.state;
}

int
access(const char *path, int mode)
{
	(void)mode;
	assert_string_equal(path, "/run/systemd/timesync/synchronized");
	errno = ENOENT;
	return kernel.word ? 0 : -1;
}

static void
the_kernel_says_whether_the_clock_is_right(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	assert_true(clock_is_synchronised());
	kernel.status = STA_UNSYNC;
	kernel.word = true; /* is of earlier, and counts only where the kernel cannot be asked */
	assert_false(clock_is_synchronised());
	kernel.status = 0;
	kernel.state = TIME_ERROR;
	assert_false(clock_is_synchronised());
}

static void
where_the_kernel_may_not_be_asked_timesyncd_says_it(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.errnum = EPERM;
	assert_false(clock_is_synchronised());
	kernel.word = true;
	assert_true(clock_is_synchronised());
	kernel.errnum = EINVAL;
	assert_false(clock_is_synchronised());
}

static void
dates_go_out_and_come_back(void **state)
{
	static const struct {
		const char *text;
		int64_t s;
	} cases[] = {{"1970-01-01T00:00:00Z", 0}, {"2000-02-29T12:00:00Z", 951825600},
		{"2026-11-22T15:04:05Z", 1795359845}, {"2038-01-19T03:14:08Z", 2147483648},
		{"9999-12-31T23:59:59Z", 253402300799}};
	char text[CLOCK_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_INIT;
		int64_t s = -1;

		assert_int_equal(clock_parse(cases[i].text, &s, &e), 0);
		assert_true(s == cases[i].s);
		assert_string_equal(clock_format(s, text), cases[i].text);
	}
}

static void
what_is_no_date_is_refused(void **state)
{
	static const char *const bad[] = {"", "2026", "2026-11-22", "2026-11-22T15:04:05",
		"2026-11-22T15:04:05z", "2026-11-22t15:04:05Z", "2026-11-22 15:04:05Z",
		"2026-11-22T15:04:05.0Z", "2026-11-22T15:04:05+00:00", "2026-11-22T15:04:05ZZ",
		"2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "1969-12-31T23:59:59Z",
		"+026-01-01T00:00:00Z", "2026-1a-01T00:00:00Z"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = ERR_INIT;
		int64_t s = 7;

		assert_int_equal(clock_parse(bad[i], &s, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		assert_true(s == 7);
	}
}

static void
every_prefix_of_a_date_is_refused(void **state)
{
	static const char whole[] = "2026-11-22T15:04:05Z";

	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		char text[sizeof(whole)] = {0};
		int64_t s;

		memcpy(text, whole, len);
		assert_int_equal(clock_parse(text, &s, NULL), -1);
	}
}

static void
a_time_that_has_no_date_is_still_a_string(void **state)
{
	char text[CLOCK_TEXT_SIZE];

	(void)state;
	assert_string_equal(clock_format(-1, text), "(no date)");
	assert_string_equal(clock_format(INT64_MAX, text), "(no date)");
	assert_true(strlen(clock_format(67767976233532799, text)) < CLOCK_TEXT_SIZE);
}

static void
the_boot_clock_goes_on_and_sleeping_takes_its_time(void **state)
{
	int64_t before = clock_boot_ms();

	(void)state;
	clock_sleep_ms(30);
	assert_in_range(clock_boot_ms() - before, 30, 5000);
	clock_sleep_ms(0);
	clock_sleep_ms(-5);
	assert_true(clock_wall_s() > 1700000000);
}

static void
on_alarm(int number)
{
	(void)number;
}

static void
a_signal_ends_a_sleep(void **state)
{
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval soon = {.it_value.tv_usec = 20000};
	int64_t before = clock_boot_ms();

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	clock_sleep_ms(60000);
	assert_in_range(clock_boot_ms() - before, 0, 30000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_says_whether_the_clock_is_right),
		cmocka_unit_test(where_the_kernel_may_not_be_asked_timesyncd_says_it),
		cmocka_unit_test(dates_go_out_and_come_back),
		cmocka_unit_test(what_is_no_date_is_refused),
		cmocka_unit_test(every_prefix_of_a_date_is_refused),
		cmocka_unit_test(a_time_that_has_no_date_is_still_a_string),
		cmocka_unit_test(the_boot_clock_goes_on_and_sleeping_takes_its_time),
		cmocka_unit_test(a_signal_ends_a_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
