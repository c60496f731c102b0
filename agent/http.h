/* The network child: all of HTTP and TLS, and nothing else. The only user of libcurl. */
#ifndef SLUICE_AGENT_HTTP_H
#define SLUICE_AGENT_HTTP_H

#include <stdint.h>

/* Where and as whom it speaks. Borrowed strings. */
struct http_setup {
	const char *site_url, *report_url; /* end in '/'; either may be NULL */
	const char *ca, *cert, *key;	   /* PEM files; cert and key may be NULL */
	const char *authorities;	   /* more CAs, or NULL */
	uint64_t stall_s;
	int64_t now_s;
};

/* Runs the child's life: reads the certificates and the key, says WIRE_READY on socket, serves
 * requests, and exits when the socket is closed. Has no other descriptor than socket and 0 to 2,
 * and opens none but to the network. */
void http_run(int socket, const struct http_setup *setup) __attribute__((noreturn));

#endif
