/* The tables of fleet.db, and bringing an older file up to date. */
#ifndef SLUICE_SIGNER_FLEET_SCHEMA_H
#define SLUICE_SIGNER_FLEET_SCHEMA_H

#include <stdint.h>

#include "common/base/err.h"
#include "signer/sql.h"

enum { FLEET_SCHEMA_VERSION = 6 };

/* Of the file; 0 for one that is new. */
int fleet_schema_version(struct sql *s, int64_t *out, struct err *e);

/* Makes the tables, or changes those of an older version, in one transaction. ERR_REFUSED for a
 * file of a newer program. */
int fleet_schema_make(struct sql *s, struct err *e);

#endif
