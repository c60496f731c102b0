/* Messages between the agent and its network child: one packet of a SOCK_SEQPACKET pair each.
 *
 * Both sides parse strictly: neither trusts the other more than it must, and the parent not at all.
 * A packet is a fixed header of WIRE_HEADER_BYTES (little-endian numbers, fields that a type does
 * not use are zero) and then text, etag and body, whose lengths must sum up exactly.
 *
 * The two are programs of one package, which may be upgraded while they run. So each packet says
 * which version of all this it follows, in its fourth byte, whatever else becomes of it. */
#ifndef SLUICE_AGENT_WIRE_H
#define SLUICE_AGENT_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/limits.h"

enum {
	WIRE_VERSION = 1, /* raised whenever an older program would get a message wrong */
	WIRE_HEADER_BYTES = 56,
	WIRE_MESSAGE_BYTES = WIRE_HEADER_BYTES + WIRE_TEXT_MAX + WIRE_ETAG_MAX + REPORT_BYTES_MAX,
};

/* What e->errnum says of an ERR_NETWORK beside HTTP statuses, which start at 100. */
enum {
	NET_BAD_CERTIFICATE = 1,
	NET_SILENT_SERVER, /* TLS was agreed on, and the answer did not come or was cut */
	NET_TOO_LATE,	   /* keep_going says that the time for an answer is over (trial.h) */
	NET_REFUSED,	   /* nobody listens there, or a firewall says so; or who took the
			    * connection fell silent before TLS was agreed on */
	NET_UNWELCOME,	   /* the server does not take the certificate, and says so */
	NET_SHUT_OUT,	 /* no TLS is agreed on: it may be the certificate that it does not take or
			  * misses, or all that this system offers */
	NET_TURNED_AWAY, /* likewise, and it is the certificate */
	NET_GONE,	 /* no server: the other side of the socket */
};

enum net_base { NET_METADATA, NET_TARGETS, NET_REPORTS, NET_COPY /* of targets */, NET_BASES };

/* What the child is told before all else (WIRE_URL, WIRE_PAPER). The report key is none of it. */
enum wire_url { WIRE_URL_SITE, WIRE_URL_REPORTS, WIRE_URL_PROXY, WIRE_URL_COPY, WIRE_URLS };
enum wire_paper { WIRE_PAPER_CA, WIRE_PAPER_CERT, WIRE_PAPER_KEY, WIRE_PAPERS };

/* What a child that says WIRE_READY is confined by. */
enum wire_layer {
	WIRE_LAYER_USER = 1,	 /* it is not root */
	WIRE_LAYER_POWERS = 2,	 /* no capabilities, and none to come */
	WIRE_LAYER_FILES = 4,	 /* it opens what name resolution needs, and writes nothing */
	WIRE_LAYER_PORTS = 8,	 /* it binds no TCP port */
	WIRE_LAYER_SIGNALS = 16, /* it signals nobody */
	WIRE_LAYER_CALLS = 32,	 /* it makes few system calls */
	WIRE_LAYERS = 64,
};

enum wire_type {
	/* To the child. */
	WIRE_TIME = 1, /* now_s: the time that certificates are judged at from now on (tls.h) */
	WIRE_REQUEST,  /* id, base, has_range, put, offset, len, deadline_ms, credit, text, etag,
			  body */
	WIRE_CREDIT,   /* id, credit: so many bytes more may be sent */
	WIRE_CANCEL,   /* id */
	/* To the parent. */
	WIRE_READY,  /* layers: the child can take requests */
	WIRE_ANSWER, /* id, status, bare, retry_after_s, etag: once, before any data */
	WIRE_DATA,   /* id, body: 1 to WIRE_DATA_MAX bytes */
	WIRE_END,    /* id (0: the child cannot work, and class says why), class, errnum, text:
		      * nothing follows */
	WIRE_STEP,   /* id, met: the request is made once more, or (met) somebody took its
		      * connection; at most WIRE_STEPS_MAX times */
	/* To the child, which is told these once, before all else. */
	WIRE_URL,   /* base (enum wire_url), text: ends in '/' */
	WIRE_PAPER, /* base (enum wire_paper), body: PEM, or the next piece of it */
	WIRE_START, /* now_s, stall_s, uid, gid (0: as it is): that was all */
};

enum wire_to { WIRE_TO_CHILD, WIRE_TO_PARENT };

/* text, etag and body are views of the packet that was parsed. */
struct wire_message {
	enum wire_type type;
	uint32_t id;
	uint32_t base; /* enum net_base, or as its type has it */
	bool has_range, put;
	uint64_t offset, len; /* without a range, len is the most bytes taken */
	uint64_t credit;
	int64_t deadline_ms;
	int64_t now_s;
	uint64_t stall_s;
	uint32_t uid, gid;
	uint32_t layers; /* of enum wire_layer */
	uint32_t status;
	bool met;
	bool bare; /* refused with the box's certificate, and asked without (manner.h) */
	int64_t retry_after_s; /* -1: not given */
	enum err_class class;
	int errnum;
	struct span text, etag, body;
};

/* The descriptor that a child finds its socket at. It has no other. */
enum { WIRE_CHILD_SOCKET = 3 };

/* Appends the packet of a message that follows the rules; ERR_LIMIT or ERR_MALFORMED for one that
 * does not. */
int wire_encode(const struct wire_message *m, struct buf *out, struct err *e);

/* Reads one packet that came in direction to. Anything out of the ordinary is ERR_MALFORMED, and
 * another WIRE_VERSION ERR_SYSTEM, with what to do. */
int wire_decode(struct span packet, enum wire_to to, struct wire_message *out, struct err *e);

/* Sends a message, waiting while the socket is full (as long as its SO_SNDTIMEO, if blocking). A
 * socket that does not wait gives *sent false instead. Leaves no copy of a WIRE_PAPER in memory.
 * ERR_NETWORK (NET_GONE) when the other side is gone. */
int wire_send(int fd, const struct wire_message *m, bool *sent, struct err *e);

/* Takes one message without waiting: *got false when there is none. packet is the memory that *out
 * looks into, at least WIRE_MESSAGE_BYTES bytes. ERR_NETWORK (NET_GONE) when the other side is
 * gone; errors of wire_decode. */
int wire_receive(int fd, enum wire_to to, uint8_t *packet, struct wire_message *out, bool *got,
	struct err *e);

/* What a WIRE_END says went wrong. The text ends up in logs and reports: printable ASCII. */
void wire_failure(const struct wire_message *m, struct err *out);

/* Whether path can stand behind a base URL: unreserved and reserved characters of RFC 3986 and
 * percent signs, not empty, no leading slash, no "." or ".." segment. */
bool wire_path_valid(struct span path);

#endif
