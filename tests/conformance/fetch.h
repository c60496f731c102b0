/* HTTP for the conformance client: plain, blocking, without a process of its own. A box goes
 * through agent/net.h instead. */
#ifndef SLUICE_TESTS_CONFORMANCE_FETCH_H
#define SLUICE_TESTS_CONFORMANCE_FETCH_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

/* Appends what lies at base/path to out, at most max bytes. Redirects are not followed. Errors are
 * those that a tuf_fetcher gives: ERR_NETWORK with the HTTP status in e->errnum, ERR_LIMIT. */
int fetch(const char *base, const char *path, uint64_t max, struct buf *out, struct err *e);

#endif
