#include <stdio.h>

int
main(void)
{
	(void)fputs("usage: sluice-agent COMMAND\n", stderr);
	return 2;
}
