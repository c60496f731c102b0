/* What the network child shows servers, and whom it believes: PEM, read once, while it can. */
#ifndef SLUICE_AGENT_PAPERS_H
#define SLUICE_AGENT_PAPERS_H

#include "agent/http.h"
#include "common/base/buf.h"

struct papers {
	struct buf ca, cert, key; /* cert and key may be empty */
};

/* Reads what setup names. */
int papers_read(const struct http_setup *setup, struct papers *out, struct err *e);

#endif
