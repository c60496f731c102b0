/* The head of a bundle, verified: what there is to install, and what every byte of it must be. */
#ifndef SLUICE_AGENT_HEAD_H
#define SLUICE_AGENT_HEAD_H

#include "agent/source.h"
#include "agent/state.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/format/bundle.h"
#include "common/format/manifest.h"

/* A head whose every byte was verified: by a release threshold over the manifest and its digests
 * (local), by the digest of the whole head that signed TUF metadata names (network), or by the
 * manifest's digest that was remembered when it was installed (kept). Only the functions below make
 * one. */
struct head {
	int fd;	       /* the spooled head: a file without a name, which nobody else can change */
	char name[64]; /* for messages */
	struct manifest *manifest;
	struct buf body; /* the manifest's "signed" part in canonical JSON: release.manifest is its
			    digest */
	struct bundle_layout layout;
	struct release release;
};

#define HEAD_INIT ((struct head){.fd = -1})
void head_free(struct head *h);
#define AUTO_HEAD CLEANUP(head_free)

/* Opens an empty file without a name in dir (the state folder) for a head. */
int head_spool_open(const char *dir, int *fd, struct err *e);

/* Copies the source's first len bytes there, for which kept heads make room (shelf.h). A disk that
 * fails is named by its dir. */
int head_spool_fill(const char *dir, const struct source *s, uint64_t len, int fd, struct err *e);

/* From a bundle file (fd): the manifest under the release role's threshold, the layout of the whole
 * file, and then a copy of the head in dir, with each index and file list checked against the
 * manifest there. So a stick that says something else later is not listened to. */
int head_verify_local(int fd, const char *name, const char *dir, const struct role_keys *releases,
	struct head *out, struct err *e);

/* From a spooled head (fd, len bytes): digest first, then layout. fd is taken over on success. */
int head_verify_target(int fd, const char *name, uint64_t len, const struct digest *sha256,
	struct head *out, struct err *e);

/* From a head that this box has kept (fd): its manifest is the one of this digest, and all else in
 * it is what that says. Whose signatures are on it is not looked at. fd is taken over on success.
 */
int head_verify_kept(
	int fd, const char *name, const struct digest *manifest, struct head *out, struct err *e);

#endif
