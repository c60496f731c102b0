/* Reuse: chunks that the box need not fetch, for it has their bytes elsewhere.
 *
 * Between comparing and mending. A wrong chunk is taken from the running slot where it stands there
 * as it belongs, or put together from blocks of 4 KiB that have moved: their hints
 * (common/format/hints.h) are found among those of the running slot, or of the inactive one, as
 * long as a block there is not overwritten before its turn. Each chunk is checked by its digest
 * before it is written; what does not come out right stays wrong, and is fetched. Blocks that are
 * not found where blocks begin are looked for at every byte of the running slot (slide.h). Of a
 * chunk that lacks some blocks only these are fetched, by its cuts (common/format/cuts.h).
 *
 * Hints are unauthenticated: the manifest has the digest of the whole member, and only parts of it
 * are asked for. A wrong one costs a chunk that has to be fetched, and nothing else, for the
 * chunk's digest decides. They are numbers that are looked up; there is nothing to parse.
 *
 * Before all of a slot is hashed and all hints are fetched, a sample is taken of both: up to
 * 256 wrong chunks, spread evenly, give 4096 hints (32 KiB), and one piece in 16 of the slot is
 * hashed. Of n blocks in a hundred that are to be found there, a sixteenth of 41 n are hit: where
 * fewer than 3 are, all is fetched. That loses something only where under 2 in a hundred could be
 * taken, and saves a box that has nothing of it the hints (8 bytes for 4 KiB) and the hashing.
 * Nor is a slot looked at where it is more than 2048 times as large as what is to be fetched: then
 * reading it takes longer than fetching, from 50 KB/s on. And of a source that gives no ranges
 * (source.h) neither hints nor blocks are asked for: it is cheaper to go through the bundle once.
 *
 * Memory: a table of 4 MiB, three bits for each entry of the index, and two for each 64 KiB. Images
 * with more wrong blocks than go into the table are done in windows. Hints, places found and cuts
 * are in files without a name in the state folder: 8 bytes a block looked at, 128 a chunk found,
 * 288 one that lacks some blocks. */
#ifndef SLUICE_AGENT_REUSE_H
#define SLUICE_AGENT_REUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/engine.h"
#include "agent/ranges.h"
#include "agent/source.h"
#include "agent/stored.h"
#include "agent/wants.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/format/cuts.h"
#include "common/format/index.h"

enum { REUSE_WINDOW_BLOCKS = 192 * 1024 };

/* What there is to look at. All borrowed, and kept as long as the struct reuse is. */
struct reuse_job {
	const struct engine *g;	     /* whose place is the inactive slot, and is only read */
	const struct wants *wrong;   /* from engine_compare() */
	const struct place *running; /* NULL: none */
	uint64_t running_bytes;
	uint64_t image_bytes;  /* of the payload */
	bool hints;	       /* whether the bundle has some, */
	uint64_t hints_offset; /* and where in the source */
	bool cuts;	       /* whether it has cuts, where in the source, */
	uint64_t cuts_offset;  /* whose seals come with the engine's stored */
	const char *state_dir; /* for files without a name */
	size_t window_blocks;  /* REUSE_WINDOW_BLOCKS, but in tests */
};

struct reuse;

void reuse_free(struct reuse **r);
#define AUTO_REUSE CLEANUP(reuse_free)

/* Looks for the wrong chunks. Writes nothing but its own files; fetches hints, and for chunks that
 * lack some blocks cuts and pages of stored, counted in the engine's stats. Where its files fail
 * that is logged, and nothing is found. ERR_STOPPED; errors of the source; an index that changed.
 */
int reuse_look(const struct reuse_job *j, struct reuse **out, struct err *e);

/* From where an entry will come; REUSE_NOWHERE: it has to be fetched (or is no chunk, or right). */
enum reuse_from { REUSE_NOWHERE, REUSE_RUNNING, REUSE_INACTIVE };
enum reuse_from reuse_of(const struct reuse *r, uint64_t entry);

/* Brings what is not known yet of how that is stored of which something has to be fetched all the
 * same. found NULL: nothing was looked for. Errors of stored_bring(). */
int reuse_stored(const struct engine *g, const struct wants *wrong, const struct reuse *found,
	struct err *e);

/* Whether only some of its blocks have to be: which, and where they are stored. Sets as what the
 * chunk is stored, too. */
bool reuse_is_partly(const struct reuse *r, uint64_t entry);

struct reuse_lack {
	uint64_t where[CHUNK_BLOCKS]; /* of each block; HINT_NOWHERE where it lacks */
	struct cuts cuts;
	unsigned blocks; /* a bit for each that lacks */
	uint64_t plain;	 /* bytes of these */
	size_t spans;	 /* of the data member, upwards */
	struct range span[(CHUNK_BLOCKS + 1) / 2];
};
int reuse_lack(const struct reuse *r, uint64_t entry, struct chunk *c, struct reuse_lack *out,
	struct err *e);

/* Writes what was found, upwards, and takes it out of wrong. Errors of the place, and of the source
 * where blocks lack; ERR_STOPPED. What cannot be read, or comes other than it was sealed, stays
 * wrong. */
int reuse_write(struct reuse *r, struct wants *wrong, struct err *e);

#endif
