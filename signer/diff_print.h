/* A comparison of two releases, for people and for programs. */
#ifndef SLUICE_SIGNER_DIFF_PRINT_H
#define SLUICE_SIGNER_DIFF_PRINT_H

#include <stddef.h>

#include "common/base/err.h"
#include "signer/diff.h"

/* Prints it on standard output, with the dearest `top` files of each payload. */
int diff_print(const struct diff *d, size_t top, struct err *e);
int diff_print_json(const struct diff *d, size_t top, struct err *e);

#endif
