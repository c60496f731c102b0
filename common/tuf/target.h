/* A target as its role lists it (TUF 1.0.34 section 4.5). */
#ifndef SLUICE_TUF_TARGET_H
#define SLUICE_TUF_TARGET_H

#include "common/base/err.h"
#include "common/tuf/document.h"
#include "common/tuf/tuf.h"

/* Reads the entry of path, which d lists. */
int target_read(const struct document *d, const char *path, struct tuf_target *out, struct err *e);

#endif
