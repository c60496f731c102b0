/* Whom the box is to servers, and which of them it believes: the TLS key and certificate that the
 * network child gets, and the CAs. agent.conf names those of manufacture; what came since is in
 * tls/ of the state folder, each whole or not at all, 0600:
 *
 *     next.pem         a new key, and the request for its certificate, until that is answered
 *     trial.pem        key and certificate as they came, until a report has got through with them
 *     shelved.pem      the same, while the older pair is tried once more
 *     box.pem          key and certificate that got through
 *     older.pem        those that got through before
 *     oldest.pem       and before, as long as they are good: whoever can have a box believe his
 *                      server can have it keep what he issued, for a server knows its own
 *     refused          digests of those that a server refused: the next of them counts, until
 *                      the first is tried again
 *     authorities.pem  the fleet's CAs as they were delivered; believed beside those of agent.conf
 *
 * Who gives a box new files for agent.conf has the last word: of those that got through last and
 * those of agent.conf the one counts that was issued later. */
#ifndef SLUICE_AGENT_IDENTITY_H
#define SLUICE_AGENT_IDENTITY_H

#include <limits.h>
#include <stdbool.h>

#include "agent/conf.h"
#include "common/base/err.h"
#include "common/crypto/x509.h"
#include "common/format/report.h"

#define IDENTITY_NEXT "next.pem"
#define IDENTITY_TRIAL "trial.pem"
#define IDENTITY_SHELVED "shelved.pem"
#define IDENTITY_PROVEN "box.pem"
#define IDENTITY_OLDER "older.pem"
#define IDENTITY_OLDEST "oldest.pem"
#define IDENTITY_REFUSED "refused"
#define IDENTITY_AUTHORITIES "authorities.pem"

/* A file of tls/. */
int identity_path(const struct conf *c, const char *name, char out[PATH_MAX], struct err *e);

struct identity {
	char cert[PATH_MAX], key[PATH_MAX]; /* may be the same file; "" where there is none */
	char authorities[PATH_MAX];	    /* or "" */
	bool known, on_trial;		    /* known: certificate says what is in cert */
	bool is_astray;			    /* the first of the pairs was refused */
	struct x509_info certificate;
};

/* What counts now, by what is on the disk. What is damaged, or is another box's, is passed over
 * with a warning. */
void identity_choose(const struct conf *c, struct identity *out);

/* Remembers that servers refuse the pair that counts now, so that another counts: each in its turn,
 * and the first again behind the last. One that has ended at now_s, effective time, has no turn
 * while another is good: whoever refuses them all for a while (his CRL has ended, say) would have
 * the box try those long after. *turned: whether there is another. */
int identity_refuse(const struct conf *c, int64_t now_s, bool *turned, struct err *e);

/* Those before the one that counts have their turn again: what they were refused for may be over.
 * What has ended has none. *turned: whether another counts now. */
int identity_forgive(const struct conf *c, int64_t now_s, bool *turned, struct err *e);

/* What a file of tls/ says, if this box can use it: ERR_MALFORMED, ERR_UNTRUSTED, or that there is
 * none. */
int identity_read(const struct conf *c, const char *name, struct x509_info *out, struct err *e);

/* What a report says of it. */
void identity_report(const struct conf *c, struct report *r);

#endif
