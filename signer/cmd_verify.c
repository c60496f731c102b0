#include <getopt.h>
#include <stdio.h>

#include "common/tuf/tuf.h"
#include "signer/bundle_file.h"
#include "signer/command.h"
#include "signer/trust.h"

struct verify_options {
	const char *file, *metadata, *role;
};

static int
options_parse(int argc, char **argv, struct verify_options *o, struct err *e)
{
	static const struct option known[] = {{"metadata", required_argument, NULL, 'm'},
		{"role", required_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
	int option;

	*o = (struct verify_options){.role = "releases"};
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'm')
			o->metadata = optarg;
		else if (option == 'r')
			o->role = optarg;
		else
			return err_set(e, ERR_USAGE,
				"'%s' is unknown or lacks its value; see --help", argv[optind - 1]);
	}
	if (optind != argc - 1 || !o->metadata)
		return err_set(e, ERR_USAGE, "give one FILE and --metadata DIR; see --help");
	o->file = argv[optind];
	return 0;
}

static int
verify_run(int argc, char **argv, struct err *e)
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	AUTO_TRUST struct trust trust = {0};
	struct verify_options o;
	struct role_keys keys;

	if (options_parse(argc, argv, &o, e) < 0 || trust_open(o.metadata, &trust, e) < 0 ||
		tuf_delegation(trust.client, o.role, &keys, e) < 0 ||
		bundle_file_open_signed(o.file, &keys, &b, e) < 0 ||
		bundle_file_check_members(&b, e) < 0 || bundle_file_check_content(&b, e) < 0)
		return -1;
	(void)printf("%s: good: %s %s, signed by %s\n", o.file, b.manifest->name,
		b.manifest->version, o.role);
	return 0;
}

const struct command cmd_verify = {
	.name = "verify",
	.summary = "check all of a bundle",
	.help = "usage: sluice verify FILE --metadata DIR [--role ROLE]\n"
		"\n"
		"Checks that ROLE's threshold of keys signed the bundle, and that every byte of\n"
		"it is what they signed: layout, members, each chunk compressed and plain, hints,\n"
		"images and files. No network, no site, no clock; nothing is written.\n"
		"\n"
		"  --metadata DIR  a folder of TUF metadata, a site's metadata/ for instance:\n"
		"                  root.json (or the oldest N.root.json) is trusted because it is\n"
		"                  there, later roots must follow from it, and targets.json (or\n"
		"                  the newest N.targets.json) must be signed by the last root's\n"
		"                  keys; it says who ROLE is\n"
		"  --role ROLE     releases if left out\n"
		"\n"
		"example: sluice verify gateway-2.4.0.ota --metadata site/metadata\n",
	.run = verify_run,
};
