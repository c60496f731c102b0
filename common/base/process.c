#include "common/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/limits.h"

enum { EXIT_NOT_STARTED = 127, FD_FAILURE = 3, ASK_MS = 200, NAP_LONGEST_MS = 50 };

/* failure carries the errno of an exec that failed; exec that works closes it. */
struct pipes {
	int in[2], out[2], failure[2];
	bool dies_with_us;
};

static void
pipes_close(struct pipes *p)
{
	for (int i = 0; i < 2; i++) {
		cleanup_fd(&p->in[i]);
		cleanup_fd(&p->out[i]);
		cleanup_fd(&p->failure[i]);
	}
}

static int
pipes_open(const struct process *p, struct pipes *pipes, struct err *e)
{
	if ((p->input.len > 0 && pipe2(pipes->in, O_CLOEXEC) < 0) ||
		(p->output && pipe2(pipes->out, O_CLOEXEC) < 0) ||
		pipe2(pipes->failure, O_CLOEXEC) < 0)
		return err_sys(e, errno, "making a pipe");
	if ((pipes->in[1] >= 0 && fcntl(pipes->in[1], F_SETFL, O_NONBLOCK) < 0) ||
		(pipes->out[0] >= 0 && fcntl(pipes->out[0], F_SETFL, O_NONBLOCK) < 0))
		return err_sys(e, errno, "setting up a pipe");
	return 0;
}

int
process_seal(int first)
{
	struct rlimit files;

	if (close_range((unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return -1;
	for (int fd = first; fd < SEALED_MAX && (rlim_t)fd < files.rlim_cur; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

/* Descriptors 0, 1 and 2 as the program is to have them, FD_FAILURE until it starts, no other. */
static int
child_descriptors(const struct process *p, const struct pipes *pipes)
{
	int null = open("/dev/null", O_RDWR);
	int in = p->input.len > 0 ? pipes->in[0] : null;
	int out = p->output ? pipes->out[1] : p->output_fd > 0 ? p->output_fd : 2;

	if (dup2(in, 0) < 0 || dup2(out, 1) < 0)
		return -1;
	if (pipes->failure[1] != FD_FAILURE && dup3(pipes->failure[1], FD_FAILURE, O_CLOEXEC) < 0)
		return -1;
	return process_seal(FD_FAILURE + 1);
}

/* The child's half. Only async-signal-safe calls until exec, for the caller may have threads. What
 * the caller blocked or ignored is no business of the program's. */
static void __attribute__((noreturn))
child_exec(const struct process *p, const struct pipes *pipes, char *const *env)
{
	int failure = pipes->failure[1];
	sigset_t none;

	if (!p->asks_at_terminal)
		(void)setpgid(0, 0);
	if (pipes->dies_with_us)
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (child_descriptors(p, pipes) == 0) {
		failure = FD_FAILURE;
		(void)signal(SIGPIPE, SIG_DFL);
		(void)signal(SIGXFSZ, SIG_DFL);
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		execvpe(p->argv[0], (char *const *)(uintptr_t)p->argv, env);
	}
	(void)!write(failure, &errno, sizeof(errno));
	_exit(EXIT_NOT_STARTED);
}

/* The errno of the child's exec, or 0 once it worked. */
static int
child_failure(const struct pipes *pipes)
{
	int errnum = 0;
	ssize_t n;

	do
		n = read(pipes->failure[0], &errnum, sizeof(errnum));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(errnum) ? errnum : 0;
}

/* Whether extra sets the variable of entry. */
static bool
env_is_set_by(const char *const *extra, const char *entry)
{
	size_t len = strcspn(entry, "=");

	for (size_t i = 0; extra && extra[i]; i++) {
		if (strncmp(extra[i], entry, len) == 0 && extra[i][len] == '=')
			return true;
	}
	return false;
}

/* Our environment, with extra in place of what has the same name: which of two entries counts is
 * for each program to say, and they differ. */
static char **
env_merge(const char *const *extra)
{
	size_t count = 0, used = 0;
	char **merged;

	for (size_t i = 0; extra && extra[i]; i++)
		count++;
	for (size_t i = 0; environ[i]; i++)
		count++;
	merged = calloc(count + 1, sizeof(*merged));
	if (!merged)
		return NULL;
	for (size_t i = 0; extra && extra[i]; i++)
		merged[used++] = (char *)(uintptr_t)extra[i];
	for (size_t i = 0; environ[i]; i++) {
		if (!env_is_set_by(extra, environ[i]))
			merged[used++] = environ[i];
	}
	return merged;
}

static void
fd_end(int *fd)
{
	(void)close(take_fd(fd));
}

/* Takes what the child printed; closes our end at its end. */
static int
take_output(const struct process *p, int *fd, struct err *e)
{
	uint8_t piece[4096];
	ssize_t n = read(*fd, piece, sizeof(piece));

	if (n > 0 && buf_append(p->output, piece, (size_t)n, e) < 0)
		return err_context(e, "its output");
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		fd_end(fd);
	return 0;
}

/* Feeds the child. A program that does not want its input is no error; what it answers counts. */
static void
feed_input(const struct process *p, int *fd, size_t *fed)
{
	ssize_t n = write(*fd, p->input.data + *fed, p->input.len - *fed);

	if (n > 0)
		*fed += (size_t)n;
	if (*fed == p->input.len || (n < 0 && errno != EINTR && errno != EAGAIN))
		fd_end(fd);
}

/* Whether it has time left, and may use it. */
static int
may_run(const struct process *p, int64_t deadline_ms, struct err *e)
{
	if (clock_boot_ms() >= deadline_ms)
		return err_set(
			e, ERR_REFUSED, "no end after %lld s", (long long)(p->timeout_ms / 1000));
	return keep_going_ask(p->keep_going, e);
}

static int
wait_ms(const struct process *p, int64_t deadline_ms)
{
	int64_t left_ms = deadline_ms - clock_boot_ms();

	if (p->keep_going && left_ms > ASK_MS)
		return ASK_MS;
	return left_ms > INT_MAX ? INT_MAX : left_ms > 0 ? (int)left_ms : 0;
}

/* Feeds input and takes output until the child closes its end or the time is up. */
static int
exchange(const struct process *p, struct pipes *pipes, int64_t deadline_ms, struct err *e)
{
	size_t fed = 0;

	while (pipes->out[0] >= 0 || pipes->in[1] >= 0) {
		struct pollfd fds[2] = {{.fd = pipes->out[0], .events = POLLIN},
			{.fd = pipes->in[1], .events = POLLOUT}};

		if (may_run(p, deadline_ms, e) < 0)
			return -1;
		if (poll(fds, 2, wait_ms(p, deadline_ms)) < 0 && errno != EINTR)
			return err_sys(e, errno, "waiting for output");
		if (fds[0].revents && take_output(p, &pipes->out[0], e) < 0)
			return -1;
		if (fds[1].revents)
			feed_input(p, &pipes->in[1], &fed);
	}
	return 0;
}

static int
reap(const struct process *p, pid_t pid, int64_t deadline_ms, int *wait_status, struct err *e)
{
	for (int64_t nap_ms = 1;; nap_ms = nap_ms < NAP_LONGEST_MS ? nap_ms * 2 : NAP_LONGEST_MS) {
		pid_t got = waitpid(pid, wait_status, WNOHANG);

		if (got == pid)
			return 0;
		if (got < 0 && errno != EINTR)
			return err_sys(e, errno, "waiting for its end");
		if (may_run(p, deadline_ms, e) < 0)
			return -1;
		clock_sleep_ms(nap_ms);
	}
}

/* Its process id, or -1. */
static pid_t
child_start(const struct process *p, struct pipes *pipes, struct err *e)
{
	AUTO_FREE char **env = env_merge(p->env);
	pid_t pid;

	if (!env)
		return err_sys(e, ENOMEM, "starting %s", p->argv[0]);
	pid = fork();
	if (pid < 0)
		return err_sys(e, errno, "starting %s", p->argv[0]);
	if (pid == 0)
		child_exec(p, pipes, env);
	if (pipes->in[0] >= 0)
		fd_end(&pipes->in[0]);
	if (pipes->out[1] >= 0)
		fd_end(&pipes->out[1]);
	fd_end(&pipes->failure[1]);
	return pid;
}

static void
child_kill(pid_t pid)
{
	(void)kill(-pid, SIGKILL);
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Its parent's end is not yet asked for, so that nobody else gets its number meanwhile. */
static void
child_ask_to_end(pid_t pid)
{
	int64_t until_ms = clock_boot_ms() + PROCESS_GRACE_MS;
	siginfo_t ended = {0};

	(void)kill(-pid, SIGTERM);
	while (clock_boot_ms() < until_ms &&
		waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		ended.si_pid == 0)
		clock_sleep_ms(NAP_LONGEST_MS);
}

static int
run_with_pipes(const struct process *p, struct pipes *pipes, int *status, struct err *e)
{
	int64_t deadline_ms = clock_boot_ms() + p->timeout_ms;
	int wait_status = 0, rc, failure;
	pid_t pid = child_start(p, pipes, e);

	if (pid < 0)
		return -1;
	failure = child_failure(pipes);
	rc = failure ? err_sys(e, failure, "starting") : exchange(p, pipes, deadline_ms, e);
	if (rc == 0)
		rc = reap(p, pid, deadline_ms, &wait_status, e);
	if (rc < 0) {
		if (e && e->class == ERR_STOPPED)
			child_ask_to_end(pid);
		child_kill(pid);
		return err_context(e, "%s", p->argv[0]);
	}
	if (WIFSIGNALED(wait_status))
		return err_set(
			e, ERR_SYSTEM, "%s died of signal %d", p->argv[0], WTERMSIG(wait_status));
	*status = WEXITSTATUS(wait_status);
	return 0;
}

int
process_run(const struct process *p, int *status, struct err *e)
{
	CLEANUP(pipes_close)
	struct pipes pipes = {.in = {-1, -1}, .out = {-1, -1}, .failure = {-1, -1}};
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	int rc;

	if (pipes_open(p, &pipes, e) < 0)
		return -1;
	(void)sigaction(SIGPIPE, &ignore, &before);
	rc = run_with_pipes(p, &pipes, status, e);
	(void)sigaction(SIGPIPE, &before, NULL);
	return rc;
}

int
process_begin(const struct process *p, pid_t *pid, struct err *e)
{
	CLEANUP(pipes_close)
	struct pipes pipes = {
		.in = {-1, -1}, .out = {-1, -1}, .failure = {-1, -1}, .dies_with_us = true};
	const struct process alone = {.argv = p->argv, .env = p->env, .output_fd = p->output_fd};
	pid_t begun;
	int failure;

	if (pipes_open(&alone, &pipes, e) < 0)
		return -1;
	begun = child_start(&alone, &pipes, e);
	if (begun < 0)
		return -1;
	failure = child_failure(&pipes);
	if (failure) {
		child_kill(begun);
		return err_sys(e, failure, "starting %s", p->argv[0]);
	}
	*pid = begun;
	return 0;
}

bool
process_has_ended(pid_t *pid, int *status)
{
	int wait_status = 0;
	pid_t got = waitpid(*pid, &wait_status, WNOHANG);

	if (got == 0 || (got < 0 && errno == EINTR))
		return false;
	*pid = 0;
	*status = got > 0 && WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
	return true;
}

void
process_end(pid_t *pid)
{
	if (*pid > 0)
		child_kill(*pid);
	*pid = 0;
}

/* The last line of what was printed, as a C string inside out. */
static const char *
last_line(struct buf *out)
{
	char *text = (char *)out->data, *line;

	if (!text)
		return "";
	while (out->len > 0 && (text[out->len - 1] == '\n' || text[out->len - 1] == '\r'))
		text[--out->len] = 0;
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

static int
part_run(void *arg, const char *name, struct err *e)
{
	const struct process_parts *parts = arg;
	AUTO_BUF struct buf out = BUF_INIT(HOOK_OUTPUT_MAX);
	const char *argv[HOOK_ARGS_MAX + 2] = {0};
	char path[PATH_MAX];
	struct stat st;
	int status;

	if (path_join(path, sizeof(path), parts->dir, name, e) < 0)
		return -1;
	if (!name_is_plain(name) || stat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
		!(st.st_mode & 0111))
		return 0;
	argv[0] = path;
	for (size_t i = 0; parts->args && parts->args[i]; i++) {
		if (i == HOOK_ARGS_MAX)
			return err_set(
				e, ERR_LIMIT, "%s: more than %d arguments", path, HOOK_ARGS_MAX);
		argv[i + 1] = parts->args[i];
	}
	if (process_run(&(struct process){.argv = argv,
				.env = parts->env,
				.output = &out,
				.timeout_ms = parts->timeout_each_ms,
				.keep_going = parts->keep_going},
		    &status, e) < 0)
		return -1;
	if (status != 0)
		return err_set(
			e, ERR_REFUSED, "%s exited %d: %.200s", path, status, last_line(&out));
	return 0;
}

int
process_run_parts(const struct process_parts *p, struct err *e)
{
	struct process_parts parts = *p;

	if (!p->dir || !file_exists(p->dir))
		return 0;
	return dir_each(p->dir, HOOKS_MAX, part_run, &parts, e);
}
