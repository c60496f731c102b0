/* How servers are asked: with the box's certificate, or without.
 *
 * A server that asks for certificates and demands none still refuses whoever shows one that has
 * ended, is not good yet or is revoked, even what it has for everybody (nginx: 400). A stop must
 * reach the box all the same, so it asks the site once more without. By the server's word alone:
 * the box's own clock may be wrong. Reports always show it. What got through is remembered for a
 * while, so that no poll costs two requests; another certificate comes with another child, which
 * remembers nothing. */
#ifndef SLUICE_AGENT_NET_MANNER_H
#define SLUICE_AGENT_NET_MANNER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/crypto/tls.h"

/* All zero at first, but for has_cert. Times are by the boot clock. */
struct manner {
	bool has_cert;
	bool unresumed; /* a resumed session was refused: it is shown on each connection */
	struct tls_refusals refusals; /* on whatever connection */
	int64_t bare_until_ms;	      /* the site is asked without */
	int64_t turns_from_ms;	      /* neither way got through: the other is not tried before */
};

/* One request. */
struct asking {
	bool is_report, is_bare, resumes;
	bool is_copy;	 /* of somebody who is none of the fleet's: it is never shown there */
	bool has_turned; /* refused one way, it is asked the other */
	bool was_cut;	 /* TLS was agreed on, and the server hung up: in TLS 1.3 its alert may be
			  * lost by that */
	bool was_blamed; /* the certificate was shown, and refused for certain */
	struct tls_refusals refusals;
};

struct asking manner_ask(const struct manner *m, bool is_report, int64_t now_ms);
#define MANNER_OF_COPY ((struct asking){.is_copy = true, .is_bare = true, .resumes = true})

/* Whether an answer, or the end without one (status 0), is for the certificate's sake: one that was
 * shown was refused by a status or an alert about it. That a server hangs up (a load balancer has
 * nobody behind it, say), or that the handshake fails, is not: nor what follows without it. */
bool manner_blames(const struct manner *m, const struct asking *a, long status);

/* Whether it looks as if a certificate were refused, or missed. */
bool manner_is_refusal(const struct manner *m, const struct asking *a, long status);

/* Whether a request that ended so is to be asked once more: first on another connection, which
 * resumes nothing, then the other way. At most twice, so that it ends. */
bool manner_may_repeat(const struct manner *m, const struct asking *a, long status, int64_t now_ms);

/* Changes it to be asked so. */
void manner_repeat(struct manner *m, struct asking *a, long status);

/* Whether an answer came because it was asked without. */
bool manner_helps(const struct manner *m, const struct asking *a, long status);

/* What became of a request at last. */
void manner_learn(struct manner *m, const struct asking *a, long status, int64_t now_ms);

#endif
