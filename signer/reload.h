/* That the web server reads what changed in tls/: the `reload` command of workspace.yaml, where it
 * has one. A CRL that no server has read revokes nobody, so fleet.db remembers the last that is
 * owed one, until a reload succeeds: whoever made that CRL, and whatever became of them. */
#ifndef SLUICE_SIGNER_RELOAD_H
#define SLUICE_SIGNER_RELOAD_H

#include <stdint.h>

#include "common/base/err.h"
#include "signer/fleet.h"
#include "signer/workspace.h"

/* Runs the command, for RELOAD_TIMEOUT_MS at most. consequence says what its failure means. */
int reload_run(const struct workspace *w, const char *consequence, struct err *e);

/* Notes that the CRL of this number is owed a reload: before its file is replaced. Without a
 * command a person sees to it, and nothing is noted. */
int reload_owe(const struct workspace *w, struct fleet *f, uint64_t crl_number, struct err *e);

/* The CRL that is owed one; 0: none is. */
int reload_owed(const struct workspace *w, struct fleet *f, uint64_t *crl_number, struct err *e);

/* Runs the command for the CRL that is in place, whatever is owed. Where it succeeds nothing is.
 * Under authority_lock_crl(): what is owed is noted before that CRL is in place. */
int reload_crl(const struct workspace *w, struct fleet *f, struct err *e);

#endif
