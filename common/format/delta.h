/* A delta: how the payloads of one bundle come out of those of an older one.
 *
 * NAME-VERSION.from-OLD.delta, a TUF target of its own, is a head, whose length and digest its
 * custom names (delta_listing.h), and records back to back. From the head, and from what a box has
 * of the old bundle, comes the whole head of the new one (bundle.h), whose digest says whether it
 * is right: no byte of a delta is believed for its own sake. Integers are little-endian:
 *
 *      0  "SLUICEDL"
 *      8  u32 version, 1
 *     12  u32 payloads: those of the new manifest, in its order
 *     16  SHA-256 of the old bundle's manifest (of its signed part in canonical JSON)
 *     48  the same of the new one's
 *     80  u32 bytes of the new bundle's manifest.json; u32 what they are stored as, a zlib stream
 *     88  for each payload, 56 bytes:
 *           0  u64 plain bytes of the old bundle's payload of this name; 0: it has none
 *           8  u64 bytes of the walk; u64 what they are stored as, a zlib stream
 *          24  u64 digests
 *          32  u64 records; u64 bytes of all of them
 *          48  u64 bytes of the list
 *     then manifest.json, and for each payload its walk, digests, records, seals and list.
 *
 * The walk tells what each entry of the new index is, in items of varints (varint.h). An item is
 * kind + 8 * (count - 1); or, for one chunk that is short, kind + 4 + 8 * its bytes. Kinds:
 *
 *     0  a run of `count` chunks of zeros, one entry
 *     1  chunks that are told by a record; each has a digest
 *     2  chunks that have to come from the bundle; each has a digest
 *     3  chunks that lie in the old payload. Where follows, as runs: 2 * bytes, and by how much
 *        further on they lie there than in the new one, as the difference (zigzag) from the run
 *        before; or 2 * bytes + 1, all of them zero. Runs end where the item does, and a chunk has
 *        at most DELTA_RUNS_MAX. Its digest is that of these bytes; in a tree each is a chunk of
 *        the old index as it stands there.
 *
 * Digests are the SHA-256 of plain chunks, in order. A record has 24 bytes in the head: u32 its
 * stored bytes, u32 how many chunks it tells (the next ones of kind 1), and the first 16 bytes of
 * the SHA-256 of its stored bytes (why that is enough, seal.h says). It is a patch (patch.h) of the
 * old payload. Seals are the new bundle's member as it is. A list, which trees have, is the new
 * PAYLOAD.files in pieces of DELTA_LIST_PIECE bytes, each a u32 and so many bytes: a patch of the
 * old one. */
#ifndef SLUICE_FORMAT_DELTA_H
#define SLUICE_FORMAT_DELTA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/format/cuts.h"
#include "common/format/index.h"
#include "common/format/manifest.h"
#include "common/format/patch.h"

enum {
	DELTA_HEADER_BYTES = 88,
	DELTA_PAYLOAD_BYTES = 56,
	DELTA_RECORD_BYTES = 24,
	DELTA_LIST_PIECE = 1 << 17
};

enum delta_kind { DELTA_ZEROS, DELTA_RECORD, DELTA_FULL, DELTA_COPY };

/* Where a payload's parts stand in the head. */
struct delta_part {
	uint64_t old_bytes;
	uint64_t walk_at, walk_bytes, walk_stored;
	uint64_t digests_at, digests;
	uint64_t records_at, records;
	uint64_t seals_at; /* as many as the manifest says */
	uint64_t list_at, list_size;
	uint64_t data_at, data_size; /* its records, in the file */
};

struct delta_head {
	uint64_t size;		/* and what is behind it are records, */
	uint64_t total_size;	/* up to here */
	struct digest from, to; /* manifests */
	uint64_t manifest_at;
	uint32_t manifest_bytes, manifest_stored;
	size_t payload_count;
	struct delta_part parts[PAYLOADS_MAX];
};

/* Two steps, for the sizes of seals are in the manifest. fd has the head, size bytes whose digest
 * was checked. The first reads the header, and appends manifest.json to out; the second, once that
 * was parsed, completes *h: everything adds up to size, exactly. ERR_MALFORMED, ERR_LIMIT. */
int delta_head_read(int fd, const char *name, uint64_t size, struct delta_head *h, struct buf *out,
	struct err *e);
int delta_head_place(
	const char *name, struct delta_head *h, const struct manifest *m, struct err *e);

/* A record, and where it is. */
struct delta_record {
	uint64_t number;
	uint64_t offset; /* in the delta */
	uint32_t stored;
	uint32_t chunks;
	struct seal seal;
};

/* Whether these are its stored bytes. */
bool delta_record_is(const struct delta_record *r, struct span stored);

/* One entry of the new index, and where its bytes come from. */
struct delta_entry {
	enum delta_kind kind;
	uint64_t offset, size;	    /* plain bytes in the new payload; of a run: all of it */
	struct digest plain;	    /* of DELTA_RECORD and DELTA_FULL; else zeros */
	struct delta_record record; /* of DELTA_RECORD; else zeros */
	uint32_t in_record;	    /* chunks of it before this one */
	size_t runs;		    /* of DELTA_COPY */
	struct delta_run {
		uint64_t old_at; /* unless zeros */
		uint32_t size;
		bool zeros;
	} run[DELTA_RUNS_MAX];
};

/* Goes through the entries of a payload, in order, through windows: memory does not grow with the
 * payload. What it is given is borrowed. */
struct delta_walk;
int delta_walk_open(int fd, const char *name, const struct delta_head *h, size_t part,
	const struct payload *p, struct delta_walk **out, struct err *e);
void delta_walk_close(struct delta_walk **w);
#define AUTO_DELTA_WALK CLEANUP(delta_walk_close)

/* The next entry; *more false after the last. All sums are checked as it goes: runs lie in the old
 * payload, records in the file and tell as many chunks as they say, entries fill the payload.
 * ERR_MALFORMED names the entry. */
int delta_walk_next(struct delta_walk *w, struct delta_entry *out, bool *more, struct err *e);
int delta_walk_rewind(struct delta_walk *w, struct err *e);

/* The new PAYLOAD.files (list_bytes, as the manifest says) into out_fd at out_at, of the old one.
 */
int delta_list_make(int fd, const char *name, const struct delta_part *part,
	const struct patch_old *old, uint64_t list_bytes, int out_fd, uint64_t out_at,
	struct err *e);

/* Making: the walk of a payload. Entries are put in order; those next to each other and alike
 * become one item. */
struct delta_writer;
int delta_writer_new(struct delta_writer **out, struct err *e);
void delta_writer_free(struct delta_writer **w);
#define AUTO_DELTA_WRITER CLEANUP(delta_writer_free)

/* The next entry. Of what tells where it stands (offset, record, in_record) nothing is looked at.
 * ERR_LIMIT where a walk would be more than HEAD_BYTES_MAX. */
int delta_put(struct delta_writer *w, const struct delta_entry *entry, struct err *e);

/* The next record, which tells so many chunks. Its bytes go to the file, behind the head. */
int delta_put_record(struct delta_writer *w, struct span stored, uint32_t chunks, struct err *e);

/* Appends what the head has of a payload before its seals (walk, digests and records), and sets all
 * sizes of *part but old_bytes and list_size. The writer is used up. */
int delta_writer_finish(
	struct delta_writer *w, struct buf *out, struct delta_part *part, struct err *e);

/* Appends the pieces of a list. */
int delta_put_list(struct span old_list, struct span new_list, struct buf *out, struct err *e);

/* Appends the front of a head: the header, and each payload's sizes. What h says of where things
 * stand is not looked at. */
int delta_put_header(const struct delta_head *h, struct buf *out, struct err *e);

#endif
