/* YAML that people write, with line and column for every complaint. The only include of libfyaml.
 */
#ifndef SLUICE_SIGNER_YAML_H
#define SLUICE_SIGNER_YAML_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

struct yaml;	  /* a document; owns all of its nodes */
struct yaml_node; /* a mapping, sequence or scalar in it */

void yaml_free(struct yaml **y);
#define AUTO_YAML CLEANUP(yaml_free)

/* Reads a file of at most max bytes: one document, no aliases, no tags, no duplicate keys. Errors
 * are ERR_MALFORMED "FILE:LINE:COLUMN: ..." like those of all functions here. */
int yaml_load(const char *path, size_t max, struct yaml **out, struct err *e);
const struct yaml_node *yaml_root(const struct yaml *y);

/* Fails with "FILE:LINE:COLUMN: " and the message, at a node. Always -1. */
int yaml_error(const struct yaml *y, const struct yaml_node *n, struct err *e, const char *format,
	...) __attribute__((format(printf, 4, 5)));

/* Refuses keys of a mapping that are not in the NULL-terminated list, naming those that are near.
 */
int yaml_only(
	const struct yaml *y, const struct yaml_node *map, const char *const *known, struct err *e);

/* The member, or NULL when it is not there (or map is not a mapping). */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

bool yaml_is_map(const struct yaml_node *n);
bool yaml_is_list(const struct yaml_node *n);
bool yaml_is_scalar(const struct yaml_node *n);

/* A scalar's text as a C string inside the document. ERR_MALFORMED for another kind, or longer than
 * max. */
int yaml_text(const struct yaml *y, const struct yaml_node *n, size_t max, const char **out,
	struct err *e);
int yaml_uint(const struct yaml *y, const struct yaml_node *n, uint64_t min, uint64_t max,
	uint64_t *out, struct err *e);
int yaml_bool(const struct yaml *y, const struct yaml_node *n, bool *out, struct err *e);
int yaml_duration(const struct yaml *y, const struct yaml_node *n, uint64_t max_s, uint64_t *out,
	struct err *e);
int yaml_percent(const struct yaml *y, const struct yaml_node *n, uint32_t *out_bp, struct err *e);

/* Members of a list or mapping, in order. yaml_key_at gives the key's text. */
size_t yaml_count(const struct yaml_node *n);
const struct yaml_node *yaml_at(const struct yaml_node *n, size_t i);
const char *yaml_key_at(const struct yaml_node *map, size_t i);

#endif
