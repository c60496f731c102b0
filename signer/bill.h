/* A bill: what each owner of a payload's bytes (contents.h) costs a box that fetches them. */
#ifndef SLUICE_SIGNER_BILL_H
#define SLUICE_SIGNER_BILL_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "signer/contents.h"

struct bill {
	const struct contents *contents; /* borrowed */
	uint64_t *bytes;		 /* of each owner */
};

#define BILL_INIT ((struct bill){0})

int bill_begin(const struct contents *c, struct bill *out, struct err *e);
void bill_free(struct bill *b);
#define AUTO_BILL CLEANUP(bill_free)

/* Charges bytes to those who own len bytes (at least 1) of the payload from at on, each for its
 * share. */
void bill_charge(struct bill *b, uint64_t at, uint64_t len, uint64_t bytes);

/* The owners that cost something, the dearest first, those that cost as much by their paths. other,
 * unless it is NULL, is another bill of the same contents: it decides about those that cost as
 * much, and who costs something in it is there, too. The caller frees *out. */
int bill_sort(const struct bill *b, const struct bill *other, uint32_t **out, size_t *count,
	struct err *e);

#endif
