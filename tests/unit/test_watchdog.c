/* A watchdog, played on a FIFO whose ioctls are answered here as the kernel's core answers them
 * (drivers/watchdog/watchdog_dev.c). A real one bites in tests/vm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/boot.h"
#include "agent/lookout.h"
#include "agent/signals.h"
#include "agent/watchdog.h"
#include "common/base/clock.h"
#include "tests/unit/folder.h"

static struct {
	bool nowayout, is_none;
	int timeout_s, longest_s;
} driver;

static int
driver_answers(unsigned long request, void *arg)
{
	int *n = arg;

	switch (request) {
	case WDIOC_GETSUPPORT:
		*(struct watchdog_info *)arg =
			(struct watchdog_info){.options = WDIOF_MAGICCLOSE, .identity = "played"};
		return 0;
	case WDIOC_SETTIMEOUT:
		if (*n > driver.longest_s)
			break;
		driver.timeout_s = *n;
		return 0;
	case WDIOC_GETTIMEOUT:
		*n = driver.timeout_s;
		return 0;
	case WDIOC_SETOPTIONS:
		errno = EBUSY;
		return driver.nowayout ? -1 : 0;
	default:
		break;
	}
	errno = EINVAL;
	return -1;
}

int
ioctl(int fd, unsigned long request, ...)
{
	struct stat st;
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!driver.is_none && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
		return driver_answers(request, arg);
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

struct scene {
	char *folder;
	struct conf conf;
	int device; /* the driver's end */
};

static char device_path[] = "watchdog0";

static int
scene_make(void **state)
{
	static struct scene x;

	x = (struct scene){.conf = {.watchdog_device = device_path, .watchdog_timeout_s = 60}};
	driver.nowayout = driver.is_none = false;
	driver.timeout_s = 30;
	driver.longest_s = 3600;
	signals_ending = 0;
	if (folder_enter((void **)&x.folder) < 0 || mkfifo(device_path, 0600) < 0)
		return -1;
	x.device = open(device_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	*state = &x;
	return x.device < 0 ? -1 : 0;
}

static int
scene_end(void **state)
{
	struct scene *x = *state;

	(void)close(x->device);
	return folder_leave((void **)&x->folder);
}

/* What the driver got since: how many pets, and whether the magic 'V' came last. */
static size_t
pets(const struct scene *x, bool *magic)
{
	char got[256];
	ssize_t n = read(x->device, got, sizeof(got));
	size_t count = 0;

	*magic = n > 0 && got[n - 1] == 'V';
	for (ssize_t i = 0; i < n; i++)
		count += got[i] == 0;
	return count;
}

static void
assert_pets(const struct scene *x, size_t count, bool magic)
{
	bool found;

	assert_int_equal(pets(x, &found), count);
	assert_int_equal(found, magic);
}

/* Whether someone has the device open. */
static bool
is_held(const struct scene *x)
{
	char byte;

	return read(x->device, &byte, 1) < 0 && errno == EAGAIN;
}

static void
it_runs_as_long_as_the_trial(void **state)
{
	struct scene *x = *state;
	AUTO_WATCHDOG struct watchdog w = WATCHDOG_INIT;

	watchdog_open(&w, &x->conf);
	watchdog_guard(&w, false);
	watchdog_pet(&w);
	assert_false(is_held(x));
	watchdog_guard(&w, true);
	assert_int_equal(driver.timeout_s, 60);
	assert_pets(x, 1, false);
	watchdog_guard(&w, true);
	assert_true(is_held(x));
	watchdog_guard(&w, false);
	assert_pets(x, 0, true);
	assert_false(is_held(x));
	assert_string_equal(w.problem, "");
}

static void
it_guards_confirmed_systems_where_that_is_wanted(void **state)
{
	struct scene *x = *state;
	AUTO_WATCHDOG struct watchdog w = WATCHDOG_INIT;

	x->conf.watchdog_always = true;
	watchdog_open(&w, &x->conf);
	watchdog_guard(&w, false);
	assert_pets(x, 1, false);
	watchdog_guard(&w, true);
	watchdog_guard(&w, false);
	assert_true(is_held(x));
	watchdog_close(&w);
	assert_pets(x, 0, true);
}

static void
an_agent_that_ends_on_trial_leaves_it_running(void **state)
{
	struct scene *x = *state;
	struct watchdog w = WATCHDOG_INIT;
	bool magic;

	watchdog_open(&w, &x->conf);
	watchdog_guard(&w, true);
	watchdog_close(&w);
	assert_true(pets(x, &magic) >= 1);
	assert_false(magic);
	assert_false(is_held(x));
}

static void
one_that_cannot_be_stopped_is_petted_on(void **state)
{
	struct scene *x = *state;
	AUTO_WATCHDOG struct watchdog w = WATCHDOG_INIT;

	driver.nowayout = true;
	watchdog_open(&w, &x->conf);
	watchdog_guard(&w, true);
	watchdog_guard(&w, false);
	assert_pets(x, 1, false);
	assert_true(is_held(x));
	w.next_ms = clock_boot_ms();
	watchdog_pet(&w);
	assert_pets(x, 1, false);
	watchdog_guard(&w, false);
	assert_true(is_held(x));
}

static void
it_is_petted_when_it_is_due(void **state)
{
	struct scene *x = *state;
	AUTO_WATCHDOG struct watchdog w = WATCHDOG_INIT;

	watchdog_open(&w, &x->conf);
	watchdog_guard(&w, true);
	assert_pets(x, 1, false);
	assert_int_equal(w.every_ms, 15000);
	watchdog_pet(&w);
	assert_pets(x, 0, false);
	w.next_ms = clock_boot_ms();
	watchdog_pet(&w);
	assert_pets(x, 1, false);
	watchdog_pet(NULL);
}

/* The agent's 60 s are too much for it. */
static void
its_own_idea_of_a_timeout_counts(void **state)
{
	struct scene *x = *state;
	AUTO_WATCHDOG struct watchdog w = WATCHDOG_INIT;

	driver.longest_s = 16;
	driver.timeout_s = 8;
	watchdog_open(&w, &x->conf);
	watchdog_guard(&w, true);
	assert_int_equal(w.every_ms, 2000);
}

static void
it_is_petted_while_the_agent_waits(void **state)
{
	struct scene *x = *state;
	AUTO_WATCHDOG struct watchdog w = WATCHDOG_INIT;
	bool magic;

	x->conf.watchdog_timeout_s = 1;
	watchdog_open(&w, &x->conf);
	watchdog_guard(&w, true);
	assert_pets(x, 1, false);
	/* On a busy machine the first nap may end late, and then the second one pets. */
	watchdog_nap(&w, 300);
	watchdog_nap(&w, 300);
	assert_true(pets(x, &magic) >= 1);
	signals_ending = 1;
	watchdog_nap(&w, 3600 * 1000); /* ends at once */
}

static void
it_is_petted_by_questions_whether_to_go_on(void **state)
{
	struct scene *x = *state;
	AUTO_WATCHDOG struct watchdog w = WATCHDOG_INIT;
	struct lookout l = {.ending = &signals_ending, .watchdog = &w, .next_ms = INT64_MAX};
	struct keep_going until_term = lookout_until_term(&l), all = lookout_keep_going(&l);
	struct err e;

	watchdog_open(&w, &x->conf);
	watchdog_guard(&w, true);
	assert_pets(x, 1, false);
	w.next_ms = 0;
	assert_int_equal(keep_going_ask(&until_term, &e), 0);
	assert_pets(x, 1, false);
	w.next_ms = 0;
	assert_int_equal(keep_going_ask(&all, &e), 0);
	assert_pets(x, 1, false);
}

/* It may take a minute, and a change runs it several times. */
static void
it_is_petted_while_a_boot_program_runs(void **state)
{
	static const char program[] =
		"#!/bin/sh\nprintf '%s\\n' primary=A a_bootable=yes a_confirmed=yes "
		"a_tries=0 b_bootable=no b_confirmed=no b_tries=0 booted=A boot_id=x\n";
	struct scene *x = *state;
	AUTO_WATCHDOG struct watchdog w = WATCHDOG_INIT;
	struct boot_vars vars;
	struct err e = ERR_INIT;
	bool magic;

	x->conf.boot_file = (char[]){"./program"};
	assert_int_equal(folder_put("program", program, strlen(program)), 0);
	assert_int_equal(chmod("program", 0755), 0);
	watchdog_open(&w, &x->conf);
	watchdog_guard(&w, true);
	assert_pets(x, 1, false);
	w.next_ms = 0;
	if (boot_custom.load(&x->conf, &vars, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(pets(x, &magic) >= 1);
	watchdog_close(&w);
	/* With none there is nobody to pet. */
	assert_int_equal(boot_custom.load(&x->conf, &vars, &e), 0);
}

static void
it_is_let_go_where_nothing_else_resets_the_box(void **state)
{
	struct scene *x = *state;
	AUTO_WATCHDOG struct watchdog w = WATCHDOG_INIT;

	x->conf.watchdog_always = true;
	watchdog_open(&w, &x->conf);
	watchdog_guard(&w, false);
	watchdog_let_go(&w); /* a confirmed system that cannot reboot is no case for it */
	w.next_ms = 0;
	watchdog_pet(&w);
	assert_pets(x, 2, false);
	watchdog_guard(&w, true);
	watchdog_let_go(&w);
	w.next_ms = 0;
	watchdog_pet(&w);
	watchdog_guard(&w, true);
	watchdog_pet(&w);
	assert_pets(x, 0, false);
	watchdog_guard(&w, false);
	watchdog_pet(&w);
	assert_pets(x, 1, false);
}

static void
without_one_the_trial_goes_on_and_says_so(void **state)
{
	static char missing[] = "watchdog1";
	struct scene *x = *state;
	AUTO_WATCHDOG struct watchdog w = WATCHDOG_INIT;

	driver.is_none = true;
	watchdog_open(&w, &x->conf);
	watchdog_guard(&w, true);
	assert_non_null(strstr(w.problem, "watchdog0 is no watchdog"));
	assert_false(is_held(x));
	watchdog_pet(&w);
	/* It may come back: a module that was loaded late. */
	driver.is_none = false;
	watchdog_guard(&w, true);
	assert_string_equal(w.problem, "");
	assert_pets(x, 1, false);
	watchdog_guard(&w, false);

	w.device = missing;
	watchdog_guard(&w, true);
	assert_non_null(strstr(w.problem, "opening watchdog1: No such file"));
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_make, scene_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(it_runs_as_long_as_the_trial),
		IN_SCENE(it_guards_confirmed_systems_where_that_is_wanted),
		IN_SCENE(an_agent_that_ends_on_trial_leaves_it_running),
		IN_SCENE(one_that_cannot_be_stopped_is_petted_on),
		IN_SCENE(it_is_petted_when_it_is_due),
		IN_SCENE(its_own_idea_of_a_timeout_counts),
		IN_SCENE(it_is_petted_while_the_agent_waits),
		IN_SCENE(it_is_petted_by_questions_whether_to_go_on),
		IN_SCENE(it_is_petted_while_a_boot_program_runs),
		IN_SCENE(it_is_let_go_where_nothing_else_resets_the_box),
		IN_SCENE(without_one_the_trial_goes_on_and_says_so),
	};

	return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
