#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/limits.h"
#include "signer/ceremony.h"
#include "signer/command.h"
#include "signer/merge.h"
#include "signer/metadata.h"
#include "signer/output.h"
#include "signer/publish.h"
#include "signer/request.h"
#include "signer/ui.h"

static const char help[] =
	"usage: sluice metadata stage ROLE -o FILE     take a next version to its signers\n"
	"       sluice metadata show FILE              what it changes\n"
	"       sluice metadata sign FILE --key K      look, and sign\n"
	"       sluice metadata merge FILE...          bring signatures together, publish\n"
	"       sluice metadata renew ROLE --key K     the same for longer\n"
	"\n"
	"For keys on machines that never meet. Make a change with --draft (or with the\n"
	"keys that are here), stage it, carry FILE to each signer, carry the signed files\n"
	"back, and merge them. FILE needs no workspace where it is signed.\n"
	"`sluice metadata stage --help` and so on tell more.\n"
	"\n"
	"example: sluice root rotate --root anna.pub --root ben.pub --threshold 2 --draft\n"
	"         sluice metadata stage root -o root-2.json\n";

static const char stage_help[] =
	"usage: sluice metadata stage ROLE -o FILE [-w DIR]\n"
	"\n"
	"Writes the next version of ROLE, as it lies in drafts/ or waits in incoming/, to\n"
	"FILE: the exact bytes to sign, the signatures that it has, and what it takes to\n"
	"see elsewhere what it changes. Prints that in plain language.\n"
	"\n"
	"  -o FILE   where to; in a folder it is named ROLE-VERSION.json\n"
	"\n"
	"example: sluice root rotate --root anna.pub --root ben.pub --threshold 2 --draft\n"
	"         sluice metadata stage root -o /media/stick/\n";

static const char show_help[] =
	"usage: sluice metadata show FILE [--root ROOT.json] [--keys DIR] [--bytes]\n"
	"\n"
	"Says in plain language what a request for signatures changes: computed here from\n"
	"the bytes that would be signed and from the version in force, whose signatures\n"
	"are checked. Nothing that the file says of itself is believed.\n"
	"\n"
	"  --root ROOT.json  a root.json that you trust: the file has to lead from it\n"
	"  --keys DIR        NAME.pub files, for names of keys (the workspace's keys/)\n"
	"  --bytes           print the exact bytes to sign instead, and nothing else\n"
	"\n"
	"example: sluice metadata show root-2.json --root box/root.json --keys ~/keys\n";

static const char sign_help[] =
	"usage: sluice metadata sign FILE --key K [--sign-with CMD] [--yes]\n"
	"           [--root ROOT.json] [--keys DIR]\n"
	"           [--passphrase-file F | --passphrase-fd N]\n"
	"\n"
	"Shows what FILE changes (see `sluice metadata show --help`), asks, and puts K's\n"
	"signature into FILE. No workspace is needed.\n"
	"\n"
	"  --key K           the secret key, or with --sign-with the public half (.pub or\n"
	"                    PEM) of one in a token, TPM, HSM or cloud key service\n"
	"  --sign-with CMD   CMD (run without a shell) reads the exact bytes on standard\n"
	"                    input and prints the signature: raw, hexadecimal or base64;\n"
	"                    Ed25519 64 bytes, ECDSA DER or r and s, RSA PSS, SHA-256.\n"
	"                    It may ask for a PIN. What does not verify is never used.\n"
	"                    Every command that takes --key takes it.\n"
	"  --yes             do not ask\n"
	"\n"
	"example: sluice metadata sign root-2.json --key keys/anna.key\n"
	"         sluice metadata sign root-2.json --key hsm.pem \\\n"
	"             --sign-with 'openssl dgst -sha256 -sign p256.pem'\n";

static const char merge_help[] =
	"usage: sluice metadata merge FILE... [-w DIR] [--no-publish]\n"
	"           [--passphrase-file F | --passphrase-fd N]\n"
	"\n"
	"Puts the signatures of all these files, which must be of the same bytes, into\n"
	"incoming/ROLE.json, beside those that are there. Each is checked; one by a key\n"
	"that may not sign is refused, and a key counts once. Publishes when the\n"
	"thresholds are reached and the online keys are here; below it waits.\n"
	"\n"
	"  --no-publish   leave it in incoming/ although the online keys are here\n"
	"\n"
	"example: sluice metadata merge anna/root-2.json ben/root-2.json\n";

static const char renew_help[] =
	"usage: sluice metadata renew ROLE {--key K [--sign-with CMD]... | --draft}\n"
	"           [--expires E] [--yes] [-w DIR] [--no-publish]\n"
	"           [--passphrase-file F | --passphrase-fd N]\n"
	"\n"
	"Signs the next version of a role (root, targets or a delegated one) with the\n"
	"content that is in force and a new expiry: do it before the old one expires.\n"
	"Where the role's keys were replaced, the new ones sign what the former ones\n"
	"said; all of that is shown first, for nobody vouches for it any more.\n"
	"\n"
	"  --key K       a key of the role; several times\n"
	"  --draft       all keys are elsewhere: goes into drafts/, to be staged\n"
	"  --expires E   a life (400d) or a date (2027-12-31); else by workspace.yaml\n"
	"\n"
	"example: sluice metadata renew releases --key keys/releases.key\n";

struct options {
	struct signing signing;
	const char *output, *root, *keys; /* or NULL */
	bool bytes;
	char **files;
	int file_count;
};

enum { OPT_ROOT_FILE = 4000, OPT_KEYS, OPT_BYTES };

static int
parse_options(int argc, char **argv, const char *letters, const struct option *known,
	struct options *o, struct err *e)
{
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, letters, known, NULL)) != -1) {
		if (option == 'o')
			o->output = optarg;
		else if (option == OPT_ROOT_FILE)
			o->root = optarg;
		else if (option == OPT_KEYS)
			o->keys = optarg;
		else if (option == OPT_BYTES)
			o->bytes = true;
		else if (signing_option(&o->signing, option, optarg, e) < 0)
			return -1;
	}
	o->files = argv + optind;
	o->file_count = argc - optind;
	return 0;
}

/* FILE, or FILE/ROLE-VERSION.json for a folder. */
static int
request_path(const char *output, const struct request *r, uint64_t version, char out[PATH_MAX],
	struct err *e)
{
	char name[ROLE_NAME_MAX + 32];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s-%" PRIu64 ".json", r->role, version);
	if (stat(output, &st) == 0 && S_ISDIR(st.st_mode))
		return path_join(out, PATH_MAX, output, name, e);
	if ((size_t)snprintf(out, PATH_MAX, "%s", output) >= PATH_MAX)
		return err_set(e, ERR_LIMIT, "the path %.64s... is too long", output);
	return 0;
}

static int
load_pending(const struct workspace *w, const char *role, struct metadata *m, struct err *e)
{
	if (metadata_load(w, role, m, e) < 0)
		return -1;
	if (!m->waiting)
		return err_set(e, ERR_USAGE,
			"no next version of %s is in drafts/ or incoming/; make the change first, "
			"with --draft, or `sluice metadata renew %s --draft`",
			role, role);
	return 0;
}

static int
stage(int argc, char **argv, struct err *e)
{
	static const struct option known[] = {{0}};
	struct options o = {.signing = SIGNING_INIT};
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_METADATA struct metadata m = {0};
	AUTO_KEYRING struct keyring names = {0};
	AUTO_REQUEST struct request r = {0};
	AUTO_CHANGE struct change c = {0};
	char path[PATH_MAX];

	if (parse_options(argc, argv, "w:o:", known, &o, e) < 0)
		return -1;
	if (o.file_count != 1 || !o.output)
		return err_set(e, ERR_USAGE, "give one ROLE, and -o FILE to write to");
	if (workspace_open(o.signing.workspace, &w, e) < 0 ||
		load_pending(&w, o.files[0], &m, e) < 0 || request_make(&w, &m, &r, e) < 0 ||
		ceremony_names(&w, &names, e) < 0 ||
		ceremony_show(&r, NULL, true, &names, &c, e) < 0 ||
		request_path(o.output, &r, c.version, path, e) < 0 ||
		request_write(&r, path, e) < 0)
		return -1;
	(void)printf("to be signed: sluice metadata sign %s --key K\n", path);
	return 0;
}

/* Names that the reader has: those of --keys, of the folder that the key is in, of a workspace
 * around here. */
static int
load_names(const struct options *o, struct keyring *names, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	char dir[PATH_MAX];

	if (o->keys)
		return keyring_add(names, o->keys, e);
	if (o->signing.key &&
		(folder_of(o->signing.key, dir, e) < 0 || keyring_add(names, dir, e) < 0))
		return -1;
	return workspace_open(NULL, &w, NULL) < 0 ? 0 : ceremony_names(&w, names, e);
}

static int
print_bytes(const struct request *r, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(REQUEST_BYTES_MAX);

	if (request_bytes(r, &bytes, e) < 0)
		return -1;
	if (fwrite(bytes.data, 1, bytes.len, stdout) != bytes.len || fflush(stdout) != 0)
		return err_sys(e, errno, "writing to standard output");
	return 0;
}

static int
show(int argc, char **argv, struct err *e)
{
	static const struct option known[] = {{"root", required_argument, NULL, OPT_ROOT_FILE},
		{"keys", required_argument, NULL, OPT_KEYS},
		{"bytes", no_argument, NULL, OPT_BYTES}, {0}};
	struct options o = {.signing = SIGNING_INIT};
	AUTO_KEYRING struct keyring names = {0};
	AUTO_REQUEST struct request r = {0};
	AUTO_CHANGE struct change c = {0};

	if (parse_options(argc, argv, "", known, &o, e) < 0)
		return -1;
	if (o.file_count != 1)
		return err_set(e, ERR_USAGE, "give one FILE that `sluice metadata stage` made");
	if (request_read(o.files[0], &r, e) < 0)
		return -1;
	if (o.bytes)
		return print_bytes(&r, e);
	return load_names(&o, &names, e) < 0 ? -1 : ceremony_show(&r, o.root, false, &names, &c, e);
}

static int
check_signer(const struct change *c, const struct signer *s, struct err *e)
{
	if (json_has_text(c->keys.keyids, s->keyid) || json_has_text(c->former.keyids, s->keyid))
		return 0;
	return err_set(e, ERR_REFUSED, "the key %.16s is not one of those that may sign %s.json",
		s->keyid, c->role);
}

static int
sign(int argc, char **argv, struct err *e)
{
	static const struct option known[] = {SIGNING_KEY, SIGNING_YES, SIGNING_PASS_FILE,
		SIGNING_PASS_FD, {"root", required_argument, NULL, OPT_ROOT_FILE},
		{"keys", required_argument, NULL, OPT_KEYS}, {0}};
	struct options o = {.signing = SIGNING_INIT};
	AUTO_KEYRING struct keyring names = {0};
	AUTO_REQUEST struct request r = {0};
	AUTO_CHANGE struct change c = {0};
	AUTO_OPENED_KEY struct opened_key key = {0};

	if (parse_options(argc, argv, "", known, &o, e) < 0)
		return -1;
	if (o.file_count != 1)
		return err_set(e, ERR_USAGE, "give one FILE that `sluice metadata stage` made");
	if (signing_check(&o.signing, "a key of the role", e) < 0 ||
		request_read(o.files[0], &r, e) < 0 || load_names(&o, &names, e) < 0 ||
		ceremony_show(&r, o.root, false, &names, &c, e) < 0 ||
		(!o.signing.yes && ui_confirm("Sign this?", e) < 0) ||
		signing_open(&o.signing, &key, e) < 0 || check_signer(&c, &key.signer, e) < 0 ||
		envelope_sign(r.document, &key.signer, e) < 0 ||
		request_write(&r, o.files[0], e) < 0)
		return -1;
	(void)printf("%s: signed by key %s; bring it back for `sluice metadata merge`\n",
		o.files[0], key.signer.keyid);
	return 0;
}

static int
merge(int argc, char **argv, struct err *e)
{
	static const struct option known[] = {
		SIGNING_NO_PUBLISH, SIGNING_PASS_FILE, SIGNING_PASS_FD, {0}};
	struct options o = {.signing = SIGNING_INIT};
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_MERGE struct merge m = {0};

	if (parse_options(argc, argv, SIGNING_SHORT, known, &o, e) < 0)
		return -1;
	if (o.file_count == 0)
		return err_set(e, ERR_USAGE, "give the FILEs that came back signed");
	if (workspace_open(o.signing.workspace, &w, e) < 0)
		return -1;
	for (int i = 0; i < o.file_count; i++) {
		if (merge_add(&m, &w, o.files[i], e) < 0)
			return -1;
	}
	if (merge_commit(&m, &w, e) < 0)
		return -1;
	return publish_here(&w, m.request.role, &o.signing, e);
}

/* What is to be renewed: the version in force, or what former keys left behind. */
static int
load_renewed(const struct workspace *w, const char *role, struct metadata *m, struct err *e)
{
	bool found;

	if (metadata_load(w, role, m, e) < 0)
		return -1;
	if (m->in_force || m->waiting)
		return 0;
	if (metadata_take_over(w, m, &found, e) < 0)
		return -1;
	if (!found)
		return err_set(
			e, ERR_USAGE, "%s has not published anything that could be renewed", role);
	return 0;
}

static int
renew(int argc, char **argv, struct err *e)
{
	static const struct option known[] = {CEREMONY_LONG, {0}};
	AUTO_CEREMONY struct ceremony c = CEREMONY_INIT;
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_METADATA struct metadata m = {0};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (ceremony_option(&c, option, optarg, e) < 0)
			return -1;
	}
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE, "give one ROLE");
	if (ceremony_check(&c, "a key of the role", e) < 0 ||
		workspace_open(c.signing.workspace, &w, e) < 0 ||
		load_renewed(&w, argv[optind], &m, e) < 0 ||
		hand_open(&c.hand, &c.signing.pass, e) < 0 ||
		hand_check(&c.hand, &m, NULL, e) < 0 || ceremony_agree(&c, &w, &m, e) < 0 ||
		ceremony_sign(&c, &w, &m, e) < 0)
		return -1;
	return c.hand.opened == 0 ? 0 : publish_here(&w, m.role, &c.signing, e);
}

static const struct verb verbs[] = {{"stage", stage_help, stage}, {"show", show_help, show},
	{"sign", sign_help, sign}, {"merge", merge_help, merge}, {"renew", renew_help, renew}, {0}};

const struct command cmd_metadata = {
	.name = "metadata",
	.summary = "to its signers and back",
	.help = help,
	.verbs = verbs,
};
