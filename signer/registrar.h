/* Gives boxes their next certificates: signs what they ask for (renewal.h) with the fleet's CA, and
 * puts the answers on the site, as targets of the role that speaks for certificates; and the
 * fleet's CAs, of the role that speaks for authorities.
 *
 *     certificates/BOX.crt   the certificate in PEM, while BOX has not said that it shows it
 *     authorities/ca.pem     tls/ca.crt, the CA that issues first
 *
 * Only a box that waits asks about its own; every box reads the other. */
#ifndef SLUICE_SIGNER_REGISTRAR_H
#define SLUICE_SIGNER_REGISTRAR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/crypto/seckey.h"
#include "signer/fleet.h"
#include "signer/workspace.h"

#define REGISTRAR_AUTHORITIES "authorities/ca.pem"

struct registrar {
	const struct workspace *w; /* with sets_aside */
	struct fleet *fleet;
	const struct signer *signer; /* of both roles */
};

struct registered {
	uint64_t given, refused; /* boxes */
	uint64_t untaken;	 /* boxes whose answers were taken back */
	bool unbelieved; /* nobody tells boxes of the CA, and the server's certificate is not of it
			  */
	struct err why;	 /* of the first that was refused; class ERR_NONE without one */
	char roles[256]; /* signed into incoming/, with commas between; "" for none */
};

/* Calls say with each thing that somebody should hear of. */
void registered_warn(
	const struct registered *done, void (*say)(void *arg, const char *text), void *arg);

/* Answers the boxes that wait, as many as there is room for (ANSWERS_MAX), and has both roles say
 * what they should. Whatever was done is looked up first: who is killed at any moment and calls
 * again gives nothing twice. A box is answered once in so long (a day, or a twelfth of a
 * certificate's life), and an answer that it does not take is taken back after two weeks (or a
 * third of that life), or, once there is no room for others,
 * after the time in which a box is answered once. *out is filled in even where it fails.
 * ERR_REFUSED where no role speaks for certificates or the signer's key is none of its, with EAGAIN
 * where somebody else signed meanwhile. */
int registrar_run(const struct registrar *r, int64_t now_s, struct registered *out, struct err *e);

/* How long after its certificate begins, which is up to a day before it is given, a box that is
 * heard of has taken it. */
int64_t registrar_patience_s(const struct workspace *w);

/* Whether a box waits whose certificate ends soon: that does not wait for the next timestamp. */
int registrar_is_urgent(
	const struct workspace *w, struct fleet *f, int64_t now_s, bool *out, struct err *e);

#endif
