/* Numbered pieces of work, done by several threads at once, whose results are taken in order: what
 * comes of them does not depend on how many threads there are. */
#ifndef SLUICE_SIGNER_IN_ORDER_H
#define SLUICE_SIGNER_IN_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct in_order {
	unsigned threads; /* 1 to PIPELINE_THREADS_MAX, the caller's among them */
	uint64_t count;	  /* of pieces, from 0 on */
	size_t ahead;	  /* piece n begins once n - ahead was taken: so many results at once */
	/* Makes what a thread has for itself, and frees it. Either may be NULL. */
	int (*begin)(void *arg, void **own, struct err *e);
	void (*end)(void *own);
	/* Several at once. */
	int (*work)(void *arg, void *own, uint64_t number, struct err *e);
	/* One after the other, from different threads. May be NULL. */
	int (*take)(void *arg, uint64_t number, struct err *e);
	void *arg;
};

/* As many results as keep this many threads busy. */
size_t in_order_ahead(unsigned threads);

/* Runs to the end, or to the first failure of any part. */
int in_order_run(const struct in_order *o, struct err *e);

#endif
