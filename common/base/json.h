/* JSON: jansson behind limits, with errors that name file and byte. The only include of jansson. */
#ifndef SLUICE_BASE_JSON_H
#define SLUICE_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

#define AUTO_JSON CLEANUP(json_cleanup)

static inline void
json_cleanup(json_t **j)
{
	json_decref(*j);
}

/* Parses one JSON value: no duplicate keys, no invalid UTF-8, no NUL in strings, whole numbers
 * within 64 bits and no others, nesting up to JSON_DEPTH_MAX. The caller owns *out. Errors
 * (ERR_MALFORMED, ERR_LIMIT) say "name: byte N: ...". */
int json_parse(struct span bytes, const char *name, json_t **out, struct err *e);

/* Canonical JSON as securesystemslib writes it: keys sorted by code point, no white space, only
 * backslash and quote escaped, integers only. Appends to out, which is as it was on failure.
 * ERR_MALFORMED for a fraction. */
int json_canonical(const json_t *j, struct buf *out, struct err *e);

/* How many bytes of text are the canonical form of j, which text starts with; 0 where it does not.
 * Takes no memory that grows with j's size, but for the keys of one object a level. */
size_t json_canonical_starts(const json_t *j, struct span text);

/* Indented text for people and for files people may look at, newline at the end. Sorted keys. */
int json_pretty(const json_t *j, struct buf *out, struct err *e);

/* The same without white space: fewer bytes to send, and, where no text in it has a control
 * character, the canonical form, so that whoever checks a signature need not write that anew. */
int json_compact(const json_t *j, struct buf *out, struct err *e);

/* Members of an object. *out borrows from it. A missing member or one of another kind is
 * ERR_MALFORMED naming the key; a string over max bytes or a number outside min..max ERR_LIMIT. */
int json_get_string(
	const json_t *object, const char *key, size_t max, const char **out, struct err *e);
int json_get_uint(const json_t *object, const char *key, uint64_t min, uint64_t max, uint64_t *out,
	struct err *e);
int json_get_bool(const json_t *object, const char *key, bool *out, struct err *e);
int json_get_object(const json_t *object, const char *key, json_t **out, struct err *e);
int json_get_array(const json_t *object, const char *key, size_t max, json_t **out, struct err *e);

/* A member of an object that is text, borrowed; else NULL. */
const char *json_text(const json_t *object, const char *key);

/* Whether a list has an element that is this text. What is no list has none, nor is NULL in any. */
bool json_has_text(const json_t *list, const char *text);

/* A new list of a list's texts in their order, each once. NULL without memory. */
json_t *json_texts(const json_t *list);

/* Refuses members of object whose keys are not in the NULL-terminated list known: for our own
 * formats, where an unknown word is refused. ERR_MALFORMED naming the key, or where object is none.
 */
int json_only(const json_t *object, const char *const *known, struct err *e);

#endif
