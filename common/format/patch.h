/* Patches: new bytes, told as old ones that are much the same and what is different about them.
 *
 * After Percival, "Naive differences of executable code" (2003): where code moves, the bytes around
 * it stay the same but for addresses, so what two versions have at such places differs in few
 * bytes, and by much the same amounts. A patch is four streams. Each has its plain size and its
 * stored size (varints, at the front, in this order), and is a raw deflate stream, or its bytes
 * themselves where both sizes are the same:
 *
 *     steps    varints: where in the old bytes, as the distance (zigzag) from where the step before
 *              ended, or from 0; how many bytes are taken there; how many inserted behind them
 *     gaps     varints, in turn: so many taken bytes are the old ones, so many differ (at least 1);
 *              behind the last pair none differs
 *     diffs    for each byte that differs, new minus old, modulo 256
 *     inserts  what is inserted
 *
 * A varint has 7 bits a byte, the lowest first, the highest bit set on all but the last. A step
 * gives at least one byte. A patch says nothing of what comes out of it: a digest has to. */
#ifndef SLUICE_FORMAT_PATCH_H
#define SLUICE_FORMAT_PATCH_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/limits.h"

enum patch_stream { PATCH_STEPS, PATCH_GAPS, PATCH_DIFFS, PATCH_INSERTS, PATCH_STREAMS };

/* The old bytes. Reads of them stay within size. */
struct patch_old {
	void *arg;
	int (*read)(void *arg, void *data, size_t len, uint64_t offset, struct err *e);
	uint64_t size;
};

/* Applying, some bytes at a time. It has 0.3 MB whatever the patch: four inflaters, and what was
 * read of the old bytes last. May be used for one patch after the other. */
struct patch;
int patch_new(struct patch **out, struct err *e);
void patch_free(struct patch **p);
#define AUTO_PATCH CLEANUP(patch_free)

/* Begins a patch of at most PATCH_STORED_MAX bytes that makes out_bytes (at most PATCH_BYTES_MAX).
 * stored and old are borrowed until the next one begins. What is stored was checked by its digest,
 * and counts for nothing more than that. ERR_MALFORMED, ERR_LIMIT. */
int patch_begin(struct patch *p, struct span stored, const struct patch_old *old,
	uint64_t out_bytes, struct err *e);

/* Makes the next len bytes, no more than are left: ERR_MALFORMED for a patch that takes bytes
 * outside the old ones, makes more or fewer bytes than it should, or is no patch; errors of
 * old->read as they are. What is in out after a failure is nobody's, and the patch is over. */
int patch_take(struct patch *p, uint8_t *out, size_t len, struct err *e);

/* Stored bytes that went into what was made so far: of each stream the share that its plain bytes
 * have, which were taken. All of them, once all bytes were made. */
uint64_t patch_spent(const struct patch *p);

/* All bytes were made: ERR_MALFORMED where something is left in a stream. */
int patch_end(struct patch *p, struct err *e);

/* Making. What was added since it was new, or was finished last, is one patch. */
struct patch_writer;
int patch_writer_new(struct patch_writer **out, struct err *e);
void patch_writer_free(struct patch_writer **w);
#define AUTO_PATCH_WRITER CLEANUP(patch_writer_free)

/* A step: the first `taken` bytes of fresh from old bytes (old, which lie at old_at), the others
 * inserted. ERR_SYSTEM without memory; ERR_LIMIT over PATCH_BYTES_MAX in all. */
int patch_step(struct patch_writer *w, const uint8_t *old, uint64_t old_at, struct span fresh,
	size_t taken, struct err *e);

/* Bytes in its streams so far: what it would take if nothing shrank. */
size_t patch_plain_bytes(const struct patch_writer *w);

/* Appends the patch to out, and begins anew. The same steps give the same bytes, with the same
 * zlib. */
int patch_finish(struct patch_writer *w, struct buf *out, struct err *e);

#endif
