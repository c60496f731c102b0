/* Names in order, each with a number: for lists that are asked about a million boxes. */
#ifndef SLUICE_FORMAT_NAMES_H
#define SLUICE_FORMAT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct named {
	const char *name; /* borrowed */
	uint32_t number;
};

/* Owns list. Empty as {0}. */
struct names {
	struct named *list;
	size_t count, capacity;
};

void names_free(struct names *n);

/* Room for capacity names. ERR_SYSTEM. */
int names_make(size_t capacity, struct names *out, struct err *e);

/* Adds one, for which there is room; then, behind the last, names_sort. */
void names_add(struct names *n, const char *name, uint32_t number);
void names_sort(struct names *n);

/* The lowest number that the name has. False: it is not there. */
bool names_find(const struct names *n, const char *name, uint32_t *number);

/* Whether the name is there with this number. */
bool names_has(const struct names *n, const char *name, uint32_t number);

#endif
