/* Chunks encoded by several threads, read and written in order.
 *
 * There is no thread for reading and none for writing: each thread takes up whatever is to be done
 * next, and reading and writing are done by one at a time. So N threads have N threads' worth of
 * work whatever the shares are, and what is written does not depend on N. */
#ifndef SLUICE_SIGNER_PIPELINE_H
#define SLUICE_SIGNER_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/format/cuts.h"
#include "common/format/hints.h"
#include "common/format/index.h"
#include "common/limits.h"

/* A chunk on its way. read sets len and plain (and begins_file); write finds the rest. */
struct piece {
	size_t len;
	bool begins_file;
	struct chunk chunk; /* offsets not set */
	const uint8_t *stored_data;
	size_t hints_len;
	uint8_t hints[HINTS_CHUNK_BYTES], cuts[CUTS_BYTES];
	uint8_t plain[CHUNK_BYTES];
	uint8_t stored[CHUNK_STORED_MAX];
};

struct pipeline {
	unsigned threads; /* 1 to PIPELINE_THREADS_MAX, the caller's among them */
	int level;	  /* of zlib */
	bool blocks;	  /* of an image: hints and cuts are made */
	/* Fills in the next piece; *more false (and nothing filled in) at the end. */
	int (*read)(void *arg, struct piece *p, bool *more, struct err *e);
	/* Takes the pieces, in the order in which they were read. */
	int (*write)(void *arg, const struct piece *p, struct err *e);
	void *arg;
};

/* Runs to the end, or to the first failure of any part. read and write are called from different
 * threads, but each never twice at once. Memory is some 132 KiB a piece, eight pieces a thread. */
int pipeline_run(const struct pipeline *p, struct err *e);

#endif
