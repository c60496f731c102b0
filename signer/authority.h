/* The fleet's certificate authority, in the workspace's tls/ folder: ca.crt, ca.key (0600), the
 * server's server.crt and server.key (0600), and crl.pem.
 *
 * While one CA is replaced by another (overlap.h), ca.crt has both: the first in it issues. ca.key
 * has the keys of both, in any order, and crl.pem a CRL of each. */
#ifndef SLUICE_SIGNER_AUTHORITY_H
#define SLUICE_SIGNER_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/crypto/x509.h"
#include "signer/fleet.h"
#include "signer/workspace.h"

/* Makes the CA and a certificate for the server that workspace.yaml names, each only where there is
 * none yet: a fleet may bring its own. */
int authority_make(const struct workspace *w, int64_t now_s, struct err *e);

/* The key and the certificate of a CA that begins now. */
int authority_new(
	const char *name, int64_t now_s, struct buf *key_pem, struct buf *cert_pem, struct err *e);

/* The CAs of ca.crt. */
int authority_cas(const struct workspace *w, struct x509_bundle *out, struct err *e);

/* Whether one of the CAs of ca.crt made the server's certificate; true where there is none. */
int authority_made_server(const struct workspace *w, bool *out, struct err *e);

/* Replaces the server's certificate by a new one for the same key and the names of workspace.yaml,
 * and runs the `reload` command. *until_s: how long it is good for. ERR_REFUSED where the present
 * one is not of this CA: somebody else renews that. */
int authority_renew_server(
	const struct workspace *w, int64_t now_s, int64_t *until_s, struct err *e);

/* Whoever issues holds this until fleet.db knows what was issued, and whoever changes the CAs until
 * that is done: nobody then counts boxes of a CA (overlap.h) while one more is on its way. Waits
 * for seconds; ERR_REFUSED with EBUSY. */
int authority_lock(const struct workspace *w, int *lock, struct err *e);

/* The CAs as they were at one moment, and what issues. */
struct authority {
	struct buf cas, key;	      /* what boxes get of tls/ca.crt; the key of the first in it */
	char issuer[DIGEST_HEX_SIZE]; /* SHA-256 of the first's certificate, in hexadecimal */
	char all[DIGEST_HEX_SIZE];    /* likewise of cas, as boxes say which they know */
};
void authority_close(struct authority *a);
#define AUTO_AUTHORITY CLEANUP(authority_close)
int authority_open(const struct workspace *w, struct authority *out, struct err *e);

/* What boxes get of CAs: appended. */
int authority_text(const struct x509_bundle *cas, struct buf *out, struct err *e);

/* Appends a certificate for a box to cert_pem, good for the life that workspace.yaml gives it.
 * key_pem is its private or public key. */
int authority_issue(const struct workspace *w, const struct authority *a, const char *box,
	struct span key_pem, int64_t now_s, struct buf *cert_pem, struct err *e);

/* Whoever makes a CRL holds this from before they read what is revoked until it is in place, and
 * whoever reloads for one until that is done: an older CRL would replace a newer one else, or be
 * taken for it. ERR_REFUSED with EBUSY after wait_ms. Taken with or without authority_lock(), and
 * that never with it. */
int authority_lock_crl(const struct workspace *w, int64_t wait_ms, int *lock, struct err *e);

/* Under that lock: replaces tls/crl.pem by one of what the fleet has revoked, good for the life
 * that workspace.yaml gives it, and nginx/sessions.conf with it (nginx.h). It is owed a reload
 * then (reload.h). Where only sessions.conf cannot be written, that is the error, and the rest is
 * done. */
int authority_write_crl(const struct workspace *w, struct fleet *f, int64_t now_s, struct err *e);

/* All in one, for a command: takes the lock, waiting for CRL_WAIT_MS at most, writes, and runs the
 * `reload` command. Errors of sessions.conf as above. */
int authority_renew_crl(const struct workspace *w, struct fleet *f, int64_t now_s, struct err *e);

/* Whether it is time to renew the CRL: the CA's key is here, and tls/crl.pem is missing, damaged,
 * or without one of a CA of tls/ca.crt; or one of them is in the second half of its life, or has
 * not begun. */
bool authority_crl_is_due(const struct workspace *w, int64_t now_s);

/* Whether something was revoked that is not on the CRL, where the CA's key is here: whoever revoked
 * it was killed, say. */
bool authority_crl_is_short(const struct workspace *w, struct fleet *f);

/* Whether nginx/sessions.conf is not that of the last CRL, where the CA's key is here: it could not
 * be written then, or, without the lock, somebody is about to. What ends those sessions is a CRL of
 * its own, of a number that no session was made under, written under the lock. */
bool authority_sessions_are_due(const struct workspace *w, struct fleet *f);
int authority_end_sessions(
	const struct workspace *w, struct fleet *f, int64_t now_s, struct err *e);

#endif
