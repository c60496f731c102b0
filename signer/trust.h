/* A folder of TUF metadata as something to check bundles against: roots and a targets.json, without
 * a network, a store or a clock. The folder is only read. */
#ifndef SLUICE_SIGNER_TRUST_H
#define SLUICE_SIGNER_TRUST_H

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/envelope.h"
#include "common/tuf/tuf.h"

struct trust {
	struct buf root, targets; /* what the client keeps */
	struct tuf_client *client;
};

void trust_free(struct trust *t);
#define AUTO_TRUST CLEANUP(trust_free)

/* Trusts dir/root.json, or else the oldest dir/N.root.json; follows N+1.root.json by TUF's rules as
 * far as they are there; then takes dir/targets.json, or else the newest dir/N.targets.json. Expiry
 * is not looked at. t must not move afterwards. ERR_USAGE when dir holds no such files, ERR_REFUSED
 * for one that is no regular file. */
int trust_open(const char *dir, struct trust *t, struct err *e);

#endif
