#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "signer/ui.h"

/* Standard error goes into a file while a test runs: so it is no terminal either. */
static int saved, captured;

static int
capture_begin(void **state)
{
	char path[] = "/tmp/sluice-progress-XXXXXX";

	(void)state;
	captured = mkstemp(path);
	(void)unlink(path);
	saved = dup(2);
	return captured >= 0 && saved >= 0 && dup2(captured, 2) == 2 ? 0 : -1;
}

static int
capture_end(void **state)
{
	(void)state;
	(void)dup2(saved, 2);
	(void)close(saved);
	(void)close(captured);
	return 0;
}

static void
captured_text(struct buf *out)
{
	buf_clear(out);
	assert_int_equal(lseek(captured, 0, SEEK_SET), 0);
	assert_int_equal(file_read_fd(captured, "captured", out, NULL), 0);
}

static void
what_is_over_in_a_second_says_nothing(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);
	struct progress p;

	(void)state;
	progress_start(&p, "packing", 100);
	for (uint64_t i = 0; i <= 100; i++)
		progress_set(&p, i);
	progress_end(&p);
	captured_text(&text);
	assert_int_equal(text.len, 0);
}

static void
a_log_gets_a_line_every_ten_seconds(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);
	struct progress p;

	(void)state;
	progress_start(&p, "packing", 3ULL << 30);
	p.started_ms -= 9000;
	p.shown_ms -= 9000;
	progress_set(&p, 1ULL << 29);
	captured_text(&text);
	assert_int_equal(text.len, 0);
	p.started_ms -= 1000;
	p.shown_ms -= 1000;
	progress_set(&p, 3ULL << 29);
	progress_set(&p, (3ULL << 29) + 1);
	captured_text(&text);
	assert_string_equal(buf_str(&text), "packing: 50% (1.5 GiB of 3.0 GiB)\n");
}

static void
percent_stays_between_0_and_100_for_any_numbers(void **state)
{
	static const struct {
		uint64_t done, total;
		const char *percent;
	} cases[] = {{0, 0, ": 100% "}, {1, 0, ": 100% "}, {0, 1, ": 0% "}, {1, 3, ": 33% "},
		{100, 199, ": 50% "}, {UINT64_MAX, UINT64_MAX, ": 100% "},
		{UINT64_MAX - 1, UINT64_MAX, ": 99% "}, {UINT64_MAX / 2, UINT64_MAX, ": 50% "},
		{199, 199, ": 100% "}, {198, 199, ": 99% "}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_BUF struct buf text = BUF_INIT(4096);
		struct progress p;

		assert_int_equal(ftruncate(captured, 0), 0);
		assert_int_equal(lseek(captured, 0, SEEK_SET), 0);
		progress_start(&p, "x", cases[i].total);
		p.started_ms -= 20000;
		p.shown_ms -= 20000;
		progress_set(&p, cases[i].done);
		captured_text(&text);
		assert_non_null(strstr(buf_str(&text), cases[i].percent));
	}
}

int
main(void)
{
#define test(t) cmocka_unit_test_setup_teardown(t, capture_begin, capture_end)
	const struct CMUnitTest tests[] = {
		test(what_is_over_in_a_second_says_nothing),
		test(a_log_gets_a_line_every_ten_seconds),
		test(percent_stays_between_0_and_100_for_any_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
