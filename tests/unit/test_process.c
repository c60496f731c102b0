#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/process.h"
#include "tests/unit/folder.h"

/* Runs a shell line; what it prints is in out. */
static int
shell_env(const char *line, const char *const *env, struct span input, struct buf *out, int *status,
	struct err *e)
{
	const char *argv[] = {"/bin/sh", "-c", line, NULL};

	return process_run(&(struct process){.argv = argv,
				   .env = env,
				   .input = input,
				   .output = out,
				   .timeout_ms = 20000},
		status, e);
}

static int
shell(const char *line, struct buf *out, int *status, struct err *e)
{
	return shell_env(line, NULL, span_of(NULL, 0), out, status, e);
}

static void
output_and_exit_status_are_returned(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1000);
	struct err e = ERR_INIT;
	int status = -1;

	(void)state;
	assert_int_equal(shell("echo hello; exit 7", &out, &status, &e), 0);
	assert_int_equal(status, 7);
	assert_string_equal(buf_str(&out), "hello\n");
}

static void
standard_input_is_empty_unless_given(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1000);
	struct err e = ERR_INIT;
	int status = -1;

	(void)state;
	assert_int_equal(shell("wc -c", &out, &status, &e), 0);
	assert_int_equal(out.data[0], '0');
	buf_clear(&out);
	assert_int_equal(shell_env("tr a-z A-Z", NULL, span_str("abc"), &out, &status, &e), 0);
	assert_string_equal(buf_str(&out), "ABC");
}

static void
more_than_a_pipe_holds_goes_through_both_ways(void **state)
{
	AUTO_BUF struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	int status = -1;

	(void)state;
	for (int i = 0; i < 50000; i++)
		assert_int_equal(buf_printf(&in, &e, "%09d\n", i), 0);
	assert_int_equal(shell_env("cat", NULL, buf_span(&in), &out, &status, &e), 0);
	assert_true(span_equal(buf_span(&in), buf_span(&out)));
}

static void
a_program_may_ignore_its_input(void **state)
{
	AUTO_BUF struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(1000);
	struct err e = ERR_INIT;
	int status = -1;

	(void)state;
	for (int i = 0; i < 50000; i++)
		assert_int_equal(buf_printf(&in, &e, "%09d\n", i), 0);
	assert_int_equal(shell_env("echo done", NULL, buf_span(&in), &out, &status, &e), 0);
	assert_int_equal(status, 0);
	assert_string_equal(buf_str(&out), "done\n");
}

static void
a_program_that_is_not_there_is_a_system_error(void **state)
{
	static const char *const argv[] = {"/nonexistent/program", NULL};
	struct err e = ERR_INIT;
	int status = 99;

	(void)state;
	assert_int_equal(
		process_run(&(struct process){.argv = argv, .timeout_ms = 5000}, &status, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(e.errnum, ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/program"));
	assert_int_equal(status, 99);
}

static void
an_exit_status_of_127_is_the_programs_own(void **state)
{
	struct err e = ERR_INIT;
	int status = -1;

	(void)state;
	assert_int_equal(shell("exit 127", NULL, &status, &e), 0);
	assert_int_equal(status, 127);
}

static void
death_by_signal_is_a_system_error(void **state)
{
	struct err e = ERR_INIT;
	int status = 99;

	(void)state;
	assert_int_equal(shell("kill -KILL $$", NULL, &status, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_string_equal(e.text, "/bin/sh died of signal 9");
	assert_int_equal(status, 99);
}

static void
blocked_and_ignored_signals_are_not_handed_on(void **state)
{
	struct err e = ERR_INIT;
	sigset_t term, before;
	int status = -1;

	(void)state;
	assert_int_equal(sigemptyset(&term), 0);
	assert_int_equal(sigaddset(&term, SIGTERM), 0);
	assert_int_equal(sigprocmask(SIG_BLOCK, &term, &before), 0);
	assert_int_equal(shell("kill -TERM $$; exit 3", NULL, &status, &e), -1);
	assert_string_equal(e.text, "/bin/sh died of signal 15");
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
	assert_int_equal(shell("kill -PIPE $$; exit 3", NULL, &status, &e), -1);
	assert_string_equal(e.text, "/bin/sh died of signal 13");
}

static void
what_runs_too_long_is_killed_with_its_children(void **state)
{
	static const char line[] = "(sleep 60; echo late > late) & echo $! > pid; sleep 60";
	static const char *const argv[] = {"/bin/sh", "-c", line, NULL};
	AUTO_BUF struct buf out = BUF_INIT(1000), pid = BUF_INIT(32);
	int64_t before = clock_boot_ms();
	struct err e = ERR_INIT;
	int status = 99;

	(void)state;
	assert_int_equal(
		process_run(&(struct process){.argv = argv, .output = &out, .timeout_ms = 1000},
			&status, &e),
		-1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "no end after 1 s"));
	assert_in_range(clock_boot_ms() - before, 1000, 15000);
	assert_int_equal(file_read("pid", &pid, &e), 0);
	/* The grandchild belongs to nobody here, so it may take init a moment to bury it. */
	for (int i = 0; kill(atoi(buf_str(&pid)), 0) == 0 && i < 200; i++) {
		char path[64];
		AUTO_BUF struct buf stat = BUF_INIT(4096);

		(void)snprintf(path, sizeof(path), "/proc/%d/stat", atoi(buf_str(&pid)));
		if (file_read(path, &stat, NULL) == 0 && strstr(buf_str(&stat), ") Z "))
			return;
		clock_sleep_ms(20);
	}
	assert_int_equal(kill(atoi(buf_str(&pid)), 0), -1);
}

static void
too_much_output_ends_it(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1000);
	int64_t before = clock_boot_ms();
	struct err e = ERR_INIT;
	int status = 99;

	(void)state;
	assert_int_equal(shell("while :; do echo more; done", &out, &status, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_in_range(clock_boot_ms() - before, 0, 15000);
}

static void
extra_variables_replace_ours(void **state)
{
	static const char *const env[] = {"SLUICE_X=new", "SLUICE_Y=y", NULL};
	AUTO_BUF struct buf out = BUF_INIT(1000);
	struct err e = ERR_INIT;
	int status = -1;

	(void)state;
	assert_int_equal(setenv("SLUICE_X", "old", 1), 0);
	assert_int_equal(setenv("SLUICE_XX", "kept", 1), 0);
	assert_int_equal(
		shell_env("env | grep -c '^SLUICE_X='; echo $SLUICE_X $SLUICE_Y $SLUICE_XX", env,
			span_of(NULL, 0), &out, &status, &e),
		0);
	assert_string_equal(buf_str(&out), "1\nnew y kept\n");
}

static void
no_descriptor_of_ours_is_inherited(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1000);
	int fd = open("/dev/null", O_RDONLY), high = fcntl(fd, F_DUPFD, 100);
	struct err e = ERR_INIT;
	int status = -1;

	(void)state;
	assert_true(fd >= 0 && high >= 100);
	/* ls has one more of its own: the folder that it lists. */
	assert_int_equal(shell("exec ls /proc/self/fd", &out, &status, &e), 0);
	assert_string_equal(buf_str(&out), "0\n1\n2\n3\n");
	assert_int_equal(close(fd) + close(high), 0);
}

/* From now on this process has the kernel's word that close_range() is not as it should be. */
static int
refuse_close_range(int why)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)why),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog all = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all, 0, 0);
}

/* EINVAL: Linux 5.9 and 5.10 do not know the flag; ENOSYS: older; EPERM: a sandbox. */
static void
kernels_without_close_range_start_programs_too(void **state)
{
	static const int answers[] = {EINVAL, ENOSYS, EPERM};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0) {
			if (refuse_close_range(answers[i]) < 0)
				_exit(1);
			no_descriptor_of_ours_is_inherited(state);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static void
script(const char *name, mode_t mode, const char *text)
{
	struct err e = ERR_INIT;

	assert_int_equal(file_replace(name, mode, span_str(text), &e), 0);
}

static int
run_parts(const char *dir, const char *const *args, int64_t timeout_each_ms, struct err *e)
{
	return process_run_parts(
		&(struct process_parts){
			.dir = dir, .args = args, .timeout_each_ms = timeout_each_ms},
		e);
}

static void
parts_run_in_order_with_arguments_and_stop_at_the_first_failure(void **state)
{
	static const char *const args[] = {"one", "two", NULL};
	AUTO_BUF struct buf log = BUF_INIT(1000);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	script("d/20-b", 0700, "#!/bin/sh\necho b $* >> log\n");
	script("d/10-a", 0700, "#!/bin/sh\necho a $* >> log\n");
	script("d/30-c", 0700, "#!/bin/sh\necho first; echo 'disk is 99% full'; echo; exit 3\n");
	script("d/40-d", 0700, "#!/bin/sh\necho d >> log\n");
	assert_int_equal(run_parts("d", args, 20000, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_string_equal(e.text, "d/30-c exited 3: disk is 99% full");
	assert_int_equal(file_read("log", &log, &e), 0);
	assert_string_equal(buf_str(&log), "a one two\nb one two\n");
}

static void
parts_that_are_not_plain_executables_are_passed_over(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(mkdir("d/folder", 0700), 0);
	script("d/README", 0600, "#!/bin/sh\nexit 1\n");
	script("d/.hidden", 0700, "#!/bin/sh\nexit 1\n");
	script("d/a~", 0700, "#!/bin/sh\nexit 1\n");
	script("d/with blank", 0700, "#!/bin/sh\nexit 1\n");
	assert_int_equal(symlink("nowhere", "d/dangling"), 0);
	assert_int_equal(run_parts("d", NULL, 20000, &e), 0);
	assert_int_equal(run_parts("missing", NULL, 20000, &e), 0);
	assert_int_equal(run_parts(NULL, NULL, 20000, &e), 0);
}

static void
a_part_that_cannot_start_or_does_not_end_fails(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	script("d/bad", 0700, "#!/nonexistent/interpreter\n");
	assert_int_equal(run_parts("d", NULL, 20000, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	script("d/bad", 0700, "#!/bin/sh\nsleep 60\n");
	assert_int_equal(run_parts("d", NULL, 200, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "d/bad"));
}

static void
more_arguments_than_fit_are_refused_and_not_dropped(void **state)
{
	const char *args[64] = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < 63; i++)
		args[i] = "x";
	assert_int_equal(mkdir("d", 0700), 0);
	script("d/a", 0700, "#!/bin/sh\ntrue\n");
	assert_int_equal(run_parts("d", args, 20000, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

static int
no_more(void *arg, struct err *e)
{
	int64_t *until_ms = arg;

	return clock_boot_ms() < *until_ms ? 0 : err_set(e, ERR_STOPPED, "smoke in lyon");
}

static void
what_may_not_go_on_is_told_to_end(void **state)
{
	int64_t start_ms = clock_boot_ms(), until_ms = start_ms + 500;
	struct keep_going keep_going = {no_more, &until_ms};
	struct process_parts parts = {
		.dir = "d", .timeout_each_ms = 60000, .keep_going = &keep_going};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	script("d/a", 0700,
		"#!/bin/sh\ntrap 'echo tidy > tidied; exit 0' TERM\nsleep 60 & wait $!\n");
	script("d/b", 0700, "#!/bin/sh\necho b > b\n");
	assert_int_equal(process_run_parts(&parts, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_string_equal(e.text, "d/a: smoke in lyon");
	assert_true(clock_boot_ms() - start_ms < PROCESS_GRACE_MS);
	assert_int_equal(access("tidied", F_OK), 0);
	assert_int_equal(access("b", F_OK), -1);
}

/* Whether it prints or not, and whether it listens or not. */
static void
what_will_not_end_when_told_to_is_killed(void **state)
{
	int64_t start_ms = clock_boot_ms(), until_ms = start_ms;
	struct keep_going keep_going = {no_more, &until_ms};
	const char *argv[] = {"/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done", NULL};
	struct process p = {.argv = argv, .timeout_ms = 60000, .keep_going = &keep_going};
	struct err e = ERR_INIT;
	int status;

	(void)state;
	assert_int_equal(process_run(&p, &status, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_true(clock_boot_ms() - start_ms < 2 * PROCESS_GRACE_MS);
}

/* In the child of forkpty: a program asks at our terminal. Exits 0 for the answer expected. */
static void
what_runs_beside_us_prints_where_it_is_told(void **state)
{
	const char *argv[] = {"/bin/sh", "-c", "echo said; exit 4", NULL};
	AUTO_BUF struct buf out = BUF_INIT(100);
	AUTO_CLOSE int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct err e = ERR_INIT;
	int status = 0;
	pid_t pid = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(
		process_begin(&(struct process){.argv = argv, .output_fd = fd}, &pid, &e), 0);
	while (!process_has_ended(&pid, &status))
		clock_sleep_ms(5);
	assert_int_equal(pid, 0);
	assert_int_equal(status, 4);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(file_read_fd(fd, "out", &out, &e), 0);
	assert_string_equal(buf_str(&out), "said\n");
}

static void __attribute__((noreturn)) ask_at_terminal(bool asks)
{
	const char *argv[] = {
		"/bin/sh", "-c", "printf PIN: >/dev/tty; read x </dev/tty; echo $x", NULL};
	AUTO_BUF struct buf out = BUF_INIT(100);
	int status = -1;
	int rc = process_run(&(struct process){.argv = argv,
				     .input = span_str("bytes to be signed"),
				     .output = &out,
				     .timeout_ms = asks ? 20000 : 500,
				     .asks_at_terminal = asks},
		&status, NULL);

	_exit(rc < 0 ? 1 : strcmp(buf_str(&out), "1234\n") != 0);
}

static int
at_terminal(bool asks)
{
	char prompt[64];
	int terminal, wait_status = -1;
	pid_t pid = forkpty(&terminal, NULL, NULL, NULL);

	assert_true(pid >= 0);
	if (pid == 0)
		ask_at_terminal(asks);
	(void)!read(terminal, prompt, sizeof(prompt));
	assert_int_equal(write(terminal, "1234\n", 5), 5);
	/* Read to its end, or a terminal that nobody listens to would hold the child up. */
	while (read(terminal, prompt, sizeof(prompt)) > 0)
		;
	assert_int_equal(waitpid(pid, &wait_status, 0), pid);
	(void)close(terminal);
	return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
}

static void
a_program_may_ask_for_a_pin_at_our_terminal(void **state)
{
	(void)state;
	assert_int_equal(at_terminal(true), 0);
}

static void
a_program_that_is_not_to_ask_is_stopped_when_it_does(void **state)
{
	(void)state;
	assert_int_equal(at_terminal(false), 1);
}

#define test_in_folder(test) cmocka_unit_test_setup_teardown(test, folder_enter, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_exit_status_are_returned),
		cmocka_unit_test(standard_input_is_empty_unless_given),
		cmocka_unit_test(more_than_a_pipe_holds_goes_through_both_ways),
		cmocka_unit_test(a_program_may_ignore_its_input),
		cmocka_unit_test(a_program_that_is_not_there_is_a_system_error),
		cmocka_unit_test(an_exit_status_of_127_is_the_programs_own),
		cmocka_unit_test(death_by_signal_is_a_system_error),
		cmocka_unit_test(blocked_and_ignored_signals_are_not_handed_on),
		cmocka_unit_test(a_program_may_ask_for_a_pin_at_our_terminal),
		cmocka_unit_test(a_program_that_is_not_to_ask_is_stopped_when_it_does),
		test_in_folder(what_runs_too_long_is_killed_with_its_children),
		cmocka_unit_test(too_much_output_ends_it),
		cmocka_unit_test(extra_variables_replace_ours),
		cmocka_unit_test(no_descriptor_of_ours_is_inherited),
		cmocka_unit_test(kernels_without_close_range_start_programs_too),
		test_in_folder(parts_run_in_order_with_arguments_and_stop_at_the_first_failure),
		test_in_folder(parts_that_are_not_plain_executables_are_passed_over),
		test_in_folder(what_may_not_go_on_is_told_to_end),
		cmocka_unit_test(what_will_not_end_when_told_to_is_killed),
		test_in_folder(a_part_that_cannot_start_or_does_not_end_fails),
		test_in_folder(what_runs_beside_us_prints_where_it_is_told),
		test_in_folder(more_arguments_than_fit_are_refused_and_not_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
