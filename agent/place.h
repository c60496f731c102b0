/* Where a payload goes: an address space of exactly its plain bytes. */
#ifndef SLUICE_AGENT_PLACE_H
#define SLUICE_AGENT_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* Each pass over it goes upwards. Errors are ERR_SYSTEM with the name; without
 * one, e is as it was. */
struct place {
	void *arg;
	int (*read)(void *arg, void *data, size_t len, uint64_t offset, struct err *e);
	int (*write)(void *arg, const void *data, size_t len, uint64_t offset, struct err *e);
	/* Makes a range read as zeros; *written is what had to be written for it. */
	int (*zero)(void *arg, uint64_t offset, uint64_t len, uint64_t *written, struct err *e);
	/* Any number of threads may call these at once, and a pass goes upwards but for what they
	 * have in hand. Else one thread does at a time. */
	bool shared;
	/* A range will be read soon: it may be brought nearer meanwhile. May be NULL. */
	void (*soon)(void *arg, uint64_t offset, uint64_t len);
};

/* Whether a read failed for these bytes alone, as of a worn block: writing them anew is what has a
 * disk mend or replace it. Else the place is gone, or was never right. */
bool place_is_worn(const struct err *why);

/* A way to zero() for a place without holes: writes zeros where it reads other bytes, or nothing.
 */
int place_zero_by_writing(
	const struct place *p, uint64_t offset, uint64_t len, uint64_t *written, struct err *e);

#endif
