/* A bundle on the host's disk, opened. */
#ifndef SLUICE_SIGNER_BUNDLE_FILE_H
#define SLUICE_SIGNER_BUNDLE_FILE_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/envelope.h"
#include "common/format/bundle.h"
#include "common/format/manifest.h"
#include "common/format/pages.h"

struct bundle_file {
	const char *path; /* borrowed */
	int fd;
	struct verified document; /* the manifest's envelope */
	struct manifest *manifest;
	struct bundle_layout layout;
};

#define BUNDLE_FILE_INIT ((struct bundle_file){.fd = -1})

void bundle_file_close(struct bundle_file *b);
#define AUTO_BUNDLE_FILE CLEANUP(bundle_file_close)

/* Opens a bundle of the host's own, whoever signed it or nobody, to show it or to add a signature:
 * nothing that it says is trusted. Its manifest and the layout of the whole file are checked.
 * ERR_MALFORMED. */
int bundle_file_open(const char *path, struct bundle_file *out, struct err *e);

/* The same of a bundle that must carry the signatures of a role. ERR_UNTRUSTED. */
int bundle_file_open_signed(
	const char *path, const struct role_keys *role, struct bundle_file *out, struct err *e);

/* Checks the size and digest of every member. ERR_UNTRUSTED. */
int bundle_file_check_members(const struct bundle_file *b, struct err *e);

/* The pages of a payload. b is borrowed. */
struct pages bundle_file_pages(const struct bundle_file *b, size_t payload);

/* Checks all that the members say, after bundle_file_check_members: every page's seal, every
 * chunk's place, stored and plain digest, cuts, hints, the digest of each image and of each file of
 * each tree. ERR_UNTRUSTED or ERR_MALFORMED. Shows progress. */
int bundle_file_check_content(const struct bundle_file *b, struct err *e);

/* Writes a bundle to path, replacing what is there in one step: this manifest, and members copied
 * from parts. */
int bundle_file_write(const char *path, const struct manifest *m, const json_t *envelope,
	struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES], struct err *e);

#endif
