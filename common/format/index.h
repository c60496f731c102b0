/* The chunk index of a payload: what every chunk of it must be. As what they are stored, and where,
 * stands elsewhere (pages.h): who has the bytes already, or gets them in another way, needs none of
 * that.
 *
 * PAYLOAD.index is a header of 32 bytes and then entries of 36, integers little-endian:
 *
 *     0  "SLUICEIX"          0  32  SHA-256 of the chunk's bytes
 *     8  u32 version, 2     32  u32 how many these are (1 to the chunk size);
 *    12  u32 chunk size             or 0x80000000 + n
 *    16  u64 plain bytes
 *    24  u64 entries
 *
 * 0x80000000 + n: not a chunk but a run of n (at least 1) full-size chunks, all of whose bytes are
 * zero; its digest is zero bytes. Only a chunk that ends an image, or a file of a tree, may be
 * shorter than the chunk size; in a tree each file starts a new chunk, in the order of
 * PAYLOAD.files. */
#ifndef SLUICE_FORMAT_INDEX_H
#define SLUICE_FORMAT_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/format/manifest.h"
#include "common/format/seal.h"
#include "common/limits.h"

enum { INDEX_HEADER_BYTES = 32, INDEX_ENTRY_BYTES = 36 };

/* CHUNK_UNKNOWN: as an index has a chunk, which does not say as what it is stored. It can be
 * compared, and neither fetched nor decoded; pages_find() tells the rest. */
enum chunk_store { CHUNK_UNKNOWN, CHUNK_ZERO_RUN, CHUNK_RAW, CHUNK_ZLIB };

/* One entry, with where it stands. */
struct chunk {
	enum chunk_store store;
	struct digest plain;
	uint64_t offset; /* of its first plain byte in the payload */
	uint64_t size;	 /* plain bytes; of a run: all of them */

	/* Zeros where it is unknown, and of a run. */
	struct digest stored;
	struct seal cuts;	/* of its record (cuts.h) */
	uint64_t stored_offset; /* in PAYLOAD.data */
	uint32_t stored_size;
};

/* Reads entries in order through a window, so that memory does not grow with the payload. */
struct index_reader;

void index_close(struct index_reader **r);
#define AUTO_INDEX CLEANUP(index_close)

/* An index that stands in fd at offset, size bytes long, already checked against its digest. Checks
 * header, size, and the payload's plain size from the manifest. fd and p are borrowed. */
int index_open(int fd, const char *name, uint64_t offset, const struct payload *p,
	struct index_reader **out, struct err *e);

/* The next entry, a run or CHUNK_UNKNOWN: *more false after the last. All rules above are checked
 * as it goes, the sum at the end (it must come out exactly): ERR_MALFORMED names the entry. And
 * the digest once more, of all that was read, and before anything is called malformed:
 * ERR_UNTRUSTED when the file is no longer what was checked. So a walk counts only once it has come
 * to its end. */
int index_next(struct index_reader *r, struct chunk *out, bool *more, struct err *e);

/* Back to the first entry. */
int index_rewind(struct index_reader *r, struct err *e);

uint64_t index_entries(const struct index_reader *r);

/* How many entries an index of this size has. */
uint64_t index_entries_in(uint64_t index_bytes);

/* Writing: the header for these sums, and one entry. */
void index_put_header(uint8_t out[INDEX_HEADER_BYTES], uint64_t plain_bytes, uint64_t entries);
void index_put_entry(uint8_t out[INDEX_ENTRY_BYTES], const struct chunk *c);

/* The entry again, for whoever looks here and there into an index that was gone through. *c stays
 * as it was but for store, plain and size. */
int index_take_entry(const uint8_t in[INDEX_ENTRY_BYTES], struct chunk *c, struct err *e);

#endif
