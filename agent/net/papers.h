/* What the network child is told by its parent before all else: whom it asks, whom it believes, and
 * what it shows. It opens no file for any of it. */
#ifndef SLUICE_AGENT_NET_PAPERS_H
#define SLUICE_AGENT_NET_PAPERS_H

#include "agent/wire.h"

struct papers {
	struct buf url[WIRE_URLS];     /* empty: there is no such server */
	struct buf paper[WIRE_PAPERS]; /* PEM; certificate and key may be empty */
	uint64_t stall_s;
	int64_t now_s;
	uint32_t uid, gid; /* whom to become; 0: nobody else */
};

/* Waits for all of it, up to WIRE_START. ERR_MALFORMED for anything else that comes before; errors
 * of wire_receive, too. */
int papers_receive(int socket, struct papers *out, struct err *e);
void papers_free(struct papers *p);
#define AUTO_PAPERS CLEANUP(papers_free)

#endif
