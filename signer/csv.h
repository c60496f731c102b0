/* Comma-separated values (RFC 4180), one record after the other. */
#ifndef SLUICE_SIGNER_CSV_H
#define SLUICE_SIGNER_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

struct csv;

void csv_close(struct csv **c);
#define AUTO_CSV CLEANUP(csv_close)

/* path is borrowed. */
int csv_open(const char *path, struct csv **out, struct err *e);

/* Goes to the next record; *record false: there is none. Lines may end in CR LF or LF alone, empty
 * ones and a byte order mark are passed over. ERR_MALFORMED and ERR_LIMIT say "FILE:LINE: ...". */
int csv_next(struct csv *c, bool *record, struct err *e);

/* The record's fields, from 0; they live until the next. */
size_t csv_count(const struct csv *c);
const char *csv_field(const struct csv *c, size_t i);

/* ERR_MALFORMED "FILE:LINE: ..." at the line that the record begins on. Always -1. */
int csv_error(const struct csv *c, struct err *e, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
