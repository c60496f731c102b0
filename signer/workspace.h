/* A workspace: the host folder that holds keys/, manifests/, incoming/, site/ and workspace.yaml.
 */
#ifndef SLUICE_SIGNER_WORKSPACE_H
#define SLUICE_SIGNER_WORKSPACE_H

#include <limits.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

struct workspace {
	char dir[PATH_MAX];
	char *push;		     /* command that pushes site/ to where it is served, or NULL */
	char *site_url, *report_url; /* what boxes are told */
	uint64_t timestamp_life_s, snapshot_life_s, gates_life_s, rollouts_life_s, releases_life_s,
		targets_life_s, root_life_s, crl_life_s, box_cert_life_s;
};

void workspace_free(struct workspace *w);
#define AUTO_WORKSPACE CLEANUP(workspace_free)

/* Opens the workspace at dir, or, for NULL, the one that $SLUICE_WORKSPACE names or that this
 * folder is in (going up, like git). Reads workspace.yaml. ERR_USAGE when there is none. */
int workspace_open(const char *dir, struct workspace *out, struct err *e);

/* dir + "/" + relative path into out. */
int workspace_path(
	const struct workspace *w, const char *relative, char out[PATH_MAX], struct err *e);

#endif
