/* Two releases compared: what a box on the old one fetches for the new one, and why. */
#ifndef SLUICE_SIGNER_DIFF_H
#define SLUICE_SIGNER_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "signer/advice.h"
#include "signer/bill.h"
#include "signer/bundle_file.h"
#include "signer/by_delta.h"
#include "signer/contents.h"
#include "signer/draft_delta.h"
#include "signer/fetching.h"

/* A payload of the new bundle. */
struct payload_diff {
	const struct payload *new;
	const struct payload *old; /* for the same slot class, and of the same kind; NULL: none */
	struct contents contents, old_contents;
	struct fetching fetching;
	struct bill bill;
	struct by_delta by_delta; /* where there is a delta; */
	struct bill delta_bill;	  /* the same as bill, where it is not used */
	struct advice advice[ADVICES];
};

struct diff {
	struct bundle_file old, new;
	struct draft_delta delta;
	bool has_delta; /* one that boxes would go by */
	size_t count;
	struct payload_diff payloads[PAYLOADS_MAX];
};

#define DIFF_INIT                                                                                  \
	((struct diff){.old = BUNDLE_FILE_INIT, .new = BUNDLE_FILE_INIT, .delta = DRAFT_DELTA_INIT})

void diff_free(struct diff *d);
#define AUTO_DIFF CLEANUP(diff_free)

/* The paths of two bundles. All borrowed. */
struct diff_job {
	const char *old, *new;
	unsigned threads;
	const char *scratch; /* a folder */
	bool delta;	     /* make one, and look at that, too */
};

/* Compares two bundles, whoever signed them, payload by payload, which are unpacked into files
 * without names in the folder scratch meanwhile. d is DIFF_INIT. Whatever becomes of it,
 * diff_free() is the caller's. ERR_MALFORMED or ERR_UNTRUSTED where a bundle contradicts itself.
 * Shows progress. */
int diff_bundles(const struct diff_job *j, struct diff *d, struct err *e);

/* All that is fetched of the new bundle: its head, and what its payloads need. */
uint64_t diff_total(const struct diff *d);

/* The same of a box that is given the delta, which there is; and of one payload, without its head.
 */
uint64_t payload_delta_total(const struct payload_diff *p);
uint64_t diff_delta_total(const struct diff *d);

/* So many bytes less for releasing it with a delta; 0: that is not worth the trouble. */
uint64_t diff_delta_saves(const struct diff *d);

#endif
