#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/conf.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "tests/unit/folder.h"

#define SIXTEEN "abcdefghijklmnop"
#define SIXTY_FOUR SIXTEEN SIXTEEN SIXTEEN SIXTEEN

static const char SAMPLE[] = "# a box\n"
			     "[box]\n"
			     "id = gw-000001\n"
			     "compatible = acme-gw3\n"
			     "state_dir = /var/lib/sluice\n"
			     "plan = rollouts/stable.json\n"
			     "[tags]\n"
			     "site = lyon\n"
			     "[site]\n"
			     "url = https://updates.example/\n"
			     "[slot rootfs]\n"
			     "type = block\n"
			     "a = /dev/a\n"
			     "b = /dev/b\n"
			     "read_only = yes\n"
			     "[boot]\n"
			     "backend = simulated\n"
			     "file = /boot/env\n"
			     "[intervals]\n"
			     "poll = 60s\n";
static const char MINIMAL[] = "[box]\nid=x\ncompatible=y\nstate_dir=/s\n"
			      "[boot]\nbackend=simulated\nfile=/f\n"
			      "[slot r]\ntype=file\na=/a\nb=/b\n";

static const char path[] = "agent.conf";

static int
load(const char *text, size_t len, struct conf *out, struct err *e)
{
	*e = ERR_INIT;
	assert_int_equal(folder_put(path, text, len), 0);
	return conf_load(path, out, e);
}

static void
assert_refused(const char *text, const char *line, const char *word)
{
	struct conf c;
	struct err e;
	char where[96];

	assert_int_equal(load(text, strlen(text), &c, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	(void)snprintf(where, sizeof(where), "%s:%s: ", path, line);
	if (!strstr(e.text, where) || !strstr(e.text, word))
		fail_msg("wanted %s and %s in: %s", where, word, e.text);
}

/* MINIMAL with these lines behind it. */
static void
assert_refused_with(const char *more, const char *line, const char *word)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "%s%s", MINIMAL, more);
	assert_refused(text, line, word);
}

static void
sample_is_read(void **state)
{
	AUTO_CONF struct conf c = {0};
	struct err e;

	(void)state;
	assert_int_equal(load(SAMPLE, sizeof(SAMPLE) - 1, &c, &e), 0);
	assert_string_equal(c.id, "gw-000001");
	assert_string_equal(c.compatible, "acme-gw3");
	assert_string_equal(c.site_url, "https://updates.example/");
	assert_null(c.report_url);
	assert_string_equal(json_string_value(json_object_get(c.tags, "site")), "lyon");
	assert_int_equal(c.class_count, 1);
	assert_ptr_equal(conf_class(&c, "rootfs"), &c.classes[0]);
	assert_null(conf_class(&c, "kernel"));
	assert_int_equal(c.classes[0].type, SLOT_BLOCK);
	assert_true(c.classes[0].read_only);
	assert_string_equal(c.classes[0].path[SIDE_B], "/dev/b");
	assert_int_equal(c.poll_s, 60);
	assert_int_equal(c.stop_poll_s, 60);
	assert_int_equal(c.boot_tries, 3);
}

static void
every_prefix_is_read_or_refused_with_its_line(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(SAMPLE) - 1; len++) {
		AUTO_CONF struct conf c = {0};
		struct err e;

		if (load(SAMPLE, len, &c, &e) == 0)
			continue;
		assert_int_equal(e.class, ERR_USAGE);
		assert_memory_equal(e.text, path, strlen(path));
		assert_true(e.text[strlen(path)] == ':');
		assert_int_equal(c.class_count, 0);
	}
}

static void
every_flip_is_in_range_or_refused_with_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(SAMPLE) - 1; i++) {
		for (int bit = 0; bit < 8; bit++) {
			AUTO_CONF struct conf c = {0};
			char text[sizeof(SAMPLE)];
			struct err e;

			memcpy(text, SAMPLE, sizeof(SAMPLE));
			text[i] = (char)(text[i] ^ (1 << bit));
			if (load(text, sizeof(SAMPLE) - 1, &c, &e) < 0) {
				assert_int_equal(e.class, ERR_USAGE);
				assert_memory_equal(e.text, path, strlen(path));
				continue;
			}
			assert_true(name_is_plain(c.id) && name_is_plain(c.compatible));
			assert_true(c.poll_s >= 1 && c.poll_s <= 30 * 24 * 3600);
			assert_true(c.classes[0].path[0][0] == '/');
			assert_true(c.classes[0].path[1][0] == '/');
		}
	}
}

static void
a_clock_is_trusted_only_where_that_is_said(void **state)
{
	static const char *const values[] = {"", "trust_clock=no\n", "trust_clock=yes\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		AUTO_CONF struct conf c = {0};
		char text[1024];
		struct err e;

		(void)snprintf(
			text, sizeof(text), "[box]\n%s%s", values[i], MINIMAL + strlen("[box]\n"));
		assert_int_equal(load(text, strlen(text), &c, &e), 0);
		assert_int_equal(c.trust_clock, i == 2);
	}
	assert_refused("[box]\ntrust_clock=maybe\n", "2", "neither yes nor no");
}

static void
a_watchdog_is_there_only_where_it_is_named(void **state)
{
	static const char wanted[] = "[watchdog]\ndevice=/dev/watchdog0\ntimeout=90s\nalways=yes\n";
	AUTO_CONF struct conf none = {0};
	AUTO_CONF struct conf named = {0};
	char text[1024];
	struct err e;

	(void)state;
	assert_int_equal(load(MINIMAL, strlen(MINIMAL), &none, &e), 0);
	assert_null(none.watchdog_device);
	assert_int_equal(none.watchdog_timeout_s, 60);
	assert_false(none.watchdog_always);
	(void)snprintf(text, sizeof(text), "%s%s", MINIMAL, wanted);
	assert_int_equal(load(text, strlen(text), &named, &e), 0);
	assert_string_equal(named.watchdog_device, "/dev/watchdog0");
	assert_int_equal(named.watchdog_timeout_s, 90);
	assert_true(named.watchdog_always);
	assert_refused_with("[watchdog]\nalways=yes\n", "12", "device is missing");
	assert_refused_with("[watchdog]\ndevice=watchdog0\n", "13", "absolute");
	assert_refused_with("[watchdog]\ntimeout=2s\n", "13", "less than 10s");
	assert_refused_with("[watchdog]\ntimeout=2h\n", "13", "timeout");
}

static void
unknown_words_are_refused_with_their_line(void **state)
{
	(void)state;
	assert_refused_with("[colour]\n", "12", "[colour]");
	assert_refused_with("[health]\ncolour=red\n", "13", "colour");
	assert_refused_with("[slot s]\ncolour=red\n", "13", "colour");
	assert_refused_with("nothing\n", "12", "KEY = VALUE");
	assert_refused("id=x\n", "1", "before the first");
}

static void
doubled_words_are_refused_with_their_line(void **state)
{
	(void)state;
	assert_refused_with("[box]\n", "12", "line 1 already");
	assert_refused_with("[slot r]\n", "12", "line 8 already");
	assert_refused_with("type=file\n", "12", "given twice");
	assert_refused_with("[health]\ndir=/a\ndir=/a\n", "14", "given twice");
	assert_refused_with("[tags]\na=1\na=1\n", "14", "given twice");
}

static void
missing_words_are_refused_with_their_section(void **state)
{
	(void)state;
	assert_refused("", "0", "id is missing");
	assert_refused("[box]\nid=x\nstate_dir=/s\n", "1", "compatible is missing");
	assert_refused("[box]\nid=x\ncompatible=y\nstate_dir=/s\n", "4", "slot NAME");
	assert_refused_with("[slot s]\ntype=file\na=/c\n", "12", "needs type, a and b");
	assert_refused_with("[site]\nurl=https://h/\n", "1", "plan is missing");
	assert_refused_with("[site]\ncert=/c\n", "12", "need each other");
	assert_refused_with("[site]\nreport_url=https://h/\n", "12", "report_key");
	assert_refused_with("[site]\nreport_url=https://h/\ncert=/c\nkey=/k\n", "12", "report_key");
	assert_refused("[box]\nid=x\ncompatible=y\nstate_dir=/s\nreport_key=/r\n"
		       "[boot]\nbackend=simulated\nfile=/f\n[slot r]\ntype=file\na=/a\nb=/b\n"
		       "[site]\nreport_url=http://h/\ncert=/c\nkey=/k\n",
		"13", "must be https");
	assert_refused("[box]\nid=x\ncompatible=y\nstate_dir=/s\n[boot]\nbackend=simulated\n"
		       "[slot r]\ntype=file\na=/a\nb=/b\n",
		"5", "file is missing");
	assert_refused_with("[site]\nmirrors=https://h/\n", "12", "mirrors needs url");
	assert_refused_with(
		"[site]\nurl=https://h/\nmirrors=https://a/ https://b\n", "14", "base URL");
	assert_refused_with("[site]\ntargets_url=https://h/\n", "12", "targets_url needs url");
	assert_refused_with("[site]\nurl=https://h/\ntargets_url=http://h/\n", "12",
		"targets_url must be https");
	assert_refused("[box]\nid=x\ncompatible=y\nstate_dir=/s\n"
		       "[slot r]\ntype=file\na=/a\nb=/b\n",
		"8", "backend is missing");
}

static void
values_out_of_range_are_refused(void **state)
{
	static const char *const bad[] = {"[intervals]\npoll=0s\n", "[intervals]\npoll=60\n",
		"[intervals]\npoll=31d\n", "[intervals]\npoll=-1s\n", "[limits]\ninconclusive=0\n",
		"[health]\ndir=relative\n", "[health]\ndir=\n", "[site]\nurl=ftp://h/\n",
		"[site]\nurl=https://h\n", "[site]\nurl=https:///\n", "[site]\nurl=https://h/?a/\n",
		"[tags]\n-a=1\n", "[tags]\na=\xff\n", "[tags]\na=" SIXTY_FOUR "x\n",
		"[tags]\n" SIXTY_FOUR "x=a\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused_with(bad[i], "13", "");
	assert_refused("[box]\nid=../x\n", "2", "plain name");
	assert_refused("[box]\nid=x\nplan=rollouts/../x.json\n", "3", "rollouts/NAME.json");
}

static void
what_inih_would_pass_over_is_refused(void **state)
{
	char text[4096];

	(void)state;
	assert_refused_with("[slot s]\n type=file\n", "13", "starts with a blank");
	assert_refused_with("[tags]\na=x\001y\n", "13", "control character");
	assert_refused_with("[slot "
			    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n",
		"12", "longer");
	assert_refused_with("[tags]\n"
			    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1\n",
		"13", "longer");
	memset(text, 'x', sizeof(text));
	memcpy(text, "[tags]\na=", 9);
	text[sizeof(text) - 1] = 0;
	assert_refused(text, "2", "longer");
}

static void
long_paths_fit_on_a_line(void **state)
{
	AUTO_CONF struct conf c = {0};
	char text[2048], long_path[181];
	struct err e;
	int len;

	(void)state;
	memset(long_path, 'p', sizeof(long_path));
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = 0;
	len = snprintf(text, sizeof(text), "%s[health]\ndir = %s\n", MINIMAL, long_path);
	if (load(text, (size_t)len, &c, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(c.health_dir, long_path);
}

static void
slots_that_cannot_work_are_refused(void **state)
{
	(void)state;
	assert_refused_with("[slot s]\ntype=file\na=/c\nb=/c\n", "12", "same place");
	assert_refused_with("[slot s]\ntype=file\na=/a\nb=/d\n", "12", "another slot's");
	assert_refused_with("[slot s]\ntype=floppy\n", "13", "block, file or dir");
	assert_refused_with("[slot s]\ntype=file\na=/c\nb=/d\ncurrent=/e\n", "12", "type = dir");
	assert_refused_with("[slot s]\ntype=dir\na=/c\nb=/d\nread_only=yes\n", "12", "read_only");
	assert_refused_with("[slot s]\ntype=dir\na=/c/s\nb=/d/s\ncurrent=/e\n"
			    "[slot t]\ntype=dir\na=/c/t\nb=/d/t\ncurrent=/f\n",
		"17", "the same link");
	assert_refused_with("[slot s]\ntype=dir\na=/c/s\nb=/d/s\ncurrent=/e\n"
			    "[slot t]\ntype=dir\na=/x/t\nb=/d/t\ncurrent=/e\n",
		"17", "side by side");
	assert_refused_with("[slot s]\ntype=dir\na=/c/s\nb=/d/s\ncurrent=/e\n"
			    "[slot t]\ntype=dir\na=/c/t\nb=/x/t\ncurrent=/e\n",
		"17", "side by side");
	assert_refused_with("[slot s]\ntype=dir\na=/c/s\nb=/c/s2\ncurrent=/e\n"
			    "[slot t]\ntype=dir\na=/c/t\nb=/c/t2\ncurrent=/e\n",
		"17", "side by side");
}

static void
slots_may_share_one_link(void **state)
{
	static const char text[] = "[box]\nid=x\ncompatible=y\nstate_dir=/s\n"
				   "[slot s]\ntype=dir\na=/c/s\nb=/d/s\ncurrent=/e\n"
				   "[slot t]\ntype=dir\na=/c/t\nb=/d/t\ncurrent=/e\n";
	AUTO_CONF struct conf c = {0};
	struct err e;

	(void)state;
	assert_int_equal(load(text, sizeof(text) - 1, &c, &e), 0);
	assert_null(c.boot_backend);
}

static void
too_long_a_file_is_refused(void **state)
{
	AUTO_FREE char *text = malloc(CONF_BYTES_MAX + 1);
	struct conf c;
	struct err e;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', CONF_BYTES_MAX + 1);
	assert_int_equal(load(text, CONF_BYTES_MAX + 1, &c, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

static void
downloads_are_bound_as_it_is_said(void **state)
{
	char text[1000];
	struct conf c;
	struct err e;

	(void)state;
	assert_int_equal(load(MINIMAL, strlen(MINIMAL), &c, &e), 0);
	assert_int_equal(c.rate, 0);
	assert_int_equal(c.downloads.length_s, 0);
	assert_null(c.proxy);
	conf_free(&c);
	(void)snprintf(text, sizeof(text),
		"%s[downloads]\nrate=64KiB\ndays=sat  sun\nhours=22:00-05:00\n", SAMPLE);
	assert_int_equal(load(text, strlen(text), &c, &e), 0);
	assert_int_equal(c.rate, 65536);
	assert_int_equal(c.downloads.days, window_day("sat") | window_day("sun"));
	assert_int_equal(c.downloads.opens_s, 22 * 3600);
	assert_int_equal(c.downloads.length_s, 7 * 3600);
	assert_false(c.downloads.utc);
	conf_free(&c);
	assert_refused_with("[downloads]\nrate=16383\n", "13", "less than 16384");
	assert_refused_with("[downloads]\nrate=fast\n", "13", "fast");
	assert_refused_with("[downloads]\nhours=22-5\n", "13", "22:00-05:00");
	assert_refused_with("[downloads]\nhours=22:00-05:00\ndays=sat,sun\n", "14", "not a day");
	assert_refused_with("[downloads]\ndays=sat\n", "12", "hours is missing");
	assert_refused_with("[site]\nproxy=https://host:1\n", "13", "http://HOST:PORT");
	assert_refused_with("[site]\nproxy=http://host\n", "13", "http://HOST:PORT");
	assert_refused_with("[site]\nproxy=http://me:secret@host:1\n", "13", "http://HOST:PORT");
	assert_refused_with("[site]\nproxy=http://host:1/x\n", "13", "http://HOST:PORT");
	assert_refused_with("[site]\nproxy=http://host:65536\n", "13", "http://HOST:PORT");
	assert_refused_with("[site]\nproxy=http://host:1\n", "12", "proxy needs url");
}

static void
a_pipe_is_not_waited_for(void **state)
{
	char pipe_path[] = "/tmp/test_conf.XXXXXX";
	struct conf c;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(pipe_path));
	assert_int_equal(rmdir(pipe_path), 0);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	assert_int_equal(conf_load(pipe_path, &c, &e), -1);
	assert_int_equal(unlink(pipe_path), 0);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "not a regular file"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sample_is_read),
		cmocka_unit_test(every_prefix_is_read_or_refused_with_its_line),
		cmocka_unit_test(every_flip_is_in_range_or_refused_with_its_line),
		cmocka_unit_test(a_clock_is_trusted_only_where_that_is_said),
		cmocka_unit_test(a_watchdog_is_there_only_where_it_is_named),
		cmocka_unit_test(unknown_words_are_refused_with_their_line),
		cmocka_unit_test(doubled_words_are_refused_with_their_line),
		cmocka_unit_test(missing_words_are_refused_with_their_section),
		cmocka_unit_test(values_out_of_range_are_refused),
		cmocka_unit_test(what_inih_would_pass_over_is_refused),
		cmocka_unit_test(long_paths_fit_on_a_line),
		cmocka_unit_test(slots_that_cannot_work_are_refused),
		cmocka_unit_test(slots_may_share_one_link),
		cmocka_unit_test(too_long_a_file_is_refused),
		cmocka_unit_test(downloads_are_bound_as_it_is_said),
		cmocka_unit_test(a_pipe_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, folder_enter_memory, folder_leave);
}
