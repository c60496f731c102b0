/* The network child without its cage, to be put beside sluice-agent as its sluice-net: what the
 * cage costs is the difference. */
#include <signal.h>

#include "agent/net/http.h"

int
main(void)
{
	static struct papers papers;
	struct err e = ERR_INIT;

	(void)signal(SIGPIPE, SIG_IGN);
	if (papers_receive(WIRE_CHILD_SOCKET, &papers, &e) < 0)
		return 1;
	http_run(WIRE_CHILD_SOCKET, &papers, 0);
}
