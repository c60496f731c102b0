/* What `root init`, `root rotate`, `key revoke` and `metadata renew` have in common: several keys,
 * a look at what changes, and a root and a targets.json that go together. */
#ifndef SLUICE_SIGNER_CEREMONY_H
#define SLUICE_SIGNER_CEREMONY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "signer/hand.h"
#include "signer/keyring.h"
#include "signer/metadata.h"
#include "signer/request.h"
#include "signer/signing.h"
#include "signer/workspace.h"

struct ceremony {
	struct signing signing;
	struct hand hand;
	int64_t expires_s; /* 0: as workspace.yaml says */
};

#define CEREMONY_INIT ((struct ceremony){.signing = SIGNING_INIT})
void ceremony_end(struct ceremony *c);
#define AUTO_CEREMONY CLEANUP(ceremony_end)

/* --key K and --sign-with CMD (several times), --draft, --expires, --yes, --no-publish, -w, and
 * where passphrases are. */
enum { OPT_EXPIRES = 3000 };
/* clang-format off */
#define CEREMONY_LONG SIGNING_KEY, SIGNING_DRAFT, SIGNING_YES, SIGNING_NO_PUBLISH, \
	SIGNING_PASS_FILE, SIGNING_PASS_FD, {"expires", required_argument, NULL, OPT_EXPIRES}
/* clang-format on */
int ceremony_option(struct ceremony *c, int option, const char *argument, struct err *e);

/* "400d", "2027-12-31" or "2027-12-31T12:00:00Z", ahead of now and within 20 years. ERR_USAGE. */
int ceremony_expiry(const char *text, int64_t now_s, int64_t *out_s, struct err *e);

/* Refuses --draft beside keys, and neither. ERR_USAGE. */
int ceremony_check(const struct ceremony *c, const char *whose, struct err *e);

/* Names of the keys that the workspace has in keys/. */
int ceremony_names(const struct workspace *w, struct keyring *names, struct err *e);

/* Checks a request, prints its summary on standard output, and gives what it amounts to. own: it
 * was made in this workspace, whose site is what the reader trusts. */
int ceremony_show(const struct request *r, const char *root_path, bool own,
	const struct keyring *names, struct change *out, struct err *e);

/* Prepares m, prints what changes, and asks, unless --yes or nobody signs here. */
int ceremony_agree(
	struct ceremony *c, const struct workspace *w, struct metadata *m, struct err *e);

/* Has every key at hand sign m; says so where it became a draft. */
int ceremony_sign(struct ceremony *c, const struct workspace *w, struct metadata *m, struct err *e);

/* The rest of a ceremony over root: shows and signs root, then targets.json where that has changed
 * (always_targets) or must be signed by new keys, and publishes. */
int ceremony_root(struct ceremony *c, const struct workspace *w, struct metadata *root,
	struct metadata *targets, bool always_targets, struct err *e);

#endif
