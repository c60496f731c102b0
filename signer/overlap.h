/* One CA of a fleet is replaced by another while no box is locked out: both are believed for a
 * while.
 *
 *     add      a second CA. Boxes learn of it from the site (registrar.h), servers by a reload.
 *     switch   it issues from then on: the server's certificate, and boxes' next ones, which they
 *              ask for when they see that another CA issues now.
 *     drop     the first one goes, once no box shows a certificate of it.
 *
 * Each step is one rename of tls/ca.crt, under authority_lock; what follows from it can be done
 * again, by the same command.
 */
#ifndef SLUICE_SIGNER_OVERLAP_H
#define SLUICE_SIGNER_OVERLAP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/crypto/x509.h"
#include "signer/fleet.h"
#include "signer/renewal.h"
#include "signer/workspace.h"

/* How far it is. */
struct overlap {
	struct x509_bundle cas;	      /* owned */
	struct x509_info infos[2];    /* of each; the first issues */
	bool switched;		      /* the one that issues is the next one; true with one alone */
	struct renewal_census census; /* of the boxes */
};
void overlap_free(struct overlap *o);
#define AUTO_OVERLAP CLEANUP(overlap_free)
int overlap_read(const struct workspace *w, struct fleet *f, struct overlap *out, struct err *e);

/* ERR_REFUSED where there are two and the new one issues; before that it does again what follows
 * (CRL, reload). */
int overlap_add(const struct workspace *w, struct fleet *f, int64_t now_s, struct err *e);

/* ERR_REFUSED where there is one, and, without force, where boxes have not said that they know
 * both: they reported something else, or were never heard of. *server false: its certificate is not
 * of this fleet's CA, and whoever made it renews it. */
int overlap_switch(const struct workspace *w, struct fleet *f, bool force, int64_t now_s,
	bool *server, struct err *e);

/* ERR_REFUSED where there is one, before the switch, and, without force, where boxes still have
 * certificates of the other. With one CA it ends what was cut off: the key of a CA that is gone is
 * still there. */
int overlap_drop(
	const struct workspace *w, struct fleet *f, bool force, int64_t now_s, struct err *e);

#endif
