/* Copying a file whose digest matters: what is hashed is what is written. */
#ifndef SLUICE_SIGNER_COPY_H
#define SLUICE_SIGNER_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/crypto/digest.h"

/* Copies all of the regular file fd, from its start, to path (made or emptied, 0644), fsynced but
 * for its folder. Says how much that was and its digest. name is for messages about fd. On failure
 * path is removed. */
int copy_hashed(int fd, const char *name, const char *path, uint64_t *length, struct digest *sha256,
	struct err *e);

/* Whether the file path is there with this length and digest. */
int copy_is(
	const char *path, uint64_t length, const struct digest *sha256, bool *is, struct err *e);

/* Removes path if it is that, and leaves it alone if not, whoever puts something else there at the
 * same moment. For an instant there is nothing at path. */
int copy_remove_if(const char *path, uint64_t length, const struct digest *sha256, struct err *e);

#endif
