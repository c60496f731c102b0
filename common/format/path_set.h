/* A set of paths that remembers 8 bytes of each one's digest: enough to know that a path was there,
 * at 11 to 22 bytes of memory a path. */
#ifndef SLUICE_FORMAT_PATH_SET_H
#define SLUICE_FORMAT_PATH_SET_H

#include <stdbool.h>

#include "common/base/err.h"

struct path_set;

void path_set_free(struct path_set **s);
int path_set_new(struct path_set **out, struct err *e);

/* ERR_SYSTEM without memory; how many there may be is for the caller to limit. */
int path_set_add(struct path_set *s, const char *path, struct err *e);
bool path_set_has(const struct path_set *s, const char *path);

#endif
