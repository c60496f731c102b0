/* How many threads a command works with. */
#ifndef SLUICE_SIGNER_THREADS_H
#define SLUICE_SIGNER_THREADS_H

#include "common/base/err.h"

/* As many as there are processors, up to PIPELINE_THREADS_MAX. */
unsigned threads_default(void);

/* --threads N: 1 to PIPELINE_THREADS_MAX. ERR_USAGE. */
int threads_parse(const char *text, unsigned *out, struct err *e);

#endif
