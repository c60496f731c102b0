/* What the files of reuse.h have in common. For them only. */
#ifndef SLUICE_AGENT_REUSE_PARTS_H
#define SLUICE_AGENT_REUSE_PARTS_H

#include "agent/reuse.h"
#include "common/format/hints.h"

enum reuse_old { REUSE_OLD_RUNNING, REUSE_OLD_INACTIVE, REUSE_OLDS };

/* Where a block is found: at a byte of the running slot, or with this bit of the inactive one;
 * HINT_NOWHERE; or nowhere, for it is zeros. */
#define REUSE_INACTIVE_BIT (1ULL << 62)
#define REUSE_ZEROS (UINT64_MAX - 1)

struct reuse {
	struct reuse_job j;
	uint64_t pieces;		 /* of 64 KiB in the image */
	uint64_t missing, missing_bytes; /* chunks to be found; as what they may be stored */
	struct wants *seen;		 /* entries that stand in the running slot as they belong */
	struct wants *built;		 /* entries whose blocks were found, all or some; */
	struct wants *partly;		 /* of these, those that lack some, */
	struct wants *from_inactive;	 /* and those with one in the inactive slot */
	struct wants *steady;		 /* pieces of the inactive slot that stay as they are */
	int hints_fd;			 /* like the member, as far as it was brought; or -1 */
	int cuts_fd;			 /* likewise */
	int old_fd[REUSE_OLDS]; /* hints of all blocks there, 0 for what was not read; or -1 */
	int build_fd;		/* CHUNK_BLOCKS places for each entry that is built */
};

/* A file without a name that reads as so many zeros. */
int reuse_spool(const struct reuse *r, uint64_t bytes, int *out, struct err *e);

/* Whether an entry is a chunk that is wrong and was not seen in the running slot. */
bool reuse_is_missing(const struct reuse *r, const struct chunk *c, uint64_t entry);

/* The hints of a chunk that were brought. */
int reuse_hints(const struct reuse *r, const struct chunk *c, uint64_t hints[CHUNK_BLOCKS],
	size_t *count, struct err *e);

/* Finds the blocks of the missing chunks among the old ones. */
int reuse_match(struct reuse *r, struct err *e);

/* Where the blocks of an entry that is built are. */
int reuse_places_put(
	const struct reuse *r, uint64_t entry, const uint64_t where[CHUNK_BLOCKS], struct err *e);
int reuse_places(
	const struct reuse *r, uint64_t entry, uint64_t where[CHUNK_BLOCKS], struct err *e);

/* Brings as what the chunks are stored that are not found or lack some blocks, and of the latter
 * the cuts, where these are worth it. Those whose cuts are not what was sealed are fetched
 * whole. */
int reuse_cuts_bring(struct reuse *r, struct err *e);

#endif
