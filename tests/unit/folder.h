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

static inline int
folder_enter_below(const char *parent, void **state)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/sluice-unit.XXXXXX", parent);
	if (!mkdtemp(path) || chdir(path) < 0)
		return -1;
	*state = strdup(path);
	return *state ? 0 : -1;
}

/* Makes a folder under /tmp and goes there; *state is its path. */
static inline int
folder_enter(void **state)
{
	return folder_enter_below("/tmp", state);
}

/* The same in memory where there is such a place: for tests with thousands of files and syncs that
 * look at neither. */
static inline int
folder_enter_memory(void **state)
{
	return folder_enter_below(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", state);
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

/* Writes a whole file without syncing it: tests that write thousands need not wait for the disk. */
static inline int
folder_put(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "wb");

	if (!f)
		return -1;
	if (fwrite(data, 1, len, f) != len) {
		(void)fclose(f);
		return -1;
	}
	return fclose(f);
}

#endif
