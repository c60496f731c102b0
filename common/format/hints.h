/* PAYLOAD.hints: for every block of 4 KiB of an image, in order, the first 8 bytes of its SHA-256.
 * The last block of an image whose size is no multiple of 4 KiB is short, and its hint is that of
 * the bytes it has: nothing is padded. Two blocks may share a hint; the chunk's digest decides. */
#ifndef SLUICE_FORMAT_HINTS_H
#define SLUICE_FORMAT_HINTS_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/limits.h"

enum { HINT_BLOCK_BYTES = 4096, HINT_BYTES = 8 };

/* Of a whole chunk. */
enum { HINTS_CHUNK_BYTES = CHUNK_BYTES / HINT_BLOCK_BYTES * HINT_BYTES };

/* The hint of a whole block of zeros, as num_get_le64() reads it. */
#define HINT_OF_ZEROS 0xe9c66f58b2ac7fadULL

/* What PAYLOAD.hints of an image of this size takes. */
uint64_t hints_size(uint64_t image_bytes);

/* The hints of a chunk's plain bytes (at most CHUNK_BYTES), which begin at a multiple of the block
 * size. Returns how many bytes of out were set. */
size_t hints_of(struct span plain, uint8_t out[HINTS_CHUNK_BYTES]);

#endif
