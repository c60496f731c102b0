/* Files below one folder, by paths that come from outside: nothing reached here lies anywhere else.
 *
 * The kernel resolves every path (openat2, RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS; Linux 5.6), so
 * there is no moment between looking and doing, as there is for a library that asks lstat() first.
 * All errors are ERR_SYSTEM with the path. */
#ifndef SLUICE_AGENT_BENEATH_H
#define SLUICE_AGENT_BENEATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/keep_going.h"
#include "common/limits.h"

/* Opens path below root; no component of it is followed if it is a link. O_CLOEXEC is added. */
int beneath_open(int root, const char *path, int flags, mode_t mode, int *fd, struct err *e);

/* The folder that path is in, and the name in it, for calls that end in "at". *name points into
 * path. */
struct beneath {
	int dir;
	const char *name;
};
int beneath_parent(int root, const char *path, struct beneath *out, struct err *e);
void beneath_close(struct beneath *b);
#define AUTO_BENEATH CLEANUP(beneath_close)

/* What is at path, not following a link. *there false: nothing. */
int beneath_look(int root, const char *path, struct stat *st, bool *there, struct err *e);

/* Removes path and everything in it, never following links nor leaving the file system. Nothing
 * there is no error. The second is for a path of our own, below no root; a million files take
 * minutes, so it asks keep_going (or NULL) before each. */
int beneath_remove(int root, const char *path, struct err *e);
int beneath_remove_at(const char *path, const struct keep_going *keep_going, struct err *e);

/* How many entries there are below the folder root, at any depth. keep_going likewise. */
int beneath_count(int root, const struct keep_going *keep_going, uint64_t *out, struct err *e);

/* Calls each for every one of them, by its path below root, a folder before what is in it, and ends
 * at the first that fails. Paths are as they are on the disk: whoever prints one cleans it. */
int beneath_each(int root, const struct keep_going *keep_going,
	int (*each)(void *arg, const char *path, struct err *e), void *arg, struct err *e);

#endif
