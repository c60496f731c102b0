/* A payload's part of a delta. */
#ifndef SLUICE_SIGNER_DELTA_MAKE_H
#define SLUICE_SIGNER_DELTA_MAKE_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/format/delta.h"
#include "signer/delta_side.h"
#include "signer/delta_unit.h"

/* Tells a payload by the old one (NULL: there is none, and it comes from the bundle): walk, digests
 * and records into the writer, the bytes of records to the end of fd, and adds up. The result is
 * the same whatever the number of threads (1 to PIPELINE_THREADS_MAX). Takes some 0.4 bytes for
 * each old byte that is not zero, besides the bytes themselves, and 15 MiB a thread. Shows
 * progress. */
int delta_make(struct delta_side *from, const struct delta_side *to, unsigned threads,
	struct delta_writer *w, int fd, struct delta_sum *sum, struct err *e);

#endif
