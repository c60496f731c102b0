/* A payload of a bundle as plain bytes, to be looked at in memory.
 *
 * The bytes are in a file without a name, which is mapped: what the kernel keeps of it in memory is
 * what it has room for. Runs of zeros are holes. A tree's bytes are those of its files, one after
 * the other in the order of PAYLOAD.files. */
#ifndef SLUICE_SIGNER_UNPACKED_H
#define SLUICE_SIGNER_UNPACKED_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "signer/bundle_file.h"

struct unpacked {
	int fd;
	const uint8_t *data; /* size bytes; never NULL once unpacked */
	uint64_t size;
	void *map; /* what is mapped of it, or NULL */
};

#define UNPACKED_INIT ((struct unpacked){.fd = -1})

void unpacked_free(struct unpacked *u);
#define AUTO_UNPACKED CLEANUP(unpacked_free)

/* Unpacks a payload with this many threads (1 to PIPELINE_THREADS_MAX) into the folder scratch.
 * The index and the seals are checked against their digests in the manifest, each page against its
 * seal, and each chunk against both of its own digests before its bytes count; whether an image's
 * own digest, hints and cuts agree with them is not looked at (bundle_file_check_content does
 * that). ERR_UNTRUSTED, ERR_MALFORMED; ERR_LIMIT for what an address space cannot hold. Shows
 * progress. Memory besides the map is some 2 MiB a thread. */
int payload_unpack(const struct bundle_file *b, size_t payload, unsigned threads,
	const char *scratch, struct unpacked *out, struct err *e);

#endif
