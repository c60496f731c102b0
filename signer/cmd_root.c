#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/tuf/document.h"
#include "signer/ceremony.h"
#include "signer/command.h"
#include "signer/metadata.h"
#include "signer/roster.h"
#include "signer/site.h"

static const char help[] =
	"usage: sluice root init ...      begin a fleet's trust\n"
	"       sluice root rotate ...    change it: keys, thresholds, expiry\n"
	"\n"
	"root.json says who holds the roles root, targets, snapshot and timestamp. Boxes\n"
	"are made with the first one in them and follow it from version to version, each\n"
	"signed by the holders of the one before and by its own.\n"
	"`sluice root init --help` and `sluice root rotate --help` tell more.\n"
	"\n"
	"example: sluice root rotate --timestamp keys/timestamp-2.pub --key keys/root.key\n";

static const char init_help[] =
	"usage: sluice root init --root K... --threshold N --targets K...\n"
	"           [--targets-threshold N] --snapshot K --timestamp K [--expires E]\n"
	"           [-w DIR] [--no-publish] [--passphrase-file F | --passphrase-fd N]\n"
	"\n"
	"Makes the first root.json (who holds which role) and an empty targets.json. A K\n"
	"that is a secret key (.key) signs here and now; of a key that is elsewhere give\n"
	"the public half (.pub): its holder signs by `sluice metadata stage`, `sign` and\n"
	"`merge`. Boxes are made with this root.json in them.\n"
	"\n"
	"  --root K               a key of the root role; several times\n"
	"  --threshold N          how many of them must sign a change of root.json\n"
	"  --targets K            a key of targets, which says who releases what\n"
	"  --targets-threshold N  how many of those must sign (1)\n"
	"  --snapshot K, --timestamp K   the two online keys\n"
	"  --expires E            a life (400d) or a date (2027-12-31)\n"
	"\n"
	"example: sluice root init --root anna.key --root ben.pub --threshold 2 \\\n"
	"             --targets keys/targets.key --snapshot keys/snapshot.pub \\\n"
	"             --timestamp keys/timestamp.pub\n";

static const char rotate_help[] =
	"usage: sluice root rotate [--root K...] [--threshold N] [--targets K...]\n"
	"           [--targets-threshold N] [--snapshot K] [--timestamp K] [--expires E]\n"
	"           {--key K [--sign-with CMD]... | --draft} [--yes] [-w DIR]\n"
	"           [--no-publish] [--passphrase-file F | --passphrase-fd N]\n"
	"\n"
	"Makes the next root.json. A role that is named is held by exactly these keys\n"
	"from then on (`sluice key revoke` swaps a single one); with none named root is\n"
	"renewed as it is. As many holders of the old root as its threshold says must\n"
	"sign, and as many of the new. New targets keys sign targets.json, too.\n"
	"\n"
	"  --root K, --targets K   the new keys; a secret one (.key) signs here\n"
	"  --key K                 a key of the old root, to sign; several times\n"
	"  --sign-with CMD         K before it is a .pub, and CMD signs for it\n"
	"  --draft                 all keys are elsewhere: see `sluice metadata`\n"
	"  --expires E             a life (400d) or a date (2027-12-31)\n"
	"\n"
	"example: sluice root rotate --root keys/anna.key --root keys/carol.key \\\n"
	"             --threshold 2 --key keys/ben.key\n";

struct root_options {
	struct ceremony ceremony;
	struct roster roster;
};

static void
root_options_free(struct root_options *o)
{
	ceremony_end(&o->ceremony);
	roster_free(&o->roster);
}

static int
parse_options(int argc, char **argv, struct root_options *o, struct err *e)
{
	static const struct option known[] = {CEREMONY_LONG, ROSTER_LONG, {0}};
	bool mine;
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (roster_option(&o->roster, option, optarg, &mine, e) < 0 ||
			(!mine && ceremony_option(&o->ceremony, option, optarg, e) < 0))
			return -1;
	}
	if (optind < argc)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	return 0;
}

/* The first root names everything. */
static int
check_init(const struct root_options *o, struct err *e)
{
	if (o->roster.roles[ROSTER_ROOT].threshold == 0)
		return err_set(e, ERR_USAGE, "--threshold is missing: how many root keys sign?");
	for (int role = 0; role < ROSTER_ROLES; role++) {
		if (o->roster.roles[role].count == 0)
			return err_set(e, ERR_USAGE, "--%s is missing: who holds that role?",
				roster_names[role]);
	}
	return 0;
}

static int
make_first(const struct roster *r, struct metadata *out, struct err *e)
{
	AUTO_JSON json_t *body = json_pack("{s:s, s:s, s:b, s:i, s:s, s:{}, s:{}}", "_type", "root",
		"spec_version", TUF_SPEC_VERSION, "consistent_snapshot", 1, "version", 0, "expires",
		"", "keys", "roles");

	if (!body)
		return err_sys(e, ENOMEM, "root metadata");
	return roster_apply(r, body, e) < 0 ? -1 : metadata_first_root(body, out, e);
}

/* Boxes may trust what lies there: a first root over it would cut them off for good. */
static int
refuse_headless(const struct workspace *w, struct err *e)
{
	AUTO_SITE struct site s = {0};

	if (site_open(w, &s, e) < 0)
		return -1;
	if (!site_is_headless(&s))
		return 0;
	return err_set(e, ERR_REFUSED,
		"%s has a root, but timestamp.json is missing: restore site/ from where it is "
		"served; only where no box was ever given that root, empty the folder and begin",
		s.metadata);
}

/* A root that exists is changed, not made anew: boxes follow it from version to version. */
static int
refuse_second(const struct workspace *w, struct err *e)
{
	AUTO_METADATA struct metadata m = {0};
	struct err none = ERR_INIT;

	if (metadata_load(w, "root", &m, &none) == 0)
		return m.published ? err_set(e, ERR_REFUSED,
					     "%s has a root already, which boxes trust; `sluice "
					     "root rotate` changes it",
					     w->dir)
				   : err_set(e, ERR_REFUSED,
					     "%s has a first root that waits for signatures; to "
					     "begin anew remove root.json and targets.json from "
					     "drafts/ and incoming/",
					     w->dir);
	if (none.class != ERR_USAGE)
		return err_set(e, none.class, "%s", none.text);
	return refuse_headless(w, e);
}

static int
root_init(int argc, char **argv, struct err *e)
{
	CLEANUP(root_options_free) struct root_options o = {.ceremony = CEREMONY_INIT};
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_METADATA struct metadata root = {0};

	o.ceremony.signing.yes = true;
	if (parse_options(argc, argv, &o, e) < 0 || check_init(&o, e) < 0 ||
		workspace_open(o.ceremony.signing.workspace, &w, e) < 0 ||
		refuse_second(&w, e) < 0 ||
		hand_open(&o.ceremony.hand, &o.ceremony.signing.pass, e) < 0 ||
		roster_load(&o.roster, &o.ceremony.hand, &o.ceremony.signing.pass, e) < 0 ||
		make_first(&o.roster, &root, e) < 0)
		return -1;
	return ceremony_root(&o.ceremony, &w, &root, NULL, true, e);
}

static int
root_rotate(int argc, char **argv, struct err *e)
{
	CLEANUP(root_options_free) struct root_options o = {.ceremony = CEREMONY_INIT};
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_METADATA struct metadata root = {0}, targets = {0};

	if (parse_options(argc, argv, &o, e) < 0 ||
		workspace_open(o.ceremony.signing.workspace, &w, e) < 0 ||
		metadata_load(&w, "root", &root, e) < 0 ||
		hand_open(&o.ceremony.hand, &o.ceremony.signing.pass, e) < 0 ||
		roster_load(&o.roster, &o.ceremony.hand, &o.ceremony.signing.pass, e) < 0 ||
		ceremony_check(&o.ceremony, "a key of the root role", e) < 0 ||
		roster_apply(&o.roster, root.body, e) < 0 ||
		metadata_load(&w, "targets", &targets, e) < 0 ||
		metadata_follow(&root, &root, e) < 0 || metadata_follow(&targets, &root, e) < 0 ||
		hand_check(&o.ceremony.hand, &root, &targets, e) < 0)
		return -1;
	return ceremony_root(&o.ceremony, &w, &root, &targets, false, e);
}

static const struct verb verbs[] = {
	{"init", init_help, root_init}, {"rotate", rotate_help, root_rotate}, {0}};

const struct command cmd_root = {
	.name = "root",
	.summary = "begin and change trust",
	.help = help,
	.verbs = verbs,
};
