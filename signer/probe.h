/* Whether the server that takes reports answers: where it does not, silence means nothing. */
#ifndef SLUICE_SIGNER_PROBE_H
#define SLUICE_SIGNER_PROBE_H

#include "common/base/err.h"
#include "signer/workspace.h"

/* Asks report_url by curl(1), as boxes do but without a certificate, trusting tls/ca.crt. Any
 * answer but a server's own failure (5xx) will do. ERR_NETWORK saying why there was none; takes
 * PROBE_TIMEOUT_S at most. */
enum { PROBE_TIMEOUT_S = 10 };
int probe_server(const struct workspace *w, struct err *e);

#endif
