/* The site as it is published: what site/metadata/timestamp.json leads to. Files that an
 * interrupted publication left there are not part of it. */
#ifndef SLUICE_SIGNER_SITE_H
#define SLUICE_SIGNER_SITE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/tuf/document.h"
#include "signer/workspace.h"

struct site {
	char metadata[PATH_MAX], targets[PATH_MAX]; /* the folders */
	/* NULL, all of them, before the first publication. */
	struct document *root, *timestamp, *snapshot;
};

void site_close(struct site *s);
#define AUTO_SITE CLEANUP(site_close)

/* Reads the newest root that timestamp.json is signed under, the timestamp and its snapshot; checks
 * signatures and digests, not expiry. ERR_UNTRUSTED when the folder is not what was published. */
int site_open(const struct workspace *w, struct site *out, struct err *e);

/* When the published timestamp says that it was signed; 0: it does not say. */
int64_t site_signed_at(const struct site *s);

/* Whether files of a first publication lie here although no timestamp.json leads to them: it was
 * interrupted, or what is served has lost its timestamp.json. Not a place to begin a fleet in. */
bool site_is_headless(const struct site *s);

/* Reads the published version of a role ("root", "targets" or a delegated one) whose keys are
 * these, appending its bytes to out where that is not NULL. *version is 0 and *d untouched where
 * none is published. A published version that no longer has the keys' threshold gives its *version
 * and leaves *d untouched, too. */
int site_role(const struct site *s, const char *role, const struct role_keys *keys,
	uint64_t *version, struct document **d, struct buf *out, struct err *e);

/* The first version behind `after` of which there is no file: a publication that was interrupted
 * may have left some, and what has such a name may be served, and never gets other content. */
int site_unused_version(
	const struct site *s, const char *role, uint64_t after, uint64_t *out, struct err *e);

/* "VERSION.ROLE.json" in the metadata folder. */
int site_metadata_path(const struct site *s, const char *role, uint64_t version, char out[PATH_MAX],
	struct err *e);

/* "DIGEST.NAME" under the targets folder, for a path of plain names. */
int site_target_path(const struct site *s, const char *path, const struct digest *sha256,
	char out[PATH_MAX], struct err *e);

#endif
