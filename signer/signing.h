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

/* -w DIR, --key K, --sign-with CMD, --role R, --yes, --draft, --no-publish, --passphrase-file F,
 * --passphrase-fd N. */
struct signing {
	const char *workspace; /* or NULL: see workspace_open */
	const char *key;       /* or NULL when not given */
	const char *sign_with; /* or NULL; else key is the public half of what CMD signs with */
	const char *role;      /* or NULL when not given */
	struct passphrase_source pass;
	bool yes, no_publish;
	bool draft; /* nobody signs here: see metadata_sign */
};
#define SIGNING_INIT ((struct signing){.pass = {.fd = -1}})

/* For a command's getopt_long: SIGNING_SHORT, and in its struct option array SIGNING_LONG or those
 * of the others that it knows. Set opterr = 0 and optind = 0 before. */
enum { OPT_KEY = 1000, OPT_SIGN_WITH, OPT_ROLE, OPT_YES, OPT_DRAFT, OPT_NO_PUBLISH };
enum { OPT_PASS_FILE = OPT_NO_PUBLISH + 1, OPT_PASS_FD };
#define SIGNING_SHORT "w:"
/* clang-format off */
#define SIGNING_KEY {"key", required_argument, NULL, OPT_KEY}, \
	{"sign-with", required_argument, NULL, OPT_SIGN_WITH}
#define SIGNING_ROLE {"role", required_argument, NULL, OPT_ROLE}
#define SIGNING_DRAFT {"draft", no_argument, NULL, OPT_DRAFT}
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

/* Takes all options of a command that knows no others; optind is then at its first argument. */
int signing_options(
	int argc, char **argv, const struct option *known, struct signing *s, struct err *e);

/* Refuses a command line that says neither or both of who signs and --draft, or --sign-with without
 * --key. `whose` is for the message: "a key of the targets role". ERR_USAGE. */
int signing_check(const struct signing *s, const char *whose, struct err *e);

/* Something that signs: a secret key that was unlocked, or the public half of one that a command
 * signs with; `signer` is what metadata_sign and envelope_sign take. Empty for --draft. */
struct opened_key {
	struct seckey *secret; /* or NULL */
	json_t *public;
	struct signer signer; /* borrows from both, and the command */
};

void opened_key_close(struct opened_key *k);
#define AUTO_OPENED_KEY CLEANUP(opened_key_close)

/* What the command line says: the file --key, or --sign-with for it, or nobody for --draft. */
int signing_open(struct signing *s, struct opened_key *out, struct err *e);

/* The public key file `path`, for which command signs. */
int opened_key_outside(
	const char *path, const char *command, struct opened_key *out, struct err *e);

/* Opens a secret key file, asking pass for its passphrase where it has one. Not to be copied. */
int opened_key_open(
	const char *path, struct passphrase_source *pass, struct opened_key *out, struct err *e);

#endif
