/* What would make an update smaller, where that shows in the two releases themselves. */
#ifndef SLUICE_SIGNER_ADVICE_H
#define SLUICE_SIGNER_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signer/bill.h"
#include "signer/contents.h"
#include "signer/unpacked.h"

enum advice_kind {
	ADVICE_FILES,	 /* compressed files that would cost less if they were not */
	ADVICE_IMAGE,	 /* the image as a whole is */
	ADVICE_METADATA, /* metadata differs by what could be the same */
	ADVICE_FREE,	 /* old bytes in blocks that are free */
	ADVICE_RENAMED,	 /* files of a tree that were there under other names */
	ADVICE_HINTS,	 /* the new bundle has no hints, or no cuts */
	ADVICES
};

enum { ADVICE_EXAMPLES = 3, ADVICE_DETAIL_SIZE = 128 };

struct advice {
	uint64_t bytes; /* that are fetched on its account; 0: it is not given */
	uint64_t would; /* of ADVICE_FILES: be fetched instead */
	size_t files;	/* how many, */
	uint32_t examples[ADVICE_EXAMPLES]; /* and the dearest of these: owners */
	char detail[ADVICE_DETAIL_SIZE];    /* of ADVICE_METADATA: what differs */
};

/* Both payloads; all borrowed. */
struct advice_job {
	const struct payload *payload;
	const struct unpacked *new, *old; /* old and old_contents may be NULL */
	const struct contents *contents, *old_contents;
	const struct bill *bill;
	bool delta; /* it is what a box pays that goes by a delta */
	int level;  /* of zlib, that the new bundle is packed with */
	unsigned threads;
	const char *scratch; /* a folder */
};

/* Looks at what was charged to whom. */
int advice_of(const struct advice_job *j, struct advice out[ADVICES], struct err *e);

/* "compressed-files", for programs. */
const char *advice_word(enum advice_kind kind);

/* What somebody can do about it, in a sentence or two. */
const char *advice_text(enum advice_kind kind);

#endif
