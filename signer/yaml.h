/* YAML that people write, with line and column for every complaint. The only include of libfyaml.
 */
#ifndef SLUICE_SIGNER_YAML_H
#define SLUICE_SIGNER_YAML_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

struct yaml;	  /* a document; owns all of its nodes */
struct yaml_node; /* a mapping, sequence or scalar in it */

void yaml_free(struct yaml **y);
#define AUTO_YAML CLEANUP(yaml_free)

/* Reads a file of at most max bytes (ERR_LIMIT): one document in UTF-8 without control characters,
 * anchors, aliases, tags or duplicate keys, nested at most 16 deep. Errors are ERR_MALFORMED
 * "FILE:LINE:COLUMN: ..." like those of all functions here. */
int yaml_load(const char *path, size_t max, struct yaml **out, struct err *e);

/* The same of bytes in memory; name takes the place of the path. */
int yaml_parse(struct span bytes, const char *name, struct yaml **out, struct err *e);

/* The outermost value; never NULL. */
const struct yaml_node *yaml_root(const struct yaml *y);

/* Fails with "FILE:LINE:COLUMN: " and the message, at a node. Always -1. */
int yaml_error(const struct yaml *y, const struct yaml_node *n, struct err *e, const char *format,
	...) __attribute__((format(printf, 4, 5)));

/* Refuses keys of a mapping that are not in the NULL-terminated list, naming one that is near; and
 * whatever is no mapping. */
int yaml_only(
	const struct yaml *y, const struct yaml_node *map, const char *const *known, struct err *e);

/* The same of a mapping, from its key *at on, which is then the one behind that which was refused.
 */
int yaml_only_from(const struct yaml *y, const struct yaml_node *map, const char *const *known,
	size_t *at, struct err *e);

/* The member, or NULL when it is not there (or map is not a mapping). */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

bool yaml_is_map(const struct yaml_node *n);
bool yaml_is_list(const struct yaml_node *n);
bool yaml_is_scalar(const struct yaml_node *n);

/* A scalar's text as a C string inside the document, whatever YAML would take it for: 1.10 stays
 * "1.10". Refused: another kind, nothing at all (`key:`; but "" in quotes is a text), more than max
 * bytes. n is not NULL in this and the next five: yaml_get's answer is checked first. yes, no, true
 * and false are booleans; durations are "90s", "15m", "4h", "2d"; percentages "2.5%"; sizes
 * "200MB", "64KiB". */
int yaml_text(const struct yaml *y, const struct yaml_node *n, size_t max, const char **out,
	struct err *e);
int yaml_uint(const struct yaml *y, const struct yaml_node *n, uint64_t min, uint64_t max,
	uint64_t *out, struct err *e);
int yaml_bool(const struct yaml *y, const struct yaml_node *n, bool *out, struct err *e);
int yaml_duration(const struct yaml *y, const struct yaml_node *n, uint64_t max_s, uint64_t *out,
	struct err *e);
int yaml_percent(const struct yaml *y, const struct yaml_node *n, uint32_t *out_bp, struct err *e);
int yaml_size(const struct yaml *y, const struct yaml_node *n, uint64_t max, uint64_t *out,
	struct err *e);

/* Members of a list or mapping, in order. yaml_key_at gives the key's text. */
size_t yaml_count(const struct yaml_node *n);
const struct yaml_node *yaml_at(const struct yaml_node *n, size_t i);
const char *yaml_key_at(const struct yaml_node *map, size_t i);

#endif
