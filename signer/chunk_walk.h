/* The chunks of a payload in a bundle file, one after the other, with all that the bundle says of
 * each: what it is, as what it is stored, and where that can be cut. */
#ifndef SLUICE_SIGNER_CHUNK_WALK_H
#define SLUICE_SIGNER_CHUNK_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/format/cuts.h"
#include "common/format/index.h"
#include "signer/bundle_file.h"

struct chunk_walk {
	const struct bundle_file *b;
	size_t payload;
	struct index_reader *index;
	struct pages pages;
	uint64_t next; /* the entry that comes next */
};

void chunk_walk_end(struct chunk_walk *w);
#define AUTO_CHUNK_WALK CLEANUP(chunk_walk_end)

/* Before the first. b is borrowed. ERR_UNTRUSTED where the index or the seals are not the
 * manifest's. */
int chunk_walk_begin(
	const struct bundle_file *b, size_t payload, struct chunk_walk *out, struct err *e);

/* The next one: *more false after the last. A walk counts only once it has come to its end
 * (index_next()). */
int chunk_walk_next(struct chunk_walk *w, struct chunk *out, bool *more, struct err *e);

/* Back to the first. */
int chunk_walk_again(struct chunk_walk *w, struct err *e);

/* Where the chunk that came last, which is no run, can be cut: out->count is 0 where the payload
 * does not say. */
int chunk_walk_cuts(
	const struct chunk_walk *w, const struct chunk *c, struct cuts *out, struct err *e);

#endif
