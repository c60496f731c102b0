/* What the service manager hears, at a socket of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/notify.h"
#include "tests/unit/folder.h"

/* A manager's socket: at a path, or of an abstract name, which begins with '@'. */
static int
manager_listen(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0 && len < sizeof(at.sun_path));
	memcpy(at.sun_path, name, len);
	if (name[0] == '@')
		at.sun_path[0] = 0;
	assert_int_equal(bind(fd, (struct sockaddr *)&at,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
		0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

/* In the folder of the test, which is where we are. */
static int
manager_here(char path[64])
{
	char folder[48];

	assert_non_null(getcwd(folder, sizeof(folder)));
	(void)snprintf(path, 64, "%s/notify", folder);
	return manager_listen(path);
}

static void
assert_hears(int fd, const char *line)
{
	char got[1024] = "";
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	assert_true(n >= 0);
	assert_string_equal(got, line);
}

static void
assert_hears_nothing(int fd)
{
	char got[16];

	assert_int_equal(recv(fd, got, sizeof(got), 0), -1);
}

static void
a_manager_at_a_path_is_told(void **state)
{
	AUTO_NOTIFY struct notify n = NOTIFY_INIT;
	char path[64];
	AUTO_CLOSE int fd = manager_here(path);
	struct err e;

	(void)state;
	assert_int_equal(notify_open(&n, &e), 0);
	assert_int_equal(notify_say(&n, "READY=1", &e), 0);
	assert_hears(fd, "READY=1");
	notify_status(&n, "box %s\nREADY=1", "gw-1");
	assert_hears(fd, "STATUS=box gw-1 READY=1");
	/* It wants no sign of life. */
	notify_pet(&n);
	assert_hears_nothing(fd);
}

static void
a_manager_with_an_abstract_name_is_told(void **state)
{
	AUTO_NOTIFY struct notify n = NOTIFY_INIT;
	char name[64];
	AUTO_CLOSE int fd = -1;
	struct err e;

	(void)state;
	(void)snprintf(name, sizeof(name), "@sluice-notify-%d", (int)getpid());
	fd = manager_listen(name);
	assert_int_equal(notify_open(&n, &e), 0);
	assert_int_equal(notify_say(&n, "STOPPING=1", &e), 0);
	assert_hears(fd, "STOPPING=1");
}

static void
a_sign_of_life_is_sent_when_it_is_due(void **state)
{
	AUTO_NOTIFY struct notify n = NOTIFY_INIT;
	char path[64];
	AUTO_CLOSE int fd = manager_here(path);
	struct err e;

	(void)state;
	assert_int_equal(setenv("WATCHDOG_USEC", "3600000000", 1), 0);
	assert_int_equal(notify_open(&n, &e), 0);
	assert_int_equal(n.every_ms, 900 * 1000);
	notify_pet(&n);
	assert_hears(fd, "WATCHDOG=1");
	notify_pet(&n);
	assert_hears_nothing(fd);
	n.next_ms = clock_boot_ms();
	notify_pet(&n);
	assert_hears(fd, "WATCHDOG=1");
}

static void
a_sign_of_life_that_is_lost_is_sent_again(void **state)
{
	AUTO_NOTIFY struct notify n = NOTIFY_INIT;
	char path[64];
	int gone = manager_here(path);
	AUTO_CLOSE int fd = -1;
	struct err e;

	(void)state;
	assert_int_equal(setenv("WATCHDOG_USEC", "3600000000", 1), 0);
	assert_int_equal(notify_open(&n, &e), 0);
	(void)close(gone);
	notify_pet(&n);
	assert_int_equal(notify_say(&n, "READY=1", &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(unlink(path), 0);
	fd = manager_here(path);
	notify_pet(&n);
	assert_hears(fd, "WATCHDOG=1");
}

static void
another_processs_watchdog_is_not_petted(void **state)
{
	AUTO_NOTIFY struct notify n = NOTIFY_INIT;
	char path[64], pid[16];
	AUTO_CLOSE int fd = manager_here(path);
	struct err e;

	(void)state;
	(void)snprintf(pid, sizeof(pid), "%d", (int)getppid());
	assert_int_equal(setenv("WATCHDOG_USEC", "1000000", 1), 0);
	assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
	assert_int_equal(notify_open(&n, &e), 0);
	notify_pet(&n);
	assert_hears_nothing(fd);
	assert_int_equal(notify_say(&n, "READY=1", &e), 0);
	assert_hears(fd, "READY=1");
}

static void
nobody_else_may_speak_for_us(void **state)
{
	AUTO_NOTIFY struct notify n = NOTIFY_INIT;
	char path[64];
	AUTO_CLOSE int fd = manager_here(path);
	struct err e;

	(void)state;
	assert_int_equal(setenv("WATCHDOG_USEC", "1000000", 1), 0);
	assert_int_equal(notify_open(&n, &e), 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
}

static void
without_a_manager_nothing_is_said(void **state)
{
	AUTO_NOTIFY struct notify n = NOTIFY_INIT;
	struct err e;

	(void)state;
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	assert_int_equal(notify_open(&n, &e), 0);
	assert_int_equal(notify_say(&n, "READY=1", &e), 0);
	notify_status(&n, "idle");
	notify_pet(&n);
	assert_int_equal(n.fd, -1);
}

static void
what_makes_no_sense_is_refused(void **state)
{
	static const char *const wrong[][3] = {{"notify", "1000000", "1"}, {"/", "1000000", "1"},
		{"@", "1000000", "1"}, {"/n", "0", "1"}, {"/n", "1s", "1"}, {"/n", "1", "me"}};
	char path[256] = "/";
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct notify n = NOTIFY_INIT;

		assert_int_equal(setenv("NOTIFY_SOCKET", wrong[i][0], 1), 0);
		assert_int_equal(setenv("WATCHDOG_USEC", wrong[i][1], 1), 0);
		assert_int_equal(setenv("WATCHDOG_PID", wrong[i][2], 1), 0);
		assert_int_equal(notify_open(&n, &e), -1);
		assert_int_equal(n.fd, -1);
	}
	memset(path + 1, 'n', sizeof(path) - 2);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	assert_int_equal(notify_open(&(struct notify){.fd = -1}, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
}

#define HERE(test) cmocka_unit_test_setup_teardown(test, folder_enter, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HERE(a_manager_at_a_path_is_told),
		HERE(a_manager_with_an_abstract_name_is_told),
		HERE(a_sign_of_life_is_sent_when_it_is_due),
		HERE(a_sign_of_life_that_is_lost_is_sent_again),
		HERE(another_processs_watchdog_is_not_petted),
		HERE(nobody_else_may_speak_for_us),
		HERE(without_a_manager_nothing_is_said),
		HERE(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
