/* Whose fault it is that a member makes no sense. */
#ifndef SLUICE_FORMAT_MEMBER_H
#define SLUICE_FORMAT_MEMBER_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/format/manifest.h"

/* For readers of a member that stands in fd at offset and was checked by its digest before: e says
 * what was wrong with a part of it. Where that is MALFORMED or over a LIMIT, and the member has
 * another digest by now, or cannot be read, the disk has spoilt what was signed otherwise, and e
 * becomes ERR_UNTRUSTED, or ERR_SYSTEM. Reads all of the member. Always returns -1. */
int member_refuse(int fd, const char *name, uint64_t offset, const struct payload *p,
	enum member_role role, struct err *e);

/* ERR_UNTRUSTED: it is no longer what was checked. Returns -1. */
int member_changed(const char *name, const struct payload *p, enum member_role role, struct err *e);

#endif
