#include "agent/net_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/identity.h"
#include "agent/site.h"
#include "agent/warden.h"
#include "agent/wire.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/process.h"

/* So long a send may keep the parent, so long the child may take to load, and so long to end once
 * its connection is closed. */
enum { SEND_US = 250 * 1000, START_MS = 20 * 1000, ENDING_MS = 2000, ENDING_PAUSE_MS = 5 };

/* What it exits with where it is not the program yet: this, and why it cannot be. */
enum { EXIT_NOT_STARTED = 128 };

/* Where sluice-net.socket listens, below /run/sluice. */
#define SERVICE_SOCKET "net.sock"

/* Beside the agent, as in a build folder, or where `make install` puts it. */
static const char *const places[] = {"sluice-net", "../libexec/sluice/sluice-net"};

/* All that it gets of the environment: where the agent's own libraries are, and what sanitizers are
 * told. */
static const char *const passed_on[] = {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS"};

struct environment {
	char *lines[ARRAY_LEN(passed_on) + 1];
};

static void
environment_free(struct environment *env)
{
	for (size_t i = 0; env->lines[i]; i++)
		free(env->lines[i]);
}
#define AUTO_ENVIRONMENT CLEANUP(environment_free)

static void
environment_gather(struct environment *env)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(passed_on); i++) {
		const char *value = getenv(passed_on[i]);

		if (value && asprintf(&env->lines[n], "%s=%s", passed_on[i], value) >= 0)
			n++;
		else
			env->lines[n] = NULL;
	}
}

/* The same file for every child of this process: a package that is being upgraded would bring one
 * that speaks another language. */
static struct {
	int fd;
	char path[PATH_MAX];
} program = {.fd = -1};

static int
program_open(struct err *e)
{
	char self[PATH_MAX], folder[PATH_MAX];
	ssize_t len;

	if (program.fd >= 0)
		return 0;
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0)
		return err_sys(e, errno, "reading /proc/self/exe");
	self[len] = 0;
	if (path_parent(self, folder, sizeof(folder), e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(places) && program.fd < 0; i++) {
		if (path_join(program.path, sizeof(program.path), folder, places[i], e) < 0)
			return -1;
		program.fd = open(program.path, O_PATH | O_CLOEXEC);
	}
	if (program.fd < 0)
		return err_set(e, ERR_SYSTEM,
			"sluice-net, which has the network, is neither in %s nor %s: %s; install "
			"sluice-agent again",
			folder, program.path, strerror(errno));
	return 0;
}

/* It lives as long as its socket: signals to the process group are for the parent. What is ignored
 * stays so across an exec. */
static void
signals_ignore(void)
{
	sigset_t none;

	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Between fork and exec of a process that may have threads: nothing but system calls. Descriptors 0
 * to 2 are nowhere, for the log is the parent's to write. */
static void __attribute__((noreturn)) child_exec(int socket, int nowhere, struct environment *env)
{
	static char name[] = "sluice-net";
	char *argv[] = {name, NULL};

	signals_ignore();
	if (dup2(nowhere, 0) == 0 && dup2(nowhere, 1) == 1 && dup2(nowhere, 2) == 2 &&
		dup2(socket, WIRE_CHILD_SOCKET) == WIRE_CHILD_SOCKET &&
		process_seal(WIRE_CHILD_SOCKET + 1) == 0)
		(void)syscall(SYS_execveat, program.fd, "", argv, env->lines, AT_EMPTY_PATH);
	_exit(EXIT_NOT_STARTED + errno);
}

static int
child_launch(int child_end, pid_t *pid, struct err *e)
{
	AUTO_ENVIRONMENT struct environment env = {0};
	AUTO_CLOSE int nowhere = -1, socket = -1;
	sigset_t all, before;
	pid_t child;

	if (program_open(e) < 0)
		return -1;
	nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* Where it is not in the way of what becomes descriptor 0 to 3. */
	socket = fcntl(child_end, F_DUPFD_CLOEXEC, WIRE_CHILD_SOCKET + 1);
	if (nowhere < 0 || socket < 0)
		return err_sys(e, errno, "starting the network process");
	environment_gather(&env);
	/* None comes before it ignores them. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	child = fork();
	if (child == 0)
		child_exec(socket, nowhere, &env);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (child < 0)
		return err_sys(e, errno, "starting the network process");
	*pid = child;
	return 0;
}

/* What is being said to a child. */
struct briefing {
	int socket;
	int64_t until_ms;
	const struct keep_going *keep_going;
};

static int
tell(const struct briefing *b, const struct wire_message *m, struct err *e)
{
	bool sent = false;

	do {
		if (wire_send(b->socket, m, &sent, e) < 0 || sent)
			return sent ? 0 : -1;
	} while (clock_boot_ms() < b->until_ms && keep_going_ask(b->keep_going, e) == 0);
	return err_set(e, ERR_NETWORK, "the network process does not start");
}

static int
tell_url(const struct briefing *b, enum wire_url which, struct span url, struct err *e)
{
	if (url.len == 0)
		return 0;
	return tell(b, &(struct wire_message){.type = WIRE_URL, .base = which, .text = url}, e);
}

static void
secret_wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	buf_free(b);
}

/* The files of one kind, as one text. One that holds a key leaves no copy here. */
static int
tell_paper(
	const struct briefing *b, enum wire_paper which, const char *const paths[2], struct err *e)
{
	CLEANUP(secret_wipe) struct buf pem = BUF_INIT(2 * TLS_PEM_MAX);
	struct span rest;

	if (buf_reserve(&pem, PEM_BYTES_MAX, e) < 0)
		return -1;
	for (size_t i = 0; i < 2 && paths[i] && paths[i][0]; i++) {
		if (file_read(paths[i], &pem, e) < 0)
			return -1;
		if (pem.len == 0 && which == WIRE_PAPER_CA)
			return err_set(e, ERR_USAGE, "%s is empty", paths[i]);
		if (pem.len > 0 && buf_append(&pem, "\n", 1, e) < 0)
			return -1;
	}
	for (rest = buf_span(&pem); rest.len > 0;) {
		struct span piece = span_of(rest.data, (size_t)num_min(rest.len, REPORT_BYTES_MAX));

		if (tell(b,
			    &(struct wire_message){
				    .type = WIRE_PAPER, .base = which, .body = piece},
			    e) < 0)
			return -1;
		rest = span_of(rest.data + piece.len, rest.len - piece.len);
	}
	return 0;
}

/* Some CAs are believed because of agent.conf, whatever was delivered. */
static int
child_brief(
	const struct briefing *b, const struct conf *c, size_t site, int64_t now_s, struct err *e)
{
	struct identity id;
	struct wire_message start = {.type = WIRE_START, .now_s = now_s, .stall_s = c->stall_s};

	warden_user(c, &start.uid, &start.gid);
	identity_choose(c, &id);
	if (tell_url(b, WIRE_URL_SITE, site_span(c, site), e) < 0 ||
		tell_url(b, WIRE_URL_REPORTS, span_str(c->report_url ? c->report_url : ""), e) <
			0 ||
		tell_url(b, WIRE_URL_PROXY, span_str(c->proxy ? c->proxy : ""), e) < 0 ||
		tell_url(b, WIRE_URL_COPY, span_str(c->targets_url ? c->targets_url : ""), e) < 0 ||
		tell_paper(b, WIRE_PAPER_CA, (const char *[2]){c->tls_ca, id.authorities}, e) < 0 ||
		tell_paper(b, WIRE_PAPER_CERT, (const char *[2]){id.cert}, e) < 0 ||
		tell_paper(b, WIRE_PAPER_KEY, (const char *[2]){id.key}, e) < 0)
		return -1;
	return tell(b, &start, e);
}

/* The files that names are resolved by. A child is fenced in with those that there were when it
 * started, and does not see the new ones (agent/net/fence.h). */
static const char *const resolver_files[] = {
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"};
static struct stat resolver_seen[ARRAY_LEN(resolver_files)];

static bool
resolver_look(void)
{
	bool changed = false;

	for (size_t i = 0; i < ARRAY_LEN(resolver_files); i++) {
		struct stat now = {0};

		(void)stat(resolver_files[i], &now);
		changed |= now.st_ino != resolver_seen[i].st_ino ||
			   now.st_dev != resolver_seen[i].st_dev;
		resolver_seen[i] = now;
	}
	return changed;
}

bool
net_child_is_stale(void)
{
	return resolver_look();
}

static bool service_was_asked, service_works, service_is_last;

void
net_child_worked(void)
{
	service_works |= service_was_asked;
}

bool
net_child_is_service(void)
{
	return service_is_last;
}

/* In the folder that the agent's own unit has, so that no other agent finds it. One that came to
 * work once is always asked: whatever it becomes later must not get the agent to do without. */
static int
service_connect(int *out)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *folder = getenv("RUNTIME_DIRECTORY");
	AUTO_CLOSE int fd = -1;

	if (!folder || (service_was_asked && !service_works) ||
		path_join(to.sun_path, sizeof(to.sun_path), folder, SERVICE_SOCKET, NULL) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	service_was_asked = true;
	*out = take_fd(&fd);
	return 0;
}

static int
own_start(int *out, pid_t *pid, struct err *e)
{
	AUTO_CLOSE int ours = -1, theirs = -1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "making a socket pair");
	ours = pair[0];
	theirs = pair[1];
	if (child_launch(theirs, pid, e) < 0)
		return -1;
	*out = take_fd(&ours);
	return 0;
}

int
net_child_start(const struct conf *c, size_t site, int64_t now_s,
	const struct keep_going *keep_going, pid_t *pid, int *socket, struct err *e)
{
	struct timeval patience = {.tv_usec = SEND_US};
	AUTO_CLOSE int ours = -1;
	struct briefing b;
	pid_t child = 0;

	(void)resolver_look();
	service_is_last = service_connect(&ours) == 0;
	if (!service_is_last && own_start(&ours, &child, e) < 0)
		return -1;
	(void)setsockopt(ours, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	b = (struct briefing){ours, clock_boot_ms() + START_MS, keep_going};
	if (child_brief(&b, c, site, now_s, e) < 0) {
		/* It ends by its socket, too, where it may not be killed. */
		(void)close(take_fd(&ours));
		net_child_end(child, e);
		return -1;
	}
	*pid = child;
	*socket = take_fd(&ours);
	return 0;
}

/* A connection is closed some moments before its process has ended. *ended false: it goes on. */
static int
end_await(pid_t pid, bool *ended)
{
	int64_t until = clock_boot_ms() + ENDING_MS;
	int status = 0;

	for (*ended = false;;) {
		pid_t got = waitpid(pid, &status, WNOHANG);

		*ended = got == pid;
		if (got != 0 || clock_boot_ms() >= until)
			return status;
		clock_sleep_ms(ENDING_PAUSE_MS);
	}
}

/* How one that was gone before it was killed has ended. */
static void
end_tell(int status, struct err *why)
{
	int code = WEXITSTATUS(status);

	if (WIFSIGNALED(status))
		(void)err_set(why, ERR_NETWORK, "%s died of signal %d (%s)", program.path,
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (code > EXIT_NOT_STARTED)
		(void)err_set(why, ERR_NETWORK, "%s cannot be run: %s; install sluice-agent again",
			program.path, strerror(code - EXIT_NOT_STARTED));
	else
		(void)err_set(why, ERR_NETWORK,
			"%s ended with status %d; run by hand, it says more", program.path, code);
}

void
net_child_end(pid_t pid, struct err *why)
{
	bool gone = why->errnum == NET_GONE && why->class == ERR_NETWORK, ended = false;
	int status = 0;

	if (pid == 0) {
		if (gone)
			(void)err_set(why, ERR_NETWORK,
				"sluice-net@.service ended; journalctl -u 'sluice-net@*' says "
				"more");
		return;
	}
	if (gone)
		status = end_await(pid, &ended);
	if (ended) {
		end_tell(status, why);
		return;
	}
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (gone)
		(void)err_set(why, ERR_NETWORK,
			"%s closed its connection and went on; it was ended", program.path);
}
