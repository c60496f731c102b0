/* The stretches of chunks that a record tells, as the steps of a patch. */
#ifndef SLUICE_SIGNER_DELTA_STEPS_H
#define SLUICE_SIGNER_DELTA_STEPS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/format/patch.h"
#include "signer/delta_match.h"

struct delta_steps {
	struct span old;	     /* borrowed, like the writer */
	struct patch_writer *writer; /* has all but the last step */
	const uint8_t *fresh;	     /* the last one: its bytes, and as patch_step has them */
	uint64_t old_at;
	size_t taken, inserted;
	uint64_t end; /* of the old bytes that the one before it took */
};

/* Adds a chunk. What goes on from where another ended makes no step of its own. */
int delta_steps_add(
	struct delta_steps *s, struct span chunk, const struct delta_match *match, struct err *e);

/* Appends the patch to out, and begins anew. */
int delta_steps_finish(struct delta_steps *s, struct buf *out, struct err *e);

#endif
