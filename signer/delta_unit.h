/* Some entries of a payload's new index, in a row, and how they come out of the old payload: what
 * one thread does at once. */
#ifndef SLUICE_SIGNER_DELTA_UNIT_H
#define SLUICE_SIGNER_DELTA_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/format/delta.h"
#include "signer/delta_match.h"
#include "signer/delta_side.h"

/* Of a unit: entries, and those among them that need a patch. */
enum { DELTA_UNIT_ENTRIES = 4096, DELTA_UNIT_PATCHED = 64 };

/* The old payload, which may be NULL, and the new one, both of a kind. All borrowed. */
struct delta_between {
	const struct delta_side *from, *to;
	struct delta_old old;
};

/* Whether an entry needs no patch: it is a run, lies in the old payload as it is, or there is none.
 * May be called by any thread. */
bool delta_unit_is_plain(const struct delta_between *b, const struct delta_chunk *c);

/* What comes of it. */
struct delta_unit {
	size_t first, count;   /* entries */
	struct buf told, runs; /* of each its struct delta_told; of copies their struct delta_run */
	struct buf stored;     /* of records, back to back */
	size_t records;
	struct delta_unit_record {
		size_t stored;
		uint32_t chunks;
	} record[DELTA_UNIT_PATCHED];
};

struct delta_told {
	enum delta_kind kind;
	uint32_t runs;
};

void delta_unit_free(struct delta_unit *u);

/* What one thread needs for it. */
struct delta_worker;
int delta_worker_new(struct delta_worker **out, struct err *e);
void delta_worker_free(struct delta_worker *w);

/* Tells count entries from the first on, in place of what was in *u: at most DELTA_UNIT_PATCHED of
 * them may need a patch. What comes out depends on these entries only, and not on the thread. */
int delta_unit_tell(struct delta_worker *w, const struct delta_between *b, size_t first,
	size_t count, struct delta_unit *u, struct err *e);

/* Bytes so far: of records, and of stored chunks that have to come from the bundle. */
struct delta_sum {
	uint64_t records, full;
};

/* Hands it over: entries and records go into the writer, records' bytes to where sum says in fd. */
int delta_unit_put(const struct delta_unit *u, const struct delta_between *b,
	struct delta_writer *w, int fd, struct delta_sum *sum, struct err *e);

#endif
