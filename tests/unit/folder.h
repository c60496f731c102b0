/* A folder of its own for each test that writes files: cmocka set-up and tear-down. */
#ifndef SLUICE_TESTS_UNIT_FOLDER_H
#define SLUICE_TESTS_UNIT_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline int
folder_remove_one(const char *path, const struct stat *st, int flag, struct FTW *walk)
{
	(void)st;
	(void)flag;
	(void)walk;
	return remove(path);
}

/* Makes a folder under /tmp and goes there; *state is its path. */
static inline int
folder_enter(void **state)
{
	char *path = strdup("/tmp/sluice-unit.XXXXXX");

	if (!path || !mkdtemp(path) || chdir(path) < 0)
		return -1;
	*state = path;
	return 0;
}

static inline int
folder_leave(void **state)
{
	char *path = *state;
	int rc = chdir("/");

	if (nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		rc = -1;
	free(path);
	return rc;
}

#endif
