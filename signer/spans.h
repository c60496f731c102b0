/* Ranges that a box asks for of one file, upwards, and the gaps between them that it fetches along.
 */
#ifndef SLUICE_SIGNER_SPANS_H
#define SLUICE_SIGNER_SPANS_H

#include <stdbool.h>
#include <stdint.h>

struct spans {
	uint64_t end;
	bool begun;
	uint64_t bytes, gaps;
};

/* A gap costs no request where it is short (agent/ranges.h). */
void spans_add(struct spans *s, uint64_t at, uint64_t size);

/* The same, unless it was added last. */
void spans_add_once(struct spans *s, uint64_t at, uint64_t size);

#endif
