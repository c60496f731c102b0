/* Blocks of 4 KiB of a new image, looked for at every byte of an old one.
 *
 * It finds what a box finds by their hints (common/format/hints.h), and tells those at multiples of
 * 4 KiB from others, for a box looks for the latter only where that promises something. Each find
 * is compared byte by byte. Memory: 26 to 52 bytes a block, and 1 MiB. */
#ifndef SLUICE_SIGNER_BLOCK_SEARCH_H
#define SLUICE_SIGNER_BLOCK_SEARCH_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

struct block_search;

void block_search_free(struct block_search **s);
#define AUTO_BLOCK_SEARCH CLEANUP(block_search_free)

/* For up to so many blocks of an image, which is borrowed. */
int block_search_new(struct span image, size_t blocks, struct block_search **out, struct err *e);

/* Wants the whole block of this number. Those of zeros, which nobody looks for, are passed over. */
void block_search_add(struct block_search *s, uint64_t block);

/* Looks through all of old with this many threads (1 to PIPELINE_THREADS_MAX). passed has a bit,
 * lowest first, for each chunk of old in which nothing counts as found at multiples of 4 KiB. Shows
 * progress, called so. */
int block_search_run(struct block_search *s, struct span old, const uint8_t *passed,
	unsigned threads, const char *name, struct err *e);

enum block_found { BLOCK_NOWHERE, BLOCK_UNALIGNED, BLOCK_ALIGNED, BLOCK_OF_ZEROS };

/* Whether a block stands somewhere in old; one that was not added does not. */
enum block_found block_search_of(const struct block_search *s, uint64_t block);

/* How many different blocks were added, and how many of these stand at no multiple of 4 KiB. */
size_t block_search_wanted(const struct block_search *s);
size_t block_search_unaligned(const struct block_search *s);

#endif
