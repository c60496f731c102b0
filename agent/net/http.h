/* What the network child does: all of HTTP and TLS, and nothing else. The only user of libcurl. */
#ifndef SLUICE_AGENT_NET_HTTP_H
#define SLUICE_AGENT_NET_HTTP_H

#include "agent/net/papers.h"

/* Runs the child's life: says WIRE_READY on socket, and by which layers it is confined; serves
 * requests, and exits when the socket is closed. Opens nothing but to the network. */
void http_run(int socket, const struct papers *papers, uint32_t layers) __attribute__((noreturn));

#endif
