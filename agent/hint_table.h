/* Which 4 KiB blocks are looked for, by their hints, and where they were found: numbers that mean
 * something to the caller.
 *
 * Of a fixed size. Hints come from outside and may be chosen so that they all want the same place
 * in it: so nobody looks further than HINT_REACH entries, and a hint that finds no room there is
 * not looked for. That costs bytes, and nothing else. */
#ifndef SLUICE_AGENT_HINT_TABLE_H
#define SLUICE_AGENT_HINT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

enum { HINT_REACH = 64 };

/* Found nowhere so far. */
#define HINT_NOWHERE UINT64_MAX

struct hint_table {
	uint64_t *hints; /* 0: a free entry */
	uint64_t *where;
	size_t entries; /* a power of two, at least 4/3 of what is added */
	size_t used;
};

/* Room for so many hints. Frees with hint_table_free(). */
int hint_table_init(struct hint_table *t, size_t hints, struct err *e);
void hint_table_free(struct hint_table *t);
#define AUTO_HINT_TABLE CLEANUP(hint_table_free)

void hint_table_clear(struct hint_table *t);

/* Whether it is looked for from now on; once, however often it is added. 0 is no hint. */
bool hint_table_add(struct hint_table *t, uint64_t hint);

/* Where it was found, to be read and set; NULL where it is not looked for. */
uint64_t *hint_table_find(const struct hint_table *t, uint64_t hint);

#endif
