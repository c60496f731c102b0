/* Two releases compared: what a box on the old one fetches for the new one, and why. */
#ifndef SLUICE_SIGNER_DIFF_H
#define SLUICE_SIGNER_DIFF_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "signer/advice.h"
#include "signer/bill.h"
#include "signer/bundle_file.h"
#include "signer/contents.h"
#include "signer/fetching.h"

/* A payload of the new bundle. */
struct payload_diff {
	const struct payload *new;
	const struct payload *old; /* for the same slot class, and of the same kind; NULL: none */
	struct contents contents, old_contents;
	struct fetching fetching;
	struct bill bill;
	struct advice advice[ADVICES];
};

struct diff {
	struct bundle_file old, new;
	size_t count;
	struct payload_diff payloads[PAYLOADS_MAX];
};

#define DIFF_INIT ((struct diff){.old = BUNDLE_FILE_INIT, .new = BUNDLE_FILE_INIT})

void diff_free(struct diff *d);
#define AUTO_DIFF CLEANUP(diff_free)

/* Compares the bundles of two files, whoever signed them, payload by payload, which are unpacked
 * into files without names in the folder scratch meanwhile. d is DIFF_INIT; the paths are borrowed.
 * Whatever becomes of it, diff_free() is the caller's. ERR_MALFORMED or ERR_UNTRUSTED where a
 * bundle contradicts itself. Shows progress. */
int diff_bundles(const char *old, const char *new, unsigned threads, const char *scratch,
	struct diff *d, struct err *e);

/* All that is fetched of the new bundle: its head, and what its payloads need. */
uint64_t diff_total(const struct diff *d);

#endif
