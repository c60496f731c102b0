/* PAYLOAD.hints: for every block of 4 KiB of an image, in order, a number of 64 bits that stands
 * for its bytes b[0] to b[n-1]: the sum of b[i] * HINT_FACTOR^(n-1-i), modulo 2^64.
 *
 * Such a number can be carried from byte to byte (Karp and Rabin, 1987), so a box can look for a
 * block at every place of an old image, not only at multiples of 4 KiB: of a system update's new
 * blocks one in nine is found only so. The last block of an image whose size is no multiple of
 * 4 KiB is short, and its hint is that of the bytes it has: nothing is padded. Two blocks may share
 * a hint, and whoever makes a bundle can see to it that they do; the chunk's digest decides. The
 * hint of zeros is 0. */
#ifndef SLUICE_FORMAT_HINTS_H
#define SLUICE_FORMAT_HINTS_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/limits.h"

enum { HINT_BLOCK_BYTES = 4096, HINT_BYTES = 8, CHUNK_BLOCKS = CHUNK_BYTES / HINT_BLOCK_BYTES };

/* Of a whole chunk. */
enum { HINTS_CHUNK_BYTES = CHUNK_BLOCKS * HINT_BYTES };

/* Odd, so that no byte is ever lost; and its power for the byte that leaves a whole block. */
#define HINT_FACTOR 0x9e3779b97f4a7c15ULL
#define HINT_FACTOR_BLOCK 0x8e96c1bd11acc001ULL

#define HINT_OF_ZEROS 0

/* What PAYLOAD.hints of an image of this size takes. */
uint64_t hints_size(uint64_t image_bytes);

/* The hints of a chunk's plain bytes (at most CHUNK_BYTES), which begin at a multiple of the block
 * size. Returns how many bytes of out were set. */
size_t hints_of(struct span plain, uint8_t out[HINTS_CHUNK_BYTES]);

/* The hint of the bytes one further on: in comes behind a whole block, and out is its first. */
static inline uint64_t
hint_roll(uint64_t hint, uint8_t out, uint8_t in)
{
	return hint * HINT_FACTOR + in - out * HINT_FACTOR_BLOCK;
}

#endif
