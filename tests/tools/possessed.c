/* sluice-agent whose network child has been taken over: in its place runs a program that holds what
 * the child holds, the socket to its parent (descriptor 3) and the network.
 *
 *   POSSESSED_BY="PROGRAM" possessed -c FILE run | check
 *
 * The program gets its socket as descriptor 3, and SITE_URL, REPORT_URL, CA, CERT and KEY in its
 * environment. The parent is the agent as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/command.h"
#include "agent/http.h"

static void
tell(const char *name, const char *value)
{
	if (value && setenv(name, value, 1) < 0)
		_exit(1);
}

/* Stands where agent/http.c would be. */
void
http_run(int socket, const struct http_setup *setup)
{
	const char *program = getenv("POSSESSED_BY");

	(void)socket;
	tell("SITE_URL", setup->site_url);
	tell("REPORT_URL", setup->report_url);
	tell("CA", setup->ca);
	tell("CERT", setup->cert);
	tell("KEY", setup->key);
	if (program)
		(void)execl("/bin/sh", "sh", "-c", program, (char *)NULL);
	_exit(1);
}

int
main(int argc, char **argv)
{
	const struct command *c;
	struct err e = ERR_INIT;

	if (argc != 4 || strcmp(argv[1], "-c") != 0) {
		(void)fprintf(stderr, "usage: possessed -c FILE run | check\n");
		return EXIT_USAGE;
	}
	c = strcmp(argv[3], "run") == 0 ? &command_run : &command_check;
	if (c->run(argv[2], 1, argv + 3, &e) == 0)
		return EXIT_OK;
	(void)fprintf(stderr, "possessed %s: %s\n", c->name, e.text);
	return EXIT_FAILED;
}
