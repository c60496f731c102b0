/* For the tests of the parent's side of the network: a child that is played. */
#ifndef SLUICE_TESTS_CHILD_SCENE_H
#define SLUICE_TESTS_CHILD_SCENE_H

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/net.h"
#include "agent/net_child.h"
#include "agent/site.h"
#include "agent/wire.h"

/* What the child does, as a test has it. */
static void child_play(int socket, const char *name) __attribute__((noreturn));

/* Stand where agent/net_child.c would be. The URL of the site's server says what is played. */
int
net_child_start(const struct conf *c, size_t site, int64_t now_s,
	const struct keep_going *keep_going, pid_t *pid, int *socket, struct err *e)
{
	const struct timeval patience = {.tv_usec = 250 * 1000};
	struct span url = site_span(c, site);
	char *name = strndup((const char *)url.data, url.len);
	int pair[2];

	(void)now_s, (void)keep_going, (void)e;
	assert_non_null(name);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	*pid = fork();
	assert_true(*pid >= 0);
	if (*pid == 0) {
		(void)dup2(pair[1], WIRE_CHILD_SOCKET);
		(void)close_range(WIRE_CHILD_SOCKET + 1, ~0U, 0);
		child_play(WIRE_CHILD_SOCKET, name);
	}
	free(name);
	(void)close(pair[1]);
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	*socket = pair[0];
	return 0;
}

bool
net_child_is_stale(void)
{
	return false;
}

void
net_child_worked(void)
{
}

/* Says so once more for each try that a test grants. */
static int service_tries;

bool
net_child_is_service(void)
{
	return service_tries-- > 0;
}

void
net_child_end(pid_t pid, struct err *why)
{
	(void)why;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static inline void
tell(int socket, struct wire_message m)
{
	struct err e;
	bool sent;

	if (wire_send(socket, &m, &sent, &e) < 0)
		_exit(0);
}

static inline void
step(int socket, uint32_t id)
{
	tell(socket, (struct wire_message){.type = WIRE_STEP, .id = id, .met = true});
}

/* The site's URL tells the child what it is to do. */
static inline struct net *
start(struct conf *c, const char *name, const struct keep_going *keep_going)
{
	struct net *n = NULL;
	struct err e = ERR_INIT;

	*c = (struct conf){.site_url = (char *)(uintptr_t)name,
		.tls_ca = (char *)(uintptr_t) "ca",
		.stall_s = 60};
	if (net_start(c, 0, keep_going, &n, &e) < 0)
		fail_msg("%s", e.text);
	return n;
}

/* For struct keep_going; arg: an int that counts. */
static inline int
ask_thrice(void *arg, struct err *e)
{
	int *asked = arg;

	return ++*asked < 3 ? 0 : err_set(e, ERR_STOPPED, "enough");
}

#endif
