/* Fields that plans, gates and reports have in common: read, checked, copied. */
#ifndef SLUICE_FORMAT_FIELD_H
#define SLUICE_FORMAT_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/limits.h"

/* All: ERR_MALFORMED or ERR_LIMIT naming the key; out is untouched on failure. */

/* The version of a document of ours: "format" has to be 1. */
int field_format(const json_t *object, struct err *e);

/* A name_is_plain name of at most NAME_BYTES_MAX bytes. */
int field_name(const json_t *object, const char *key, char out[NAME_BYTES_MAX + 1], struct err *e);
bool field_is_name(const json_t *value);

/* FOLDER/NAME + suffix, with one plain component as NAME. */
int field_path(const json_t *object, const char *key, const char *folder, const char *suffix,
	char out[TUF_PATH_MAX + 1], struct err *e);

/* A SHA-256 as 64 lower-case hexadecimal digits: one spelling, so that texts compare as digests. */
int field_sha256(const json_t *object, const char *key, struct digest *out, struct err *e);

/* A point in time, as clock_parse reads it. */
int field_time(const json_t *object, const char *key, int64_t *out_s, struct err *e);

/* Text for people, copied into out (size bytes). Control characters are refused but for, where
 * lines is true, newlines and tabs: what a box says must not drive an operator's terminal. */
int field_text(
	const json_t *object, const char *key, char *out, size_t size, bool lines, struct err *e);
bool field_is_text(const char *text, size_t len, bool lines);

/* An object of up to FIELD_TAGS_MAX members, which are strings of 1 to NAME_BYTES_MAX bytes under
 * keys of as many. */
int field_tags(const json_t *object, const char *key, json_t **out, struct err *e);
bool field_is_tag(const char *text, size_t len);

#endif
