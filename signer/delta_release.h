/* Deltas that are listed with a bundle, as bundles/NAME-VERSION.from-OLD.delta: made, and those
 * that are of a bundle which was replaced taken off. */
#ifndef SLUICE_SIGNER_DELTA_RELEASE_H
#define SLUICE_SIGNER_DELTA_RELEASE_H

#include <stddef.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/limits.h"
#include "signer/bundle_file.h"
#include "signer/delta_file.h"
#include "signer/metadata.h"
#include "signer/workspace.h"

struct delta_releases {
	const struct bundle_file *to; /* borrowed */
	size_t count;
	struct delta_release {
		struct bundle_file from;
		int fd; /* of the delta, once it is made: a file without a name */
		struct delta_made made;
	} each[RELEASE_DELTAS_MAX];
};

void delta_releases_close(struct delta_releases *d);
#define AUTO_DELTA_RELEASES CLEANUP(delta_releases_close)

/* Opens the old bundles, and checks their members and that each goes with `to`. ERR_USAGE for what
 * is no older or newer version of the same bundle, or is given twice; ERR_UNTRUSTED. */
int delta_releases_open(struct delta_releases *d, const struct bundle_file *to,
	const char *const *paths, size_t count, struct err *e);

/* Makes them, in incoming/, with as many threads as there are processors. */
int delta_releases_make(struct delta_releases *d, const struct workspace *w, struct err *e);

/* Lists those that pay beside the bundle, says so, and says of the others that they do not. */
int delta_releases_list(
	struct delta_releases *d, const struct workspace *w, struct metadata *m, struct err *e);

/* Takes off the list what leads to a bundle of this path, of which another file is to be listed
 * now: to be called before that. */
int delta_releases_drop(struct metadata *m, const struct bundle_file *b,
	const struct metadata_target *now, struct err *e);

#endif
