/* One member of a bundle in the making: bytes appended to a file without a name, hashed on the way.
 */
#ifndef SLUICE_SIGNER_MEMBER_FILE_H
#define SLUICE_SIGNER_MEMBER_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/format/manifest.h"

struct member_file {
	int fd;
	uint64_t size;
	struct digest_state *sum;
	size_t used;
	uint8_t *pending; /* appended, not written yet */
};

#define MEMBER_FILE_INIT ((struct member_file){.fd = -1})
#define AUTO_MEMBER_FILE CLEANUP(member_file_free)

int member_file_open(const char *scratch, struct member_file *out, struct err *e);
void member_file_free(struct member_file *f);

int member_file_add(struct member_file *f, const void *data, size_t len, struct err *e);

/* Writes out the rest. *fd becomes the caller's, and *out tells size and digest. */
int member_file_end(struct member_file *f, struct member *out, int *fd, struct err *e);

#endif
