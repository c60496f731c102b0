/* Copying the site to where it is served, by the push command of workspace.yaml.
 *
 * The command reads the names of files on its standard input, one a line, relative to site/
 * ("metadata/3.gates.json"), and copies those; it may pass over what is there already, for no file
 * but timestamp.json ever changes. It is run with the word "immutable" behind it and, once all that
 * the next timestamp leads to is there, with "timestamp". */
#ifndef SLUICE_SIGNER_PUSH_H
#define SLUICE_SIGNER_PUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/tuf/document.h"
#include "signer/site.h"
#include "signer/workspace.h"

/* All of these do nothing where there is no push command. */

/* Pushes these files, named as above; bulk or what is small (both are "immutable"). */
int push_bulk(const struct workspace *w, const struct buf *names, struct err *e);

/* Pushes what a client comes to from this root and snapshot (its "signed"): metadata, and every
 * target that is listed and is not large (bulk.h), for a stop is not to wait for what the server
 * may have lost. at_once: what the top-level role lists goes with it, however large, and has the
 * time that large content needs. */
int push_immutable(const struct workspace *w, const struct site *s, uint64_t root_version,
	uint64_t snapshot_version, const json_t *snapshot, bool at_once, struct err *e);

/* Pushes the large targets that a client comes to from this snapshot, in runs of PUSH_RUN_BYTES,
 * but for those that `carried` (or NULL) has under their site name: the server may have lost them,
 * or never have had them. Only in the bulk lane. */
int push_listed_bulk(const struct workspace *w, const struct site *s, const json_t *snapshot,
	const json_t *carried, struct err *e);

int push_timestamp(const struct workspace *w, struct err *e);

#endif
