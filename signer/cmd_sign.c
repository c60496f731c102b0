#include <getopt.h>
#include <stdio.h>

#include "common/crypto/envelope.h"
#include "signer/bundle_file.h"
#include "signer/command.h"
#include "signer/signing.h"

static int
options_parse(int argc, char **argv, struct signing *s, const char **file, struct err *e)
{
	static const struct option known[] = {SIGNING_LONG, {NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option != OPT_KEY && option != OPT_SIGN_WITH && option != OPT_PASS_FILE &&
			option != OPT_PASS_FD)
			return err_set(e, ERR_USAGE,
				"'%s' is unknown or lacks its value; see --help", argv[optind - 1]);
		if (signing_option(s, option, optarg, e) < 0)
			return -1;
	}
	if (optind != argc - 1)
		return err_set(e, ERR_USAGE, "give one FILE and --key KEY; see --help");
	if (signing_check(s, "a key that releases bundles", e) < 0)
		return -1;
	*file = argv[optind];
	return 0;
}

static void
members_of(const struct bundle_file *b, struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES])
{
	for (size_t i = 0; i < b->manifest->payload_count; i++) {
		for (int role = 0; role < MEMBER_ROLES; role++)
			parts[i][role] = (struct bundle_part){b->fd, b->layout.offset[i][role]};
	}
}

/* A signature vouches for the members too, so they are checked before there is one. */
static int
sign_run(int argc, char **argv, struct err *e)
{
	struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES] = {0};
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	AUTO_OPENED_KEY struct opened_key key = {0};
	struct signing options = SIGNING_INIT;
	const char *file = NULL;

	if (options_parse(argc, argv, &options, &file, e) < 0 ||
		bundle_file_open(file, &b, e) < 0 || bundle_file_check_members(&b, e) < 0 ||
		signing_open(&options, &key, e) < 0 ||
		envelope_sign(b.document.root, &key.signer, e) < 0)
		return -1;
	members_of(&b, parts);
	if (bundle_file_write(file, b.manifest, b.document.root, parts, e) < 0)
		return -1;
	(void)printf("%s: signed by key %s\n", file, key.signer.keyid);
	return 0;
}

const struct command cmd_sign = {
	.name = "sign",
	.summary = "add a signature to a bundle",
	.help = "usage: sluice sign FILE --key KEY [--sign-with CMD]\n"
		"           [--passphrase-file F | --passphrase-fd N]\n"
		"\n"
		"Adds KEY's signature to the bundle's manifest, in place of an older one by the\n"
		"same key. The members are checked against the manifest first. Each of several\n"
		"release engineers signs in turn; the bundle counts as released once as many of\n"
		"them signed as the role's threshold says. FILE is replaced in one step.\n"
		"\n"
		"  --key KEY            a secret key file (sluice key new, or minisign -G)\n"
		"  --sign-with CMD      KEY is a .pub and CMD makes the signature: see\n"
		"                       `sluice metadata sign --help`\n"
		"  --passphrase-file F  the passphrase is the one line of F\n"
		"  --passphrase-fd N    the passphrase is the next line of descriptor N;\n"
		"                       without either it is asked on the terminal\n"
		"\n"
		"example: sluice sign gateway-2.4.0.ota --key keys/releases.key\n",
	.run = sign_run,
};
