/* Cuts: where a chunk's stored bytes can be cut, so that a box which has some of its blocks takes
 * only the others.
 *
 * The zlib stream of an image's chunk is flushed after each block of 4 KiB (so are the blocks of
 * hints.h); a chunk that is stored raw has its blocks as they are. PAYLOAD.cuts has a record for
 * each entry of the index, in order, and PAYLOAD.stored (pages.h) the seal of each record, so that
 * one can be fetched, and believed, without the others. A record is, for each of up to 16 blocks,
 * integers little-endian:
 *
 *     0  u16 stored bytes
 *     2  the first 16 bytes of their SHA-256
 *
 * and zeros for blocks that the chunk has not. A run of zeros has a record of zeros, and a seal of
 * zeros. */
#ifndef SLUICE_FORMAT_CUTS_H
#define SLUICE_FORMAT_CUTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/format/hints.h"
#include "common/format/index.h"
#include "common/format/seal.h"

enum { CUT_BYTES = 2 + SEAL_BYTES, CUTS_BYTES = CHUNK_BLOCKS * CUT_BYTES };

struct cuts {
	size_t count;
	struct cut {
		uint16_t size; /* stored bytes */
		struct seal seal;
	} cut[CHUNK_BLOCKS];
};

/* A chunk's stored bytes, cut where sizes say; the seals are set. */
void cuts_seal(struct cuts *cuts, const uint8_t *stored);

/* The record; NULL: that of a run. */
void cuts_put(const struct cuts *cuts, uint8_t out[CUTS_BYTES]);

/* What PAYLOAD.stored has for a record. */
struct seal cuts_record_seal(const uint8_t record[CUTS_BYTES]);

/* Reads the record of a chunk that is no run, and of which is known as what it is stored, once it
 * is the one that was sealed: ERR_UNTRUSTED. ERR_MALFORMED where its cuts are not the chunk's
 * stored bytes, or more than its blocks. */
int cuts_take(const uint8_t record[CUTS_BYTES], const struct seal *seal, const struct chunk *c,
	struct cuts *out, struct err *e);

/* Whether these bytes are those of a cut. */
bool cut_is(const struct cut *cut, struct span stored);

#endif
