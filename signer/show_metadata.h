/* What a file of TUF metadata says, for people. Nothing is checked: `sluice doctor` does that. */
#ifndef SLUICE_SIGNER_SHOW_METADATA_H
#define SLUICE_SIGNER_SHOW_METADATA_H

#include <stdbool.h>

#include "common/base/err.h"

/* Whether a file looks like JSON, and so not like a bundle. */
bool show_is_metadata(const char *file);

/* Prints roles, files and signers of an envelope, or (json) all of it, indented. */
int show_metadata(const char *file, bool json, struct err *e);

#endif
