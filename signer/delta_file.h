/* A delta between two bundles, as a file. */
#ifndef SLUICE_SIGNER_DELTA_FILE_H
#define SLUICE_SIGNER_DELTA_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/format/delta_listing.h"
#include "signer/bundle_file.h"

/* What came of it. */
struct delta_made {
	struct delta_listing listing;
	uint64_t size, bundle_size;
	uint64_t full; /* bytes of the bundle that a box needs besides */
	bool pays;     /* both are DELTA_WORTH_PERCENT of the bundle at most */
};

enum { DELTA_WORTH_PERCENT = 90 };

/* Whether there can be a delta between two bundles: ERR_USAGE where they are of different names, or
 * of the same version. */
int delta_file_pair(const struct bundle_file *from, const struct bundle_file *to, struct err *e);

/* Writes a delta to fd, an empty file open for reading and writing, whose name is for messages, and
 * reads it back: applied to the old bundle it gives what is in the new one. Where it does not pay,
 * what is in the file is nobody's. Both bundles' members were checked; their payloads' bytes are
 * checked here. ERR_USAGE as above. Takes the old payloads' bytes in memory, and two fifths as much
 * besides, and 15 MiB a thread; in the folder scratch all payloads of both. The result is the same
 * whatever the number of threads. */
int delta_file_make(const struct bundle_file *from, const struct bundle_file *to, unsigned threads,
	const char *scratch, int fd, const char *name, struct delta_made *out, struct err *e);

#endif
