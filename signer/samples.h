/* The annotated texts that `sluice init` starts a workspace with. */
#ifndef SLUICE_SIGNER_SAMPLES_H
#define SLUICE_SIGNER_SAMPLES_H

#include "common/base/buf.h"
#include "common/base/err.h"

/* Appends a workspace.yaml with these URLs, and every other setting at its default. */
int sample_workspace(const char *site_url, const char *report_url, struct buf *out, struct err *e);

extern const char sample_recipe[];
extern const char sample_plan[];
extern const char sample_gitignore[];

#endif
