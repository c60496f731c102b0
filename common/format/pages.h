/* Pages: an index, and what says as what its chunks are stored, in parts of PAGE_ENTRIES entries
 * that can be had, and believed, without the others.
 *
 * PAYLOAD.stored has a page for every 64 entries of the index, back to back; the last has as many
 * as are left. Integers are little-endian:
 *
 *     0  u64 where in PAYLOAD.data the first stored byte of the page's first chunk stands
 *     8  for each entry 52 bytes:
 *            0  32  SHA-256 of the chunk's stored bytes
 *           32  16  seal of its record of PAYLOAD.cuts; zeros where the payload has no cuts
 *           48  u32 stored bytes (1 to its plain bytes)
 *
 * Fewer stored than plain bytes: one zlib stream; as many: the bytes themselves. A run of zeros has
 * no stored bytes, and zeros for all of this. Stored bytes stand back to back in PAYLOAD.data in
 * the order of entries.
 *
 * PAYLOAD.seals, which is in the head, has a seal for each page of PAYLOAD.index (the entries, not
 * the header), and behind these one for each page of PAYLOAD.stored. */
#ifndef SLUICE_FORMAT_PAGES_H
#define SLUICE_FORMAT_PAGES_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/format/index.h"
#include "common/format/manifest.h"
#include "common/format/seal.h"

enum {
	PAGE_ENTRIES = 64,
	STORED_OFFSET_BYTES = 8,
	STORED_ENTRY_BYTES = DIGEST_BYTES + SEAL_BYTES + 4,
	STORED_PAGE_BYTES = STORED_OFFSET_BYTES + PAGE_ENTRIES * STORED_ENTRY_BYTES,
	INDEX_PAGE_BYTES = PAGE_ENTRIES * INDEX_ENTRY_BYTES
};

/* What an index of so many entries has, and the members that go with it. */
uint64_t pages_count(uint64_t entries);
uint64_t pages_stored_bytes(uint64_t entries);
uint64_t pages_seals_bytes(uint64_t entries);

/* Of a page below pages_count(): its entries. */
size_t pages_entries(uint64_t entries, uint64_t page);

/* A payload's pages and their seals, wherever they are. All borrowed; names are for messages. */
struct pages {
	const struct payload *payload;
	int fd; /* PAYLOAD.stored, from offset on */
	const char *name;
	uint64_t offset;
	int seals_fd; /* PAYLOAD.seals; it was checked, and is believed */
	const char *seals_name;
	uint64_t seals_offset;
	uint64_t loaded; /* the page that was read last, and one more; 0: none was */
	uint8_t page[STORED_PAGE_BYTES];
};

/* How many there are. */
uint64_t pages_of(const struct pages *p);

/* Where a page of PAYLOAD.stored stands in it, and its bytes. */
uint64_t pages_at(const struct pages *p, uint64_t page, size_t *len);

/* Whether bytes are that page of PAYLOAD.stored, or of PAYLOAD.index (without the header):
 * ERR_UNTRUSTED. */
int pages_check(const struct pages *p, uint64_t page, struct span bytes, struct err *e);
int pages_check_index(const struct pages *p, uint64_t page, struct span bytes, struct err *e);

/* Sets as what a chunk is stored, of which c has what the index says. The page is read, if it is
 * not the last that was, and compared with its seal: ERR_UNTRUSTED. ERR_MALFORMED where it breaks
 * the rules above, or names bytes that PAYLOAD.data has not. Of a run only its stored_offset is
 * set: that of what stands behind it. */
int pages_find(struct pages *p, uint64_t entry, struct chunk *c, struct err *e);

/* Writing: what begins a page, and one entry. */
void pages_put_offset(uint8_t out[STORED_OFFSET_BYTES], uint64_t stored_offset);
void pages_put_entry(uint8_t out[STORED_ENTRY_BYTES], const struct chunk *c);

#endif
