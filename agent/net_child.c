#include "agent/net_child.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/http.h"
#include "agent/identity.h"
#include "agent/site.h"

/* So long a send may keep the parent. */
enum { SEND_US = 250 * 1000 };

static void __attribute__((noreturn))
child_main(int socket, const struct conf *c, const struct identity *id, size_t site, int64_t now_s)
{
	struct http_setup setup = {.site_url = site_url(c, site),
		.report_url = c->report_url,
		.ca = c->tls_ca,
		.authorities = id->authorities[0] ? id->authorities : NULL,
		.cert = id->cert[0] ? id->cert : NULL,
		.key = id->key[0] ? id->key : NULL,
		.stall_s = c->stall_s,
		.now_s = now_s};
	sigset_t none;

	/* It lives as long as its socket: signals to the process group are for the parent. */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_NAME, "sluice-net");
	if (dup2(socket, 3) < 0 || close_range(4, ~0U, 0) < 0)
		_exit(1);
	http_run(3, &setup);
}

int
net_child_start(
	const struct conf *c, size_t site, int64_t now_s, pid_t *pid, int *socket, struct err *e)
{
	struct timeval patience = {.tv_usec = SEND_US};
	struct identity id;
	int pair[2];
	pid_t child;

	identity_choose(c, &id);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, errno, "making a socket pair");
	child = fork();
	if (child == 0)
		child_main(pair[1], c, &id, site, now_s);
	(void)close(pair[1]);
	if (child < 0) {
		(void)close(pair[0]);
		return err_sys(e, errno, "starting the network process");
	}
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	*pid = child;
	*socket = pair[0];
	return 0;
}

void
net_child_end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
