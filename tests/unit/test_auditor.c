/* When the daemon has what is installed audited. This program is started anew in place of the
 * agent: /proc/self/exe is what an audit runs as. */
#include "tests/unit/rig.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <time.h>

#include "agent/audit_record.h"
#include "agent/auditor.h"
#include "agent/signals.h"
#include "common/base/clock.h"

static const char ROOTFS[] =
	"[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\n[audit]\ninterval = 1s\n";

enum { FOR_EVER_MS = 60 * 1000 };

struct scene {
	struct rig rig;
	struct watchdog watchdog;
	struct auditor auditor;
	char conf[PATH_MAX];
};

static void
scene_free(struct scene *s)
{
	auditor_stop(&s->auditor);
	watchdog_close(&s->watchdog);
	rig_free(&s->rig);
}

/* play: what the one that is started does, see played(). */
static void
scene_make(struct scene *s, const char *folder, const char *play)
{
	rig_make(&s->rig, folder, ROOTFS);
	rig_file("play", play);
	(void)snprintf(s->conf, sizeof(s->conf), "%s/agent.conf", folder);
	watchdog_open(&s->watchdog, s->rig.c);
	s->auditor = auditor_of(&s->rig.box, s->conf);
}

static void
record(const struct box *b, enum authentic answer, const char *why)
{
	struct audit a = {.count = 1, .sides = {{.running = true, .answer = answer}}};
	struct err e = ERR_INIT;

	(void)snprintf(a.sides[0].why, sizeof(a.sides[0].why), "%s", why);

	if (audit_record_save(b, &a, &e) < 0)
		fail_msg("%s", e.text);
}

/* How many were started. */
static size_t
runs(void)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;

	return file_read("runs", &text, &e) < 0 ? 0 : text.len;
}

/* Killed, it is not gone before its tracer lets it go: to its parent that is as if it hung in the
 * kernel. Another group's, the tracer is not killed along. */
static void
hang_in_the_kernel(void)
{
	pid_t traced = getpid(), tracer = fork();

	if (tracer < 0)
		_exit(9);
	if (tracer > 0) {
		(void)prctl(PR_SET_PTRACER, tracer, 0, 0, 0);
		(void)sleep(60);
		return;
	}
	(void)setpgid(0, 0);
	while (ptrace(PTRACE_SEIZE, traced, NULL, NULL) < 0) {
		if (getppid() != traced)
			_exit(9);
		clock_sleep_ms(10);
	}
	rig_file("seized", "");
	for (int i = 0; i < 6000 && access("let go", F_OK) < 0; i++)
		clock_sleep_ms(10);
	_exit(0);
}

/* What plays the agent: writes down that it ran, and then does what it is told. */
static int
played(int argc, char **argv)
{
	AUTO_BUF struct buf text = BUF_INIT(64);
	AUTO_BOX struct box b = BOX_INIT;
	struct err e = ERR_INIT;
	int fd;

	if (argc != 5 || strcmp(argv[1], "-c") != 0 || strcmp(argv[3], "audit") != 0 ||
		strcmp(argv[4], "--gently") != 0 || box_open(argv[2], &b, &e) < 0 ||
		file_read("play", &text, &e) < 0)
		return 9;
	fd = open("runs", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) < 0)
		return 9;
	if (strncmp(buf_str(&text), "no", 2) == 0)
		record(&b, AUTHENTIC_NO, buf_str(&text));
	if (strcmp(buf_str(&text), "die") == 0)
		(void)raise(SIGKILL);
	if (strcmp(buf_str(&text), "hang in the kernel") == 0)
		hang_in_the_kernel();
	if (strcmp(buf_str(&text), "hang") == 0)
		(void)sleep(60);
	return 1;
}

/* Naps until so many were started. */
static void
nap_until(struct scene *s, size_t count)
{
	int64_t begin_ms = clock_boot_ms();

	while (runs() < count && clock_boot_ms() - begin_ms < FOR_EVER_MS)
		auditor_nap(&s->auditor, &s->watchdog, 200, true);
	assert_true(runs() >= count);
}

static void
an_answer_that_is_news_ends_the_nap(void **state)
{
	CLEANUP(scene_free) struct scene s;
	int64_t begin_ms = clock_boot_ms();
	char why[AUDIT_WHY_SIZE];

	scene_make(&s, *state, "no");
	auditor_nap(&s.auditor, &s.watchdog, FOR_EVER_MS, true);
	assert_true(clock_boot_ms() - begin_ms < FOR_EVER_MS);
	assert_int_equal(s.auditor.pid, 0);
	assert_int_equal(runs(), 1);
	assert_int_equal(audit_record_answer(&s.rig.box, why), AUTHENTIC_NO);
	/* The same again is none, and neither is one where nobody may be disturbed. */
	begin_ms = clock_boot_ms();
	auditor_nap(&s.auditor, &s.watchdog, 2000, true);
	assert_true(clock_boot_ms() - begin_ms >= 2000);
	nap_until(&s, 2);
	/* But one that finds something else is some. */
	rig_file("play", "no, and other chunks");
	begin_ms = clock_boot_ms();
	auditor_nap(&s.auditor, &s.watchdog, FOR_EVER_MS, true);
	assert_true(clock_boot_ms() - begin_ms < FOR_EVER_MS);
	assert_int_equal(unlink("state/audit.json"), 0);
	begin_ms = clock_boot_ms();
	auditor_nap(&s.auditor, &s.watchdog, 2000, false);
	assert_true(clock_boot_ms() - begin_ms >= 2000);
}

static void
it_is_due_an_interval_after_the_last(void **state)
{
	CLEANUP(scene_free) struct scene s;
	int64_t wait_ms;

	scene_make(&s, *state, "no");
	s.rig.c->audit_s = 0;
	assert_int_equal(auditor_wait_ms(&s.auditor), INT64_MAX);
	/* Within minutes where there was none, */
	s.rig.c->audit_s = 7 * 86400;
	s.auditor = auditor_of(&s.rig.box, s.conf);
	wait_ms = auditor_wait_ms(&s.auditor);
	assert_true(wait_ms > 9 * 60 * 1000 && wait_ms <= 20 * 60 * 1000);
	assert_true(auditor_wait_ms(&s.auditor) <= wait_ms);
	/* else a week later and up to a day more, */
	record(&s.rig.box, AUTHENTIC_YES, "");
	wait_ms = auditor_wait_ms(&s.auditor);
	assert_true(
		wait_ms > (int64_t)7 * 86400 * 1000 - 5000 && wait_ms <= (int64_t)8 * 86400 * 1000);
	/* and at once again where the clock was wrong, or what runs is another. */
	s.rig.s->floor_s = 0;
	s.auditor.not_before_ms = 0;
	rig_file("state/audit.json",
		"{\"format\":1,\"at_s\":99999999999,\"running\":\"yes\",\"other\":\"yes\","
		"\"differences\":0,\"why\":\"\",\"other_why\":\"\",\"running_sha256\":\"\","
		"\"linked_sha256\":\"\"}");
	assert_int_equal(auditor_wait_ms(&s.auditor), 0);
	s.rig.s->running[SIDE_A] = (struct release){.known = true};
	wait_ms = auditor_wait_ms(&s.auditor);
	assert_true(wait_ms > 9 * 60 * 1000 && wait_ms <= 20 * 60 * 1000);
}

static void
boxes_that_start_together_audit_at_different_times(void **state)
{
	CLEANUP(scene_free) struct scene s;
	size_t differ = 0;
	int64_t last = -1;

	scene_make(&s, *state, "no");
	s.rig.c->audit_s = 7 * 86400;
	record(&s.rig.box, AUTHENTIC_YES, "");
	for (size_t i = 0; i < 20; i++) {
		int64_t wait_ms;

		s.auditor = auditor_of(&s.rig.box, s.conf);
		wait_ms = auditor_wait_ms(&s.auditor) / 10000;
		differ += wait_ms != last;
		last = wait_ms;
	}
	assert_true(differ > 10);
}

static void
what_is_stopped_starts_over_later(void **state)
{
	CLEANUP(scene_free) struct scene s;
	pid_t pid;

	scene_make(&s, *state, "hang");
	for (size_t i = 0; s.auditor.pid == 0 && i < 100; i++)
		auditor_nap(&s.auditor, &s.watchdog, 300, true);
	pid = s.auditor.pid;
	assert_true(pid > 0);
	auditor_stop(&s.auditor);
	assert_int_equal(s.auditor.pid, 0);
	assert_int_equal(kill(pid, 0), -1);
	auditor_stop(&s.auditor);
	rig_file("play", "no");
	auditor_nap(&s.auditor, &s.watchdog, FOR_EVER_MS, true);
	assert_true(runs() >= 1);
	assert_int_equal(access("state/audit.json", F_OK), 0);
}

static void
one_that_hangs_in_the_kernel_keeps_nobody_for_ever(void **state)
{
	CLEANUP(scene_free) struct scene s;
	int64_t begin_ms = clock_boot_ms();
	pid_t pid;

	scene_make(&s, *state, "hang in the kernel");
	while (access("seized", F_OK) < 0 && clock_boot_ms() - begin_ms < FOR_EVER_MS)
		auditor_nap(&s.auditor, &s.watchdog, 100, true);
	pid = s.auditor.pid;
	assert_true(pid > 0);
	begin_ms = clock_boot_ms();
	auditor_stop(&s.auditor);
	assert_true(clock_boot_ms() - begin_ms < FOR_EVER_MS / 2);
	assert_int_equal(s.auditor.pid, 0);
	assert_int_equal(s.auditor.stuck, pid);
	/* None begins beside it; gone, it leaves nothing. */
	auditor_nap(&s.auditor, &s.watchdog, 1500, true);
	assert_int_equal(runs(), 1);
	rig_file("let go", "");
	rig_file("play", "nothing");
	nap_until(&s, 2);
	assert_int_equal(s.auditor.stuck, 0);
	assert_int_equal(kill(pid, 0), -1);
}

static void
one_that_dies_is_tried_again(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state, "die");
	nap_until(&s, 2);
	rig_file("play", "nothing");
	nap_until(&s, 3);
}

static void
nothing_is_audited_while_an_update_is_under_way(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state, "no");
	s.rig.s->pending.phase = PHASE_ACTIVATED;
	auditor_nap(&s.auditor, &s.watchdog, 1500, true);
	assert_int_equal(runs(), 0);
	s.rig.s->pending.phase = PHASE_NONE;
	s.rig.s->ended = (struct ended){.outcome = OUTCOME_INCONCLUSIVE, .in_doubt = true};
	auditor_nap(&s.auditor, &s.watchdog, 500, true);
	assert_int_equal(runs(), 0);
	s.rig.c->audit_s = 0;
	s.rig.s->ended = (struct ended){0};
	auditor_nap(&s.auditor, &s.watchdog, 500, true);
	assert_int_equal(runs(), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_enter_memory, folder_leave)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_that_is_news_ends_the_nap),
		TEST(it_is_due_an_interval_after_the_last),
		TEST(boxes_that_start_together_audit_at_different_times),
		TEST(what_is_stopped_starts_over_later),
		TEST(one_that_hangs_in_the_kernel_keeps_nobody_for_ever),
		TEST(one_that_dies_is_tried_again),
		TEST(nothing_is_audited_while_an_update_is_under_way),
	};

	if (argc > 1)
		return played(argc, argv);
	signals_catch();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
