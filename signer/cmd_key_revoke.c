#include <getopt.h>
#include <stdio.h>

#include "signer/ceremony.h"
#include "signer/command.h"
#include "signer/metadata.h"
#include "signer/revocation.h"

const char key_revoke_help[] =
	"usage: sluice key revoke KEY [--replace-by NEW.pub]\n"
	"           {--key K [--sign-with CMD]... | --draft} [--yes] [-w DIR]\n"
	"           [--no-publish] [--passphrase-file F | --passphrase-fd N]\n"
	"\n"
	"Takes a key out of every role that it is in: those of root.json make a next\n"
	"root, delegated ones a next targets.json. KEY is its .pub file, or eight or more\n"
	"digits of its id. Keys of the roles root and targets sign, as many as their\n"
	"thresholds say. What the key had signed alone counts for nothing then: see\n"
	"`sluice metadata renew --help`. For an online key put the new one's path into\n"
	"workspace.yaml before the publication.\n"
	"\n"
	"  --replace-by NEW.pub  takes its places\n"
	"  --key K               a key of root or targets, to sign; several times\n"
	"  --sign-with CMD       K before it is a .pub, and CMD signs for it\n"
	"  --draft               all keys are elsewhere: see `sluice metadata`\n"
	"\n"
	"example: sluice key revoke keys/ben.pub --replace-by keys/carol.pub \\\n"
	"             --key keys/root.key --key keys/targets.key\n";

struct revoke_options {
	struct ceremony ceremony;
	const char *word, *heir; /* heir may be NULL */
};

static void
revoke_options_free(struct revoke_options *o)
{
	ceremony_end(&o->ceremony);
}

static int
parse_options(int argc, char **argv, struct revoke_options *o, struct err *e)
{
	enum { OPT_REPLACE_BY = 1 };
	static const struct option known[] = {
		CEREMONY_LONG, {"replace-by", required_argument, NULL, OPT_REPLACE_BY}, {0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (option == OPT_REPLACE_BY)
			o->heir = optarg;
		else if (ceremony_option(&o->ceremony, option, optarg, e) < 0)
			return -1;
	}
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE, "which key? Give its .pub file or its id");
	o->word = argv[optind];
	return ceremony_check(&o->ceremony, "keys of the roles root and targets", e);
}

int
key_revoke(int argc, char **argv, struct err *e)
{
	CLEANUP(revoke_options_free) struct revoke_options o = {.ceremony = CEREMONY_INIT};
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_METADATA struct metadata root = {0}, targets = {0};
	AUTO_REVOCATION struct revocation r = {0};
	struct ceremony *c = &o.ceremony;

	if (parse_options(argc, argv, &o, e) < 0 ||
		workspace_open(c->signing.workspace, &w, e) < 0 ||
		metadata_load(&w, "root", &root, e) < 0 ||
		metadata_load(&w, "targets", &targets, e) < 0 ||
		revocation_read(o.word, o.heir, &root, &targets, &r, e) < 0 ||
		revocation_apply(&r, &root, &targets, e) < 0 ||
		hand_open(&c->hand, &c->signing.pass, e) < 0)
		return -1;
	/* Who signs targets.json is for the next root to say. */
	if (metadata_follow(&root, &root, e) < 0 || metadata_follow(&targets, &root, e) < 0 ||
		hand_check(&c->hand, &root, &targets, e) < 0)
		return -1;
	return ceremony_root(c, &w, r.in_root ? &root : NULL, &targets, r.in_targets, e);
}
