/* Which entries of an index a place does not hold yet. A bit for each, and how many they are. */
#ifndef SLUICE_AGENT_WANTS_H
#define SLUICE_AGENT_WANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

struct wants;

/* None of so many entries at first; or the same as those of another. ERR_SYSTEM without memory. */
int wants_new(uint64_t entries, struct wants **out, struct err *e);
int wants_copy(const struct wants *w, struct wants **out, struct err *e);
void wants_free(struct wants **w);
#define AUTO_WANTS CLEANUP(wants_free)

/* entry is below the number that it was made for. */
void wants_add(struct wants *w, uint64_t entry);
void wants_drop(struct wants *w, uint64_t entry);
bool wants_has(const struct wants *w, uint64_t entry);
uint64_t wants_count(const struct wants *w);

#endif
