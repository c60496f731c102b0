/* What the files of reuse.h have in common. For them only. */
#ifndef SLUICE_AGENT_REUSE_PARTS_H
#define SLUICE_AGENT_REUSE_PARTS_H

#include "agent/reuse.h"
#include "common/format/hints.h"

enum { REUSE_BLOCKS = CHUNK_BYTES / HINT_BLOCK_BYTES };

enum reuse_old { REUSE_OLD_RUNNING, REUSE_OLD_INACTIVE, REUSE_OLDS };

/* Where a block is found: its number, of a 4 KiB block, in the running slot, or with this bit in
 * the inactive one (a TiB has 2^28). */
enum { REUSE_INACTIVE_BIT = 1U << 30 };
#define REUSE_ZEROS (UINT32_MAX - 1)

struct reuse {
	struct reuse_job j;
	uint64_t pieces;		 /* of 64 KiB in the image */
	uint64_t missing, missing_bytes; /* chunks to be found; what they are stored as */
	struct wants *seen;		 /* entries that stand in the running slot as they belong */
	struct wants *built;		 /* entries whose blocks were all found, */
	struct wants *from_inactive;	 /* and of these, those with one in the inactive slot */
	struct wants *steady;		 /* pieces of the inactive slot that stay as they are */
	int hints_fd;			 /* like the member, as far as it was brought; or -1 */
	int old_fd[REUSE_OLDS]; /* hints of all blocks there, 0 for what was not read; or -1 */
	int build_fd;		/* REUSE_BLOCKS places for each entry of built, in order */
};

/* A file without a name that reads as so many zeros. */
int reuse_spool(const struct reuse *r, uint64_t bytes, int *out, struct err *e);

/* Whether an entry is a chunk that is wrong and was not seen in the running slot. */
bool reuse_is_missing(const struct reuse *r, const struct chunk *c, uint64_t entry);

/* The hints of a chunk that were brought. */
int reuse_hints(const struct reuse *r, const struct chunk *c, uint64_t hints[REUSE_BLOCKS],
	size_t *count, struct err *e);

/* Finds the blocks of the missing chunks among the old ones. */
int reuse_match(struct reuse *r, struct err *e);

#endif
