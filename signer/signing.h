/* What all commands that sign in a workspace have in common: their options, and an opened key. */
#ifndef SLUICE_SIGNER_SIGNING_H
#define SLUICE_SIGNER_SIGNING_H

#include <getopt.h>
#include <stdbool.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/seckey.h"
#include "signer/ui.h"

/* -w DIR, --key K, --role R, --yes, --no-publish, --passphrase-file F, --passphrase-fd N. */
struct signing {
	const char *workspace; /* or NULL: see workspace_open */
	const char *key;       /* or NULL when not given */
	const char *role;      /* or NULL when not given */
	struct passphrase_source pass;
	bool yes, no_publish;
};
#define SIGNING_INIT ((struct signing){.pass = {.fd = -1}})

/* For a command's getopt_long: SIGNING_SHORT, and in its struct option array SIGNING_LONG or those
 * of the others that it knows. Set opterr = 0 and optind = 0 before. */
enum { OPT_KEY = 1000, OPT_ROLE, OPT_YES, OPT_NO_PUBLISH, OPT_PASS_FILE, OPT_PASS_FD };
#define SIGNING_SHORT "w:"
/* clang-format off */
#define SIGNING_KEY {"key", required_argument, NULL, OPT_KEY}
#define SIGNING_ROLE {"role", required_argument, NULL, OPT_ROLE}
#define SIGNING_YES {"yes", no_argument, NULL, OPT_YES}
#define SIGNING_NO_PUBLISH {"no-publish", no_argument, NULL, OPT_NO_PUBLISH}
#define SIGNING_PASS_FILE {"passphrase-file", required_argument, NULL, OPT_PASS_FILE}
#define SIGNING_PASS_FD {"passphrase-fd", required_argument, NULL, OPT_PASS_FD}
#define SIGNING_LONG SIGNING_KEY, SIGNING_ROLE, SIGNING_YES, SIGNING_NO_PUBLISH, \
	SIGNING_PASS_FILE, SIGNING_PASS_FD
/* clang-format on */

/* Takes one value that getopt_long returned, with its optarg. ERR_USAGE for what is not one of the
 * options above ('?' included). */
int signing_option(struct signing *s, int option, const char *argument, struct err *e);

/* A secret key that was unlocked, with its public half; `signer` is what metadata_sign and
 * envelope_sign take. */
struct opened_key {
	struct seckey *secret;
	json_t *public;
	struct signer signer; /* borrows from both */
};

void opened_key_close(struct opened_key *k);
#define AUTO_OPENED_KEY CLEANUP(opened_key_close)

/* Opens a secret key file, asking pass for its passphrase where it has one. Not to be copied. */
int opened_key_open(
	const char *path, struct passphrase_source *pass, struct opened_key *out, struct err *e);

#endif
