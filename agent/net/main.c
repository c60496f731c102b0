/* sluice-net: the part of the agent that has the network. The agent starts it (net_child.h) with a
 * socket as descriptor 3; nobody else has a use for it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "agent/net/cage.h"
#include "agent/net/http.h"
#include "agent/net/outbox.h"

static bool
has_socket(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(WIRE_CHILD_SOCKET, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

/* What it was told makes no sense to it, as of an agent of another version: it says so, and waits
 * for its parent to hear that. */
static int
refuse(struct err *why)
{
	static uint8_t rest[WIRE_MESSAGE_BYTES];
	struct outbox outbox;

	why->class = ERR_SYSTEM;
	outbox_init(&outbox, WIRE_CHILD_SOCKET);
	outbox_must_end(&outbox, 0, why);
	while (recv(WIRE_CHILD_SOCKET, rest, sizeof(rest), 0) > 0)
		;
	explicit_bzero(rest, sizeof(rest));
	return 1;
}

int
main(void)
{
	static struct papers papers;
	struct err e = ERR_INIT;

	if (!has_socket()) {
		(void)fputs("sluice-net: sluice-agent starts this, and nobody else\n", stderr);
		return 2;
	}
	(void)prctl(
		PR_SET_NAME, "sluice-net"); /* started by its descriptor, it has that for a name */
	(void)signal(SIGPIPE, SIG_IGN);
	if (papers_receive(WIRE_CHILD_SOCKET, &papers, &e) < 0)
		return refuse(&e);
	http_run(WIRE_CHILD_SOCKET, &papers, cage_enter(&papers));
}
