/* One of the two payloads that a delta is between: its bytes, and its index in memory. */
#ifndef SLUICE_SIGNER_DELTA_SIDE_H
#define SLUICE_SIGNER_DELTA_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "signer/bundle_file.h"
#include "signer/unpacked.h"

/* An entry of the index. */
struct delta_chunk {
	uint64_t offset, size; /* plain bytes */
	uint32_t stored;       /* what the bundle has for them; 0: a run of zeros */
	struct digest plain;
};

struct delta_side {
	const struct payload *payload; /* borrowed */
	struct unpacked plain;
	struct delta_chunk *chunks;
	size_t count;
	uint32_t *by_digest; /* chunks that are no runs, sorted; NULL where nobody looks for them */
	size_t sorted;
};

#define DELTA_SIDE_INIT ((struct delta_side){.plain = UNPACKED_INIT})

/* Unpacks the payload into the folder scratch, with this many threads; its index is checked, and
 * its bytes are what that says. Some 60 bytes an entry. ERR_UNTRUSTED, ERR_MALFORMED. */
int delta_side_open(const struct bundle_file *b, size_t payload, unsigned threads,
	const char *scratch, struct delta_side *out, struct err *e);
void delta_side_close(struct delta_side *s);
#define AUTO_DELTA_SIDE CLEANUP(delta_side_close)

static inline struct span
delta_side_bytes(const struct delta_side *s)
{
	return span_of(s->plain.data, (size_t)s->plain.size);
}

/* Sorts the chunks, so that one can be found that is the same as another: at `here`, if there is
 * one, else the first. False: there is none. */
int delta_side_sort(struct delta_side *s, struct err *e);
bool delta_side_find(
	const struct delta_side *s, const struct delta_chunk *c, uint64_t here, uint64_t *at);

/* Lets go of the memory of some bytes, which are read again when they are looked at. */
void delta_side_let_go(const struct delta_side *s, uint64_t from, uint64_t to);

#endif
