/* Packing: from a payload's source to the members that a bundle has for it. */
#ifndef SLUICE_SIGNER_PACKER_H
#define SLUICE_SIGNER_PACKER_H

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/format/bundle.h"
#include "common/format/manifest.h"
#include "signer/recipe.h"

/* A payload that was packed: its description, and its members in files without names. */
struct packed {
	struct payload payload;
	int fd[MEMBER_ROLES]; /* owned; -1 where the payload has no such member */
};

#define PACKED_INIT ((struct packed){.fd = {-1, -1, -1, -1, -1, -1, -1}})

void packed_free(struct packed *p);

/* Packs what source names with this many threads (1 to PIPELINE_THREADS_MAX), into files without
 * names in the folder scratch. The bytes depend on the source's content and on level only: not on
 * threads, nor on how an image was compressed or a tree was handed over. Memory is bounded whatever
 * the sizes. An image or a tree with nothing in it is ERR_MALFORMED. Shows progress. */
int payload_pack(const struct recipe_payload *source, int level, unsigned threads,
	const char *scratch, struct packed *out, struct err *e);

#endif
