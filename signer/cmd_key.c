#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/text.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "common/crypto/secret.h"
#include "common/limits.h"
#include "signer/command.h"
#include "signer/ui.h"
#include "signer/workspace.h"

enum { OPT_NONE = 1, OPT_FILE, OPT_FD };

struct key_options {
	struct passphrase_source pass;
	bool no_passphrase;
	const char *path, *second, *workspace; /* or NULL */
};

static int
option_take(struct key_options *o, int option, struct err *e)
{
	uint64_t fd;

	switch (option) {
	case OPT_NONE:
		o->no_passphrase = true;
		return 0;
	case OPT_FILE:
		o->pass.file = optarg;
		return 0;
	case OPT_FD:
		if (num_parse(optarg, 0, INT_MAX, &fd, e) < 0)
			return err_set(e, ERR_USAGE,
				"--passphrase-fd takes the number of an open descriptor, not '%s'",
				optarg);
		o->pass.fd = (int)fd;
		return 0;
	case 'w':
		o->workspace = optarg;
		return 0;
	default:
		return err_set(e, ERR_USAGE,
			"an option is not known or lacks its value; see `sluice key --help`");
	}
}

/* argv[0] is the verb. */
static int
options_parse(int argc, char **argv, struct key_options *out, struct err *e)
{
	static const struct option known[] = {
		{"no-passphrase", no_argument, NULL, OPT_NONE},
		{"passphrase-file", required_argument, NULL, OPT_FILE},
		{"passphrase-fd", required_argument, NULL, OPT_FD},
		{0},
	};
	struct key_options o = {.pass = {.fd = -1}};
	int option;

	opterr = 0;
	optind = 0; /* another command line than the last one */
	while ((option = getopt_long(argc, argv, "w:", known, NULL)) != -1) {
		if (option_take(&o, option, e) < 0)
			return -1;
	}
	if (o.no_passphrase + (o.pass.file != NULL) + (o.pass.fd >= 0) > 1)
		return err_set(e, ERR_USAGE,
			"--no-passphrase, --passphrase-file and --passphrase-fd exclude each "
			"other");
	o.path = argv[optind];
	o.second = o.path && strcmp(argv[0], "import") == 0 ? argv[optind + 1] : NULL;
	if (argc - optind > 1 + (o.second != NULL))
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[argc - 1]);
	*out = o;
	return 0;
}

static int
key_print(const json_t *key, struct err *e)
{
	const char *public =
		json_string_value(json_object_get(json_object_get(key, "keyval"), "public"));
	char id[DIGEST_HEX_SIZE];

	if (pubkey_id(key, id, e) < 0)
		return -1;
	(void)printf("key id  %s\ntype    %s\nscheme  %s\npublic  %s\n", id,
		json_string_value(json_object_get(key, "keytype")),
		json_string_value(json_object_get(key, "scheme")), public);
	return 0;
}

/* A name or its ending cut off and another put in its place. */
static int
path_with(char out[PATH_MAX], const char *path, size_t stem, const char *suffix, struct err *e)
{
	int len = snprintf(out, PATH_MAX, "%.*s%s", (int)num_min(stem, PATH_MAX), path, suffix);

	if (len < 0 || len >= PATH_MAX)
		return err_set(e, ERR_LIMIT, "the path %.64s... is too long", path);
	return 0;
}

/* Both files of a key, or neither. */
static int
pair_save(const struct seckey *k, const char *secret, const char *public, const char *pass,
	struct err *e)
{
	if (seckey_save(k, secret, pass, e) < 0)
		return -1;
	if (seckey_save_public(k, public, e) < 0)
		goto undo;
	return 0;
undo:
	(void)file_remove(secret, NULL);
	return -1;
}

static int
absent(const char *path, struct err *e)
{
	if (!file_exists(path))
		return 0;
	return err_set(e, ERR_REFUSED,
		"%s exists already and is not written over; choose another name", path);
}

static int
key_new(const struct key_options *given, struct err *e)
{
	struct key_options o = *given;
	char secret[PATH_MAX], public[PATH_MAX];
	AUTO_SECRET void *pass = NULL;
	AUTO_SECKEY struct seckey *k = NULL;
	AUTO_JSON json_t *key = NULL;

	if (!o.path || text_ends_with(o.path, ".key") || text_ends_with(o.path, ".pub"))
		return err_set(e, ERR_USAGE,
			"give the path of the new key without an ending: `sluice key new "
			"keys/root` makes keys/root.key and keys/root.pub");
	if (path_with(secret, o.path, strlen(o.path), ".key", e) < 0 ||
		path_with(public, o.path, strlen(o.path), ".pub", e) < 0 || absent(secret, e) < 0 ||
		absent(public, e) < 0 || secret_new(PASSPHRASE_MAX + 1, &pass, e) < 0)
		return -1;
	if (!o.no_passphrase && passphrase_ask_new(&o.pass, secret, pass, e) < 0)
		return -1;
	if (seckey_new(&k, e) < 0 ||
		pair_save(k, secret, public, o.no_passphrase ? NULL : pass, e) < 0 ||
		pubkey_file_load(public, &key, e) < 0)
		return -1;
	(void)printf("secret  %s (keep it to yourself)\nfile    %s\n", secret, public);
	return key_print(key, e);
}

static int
key_show(const struct key_options *given, struct err *e)
{
	struct key_options o = *given;
	AUTO_SECKEY struct seckey *k = NULL;
	AUTO_JSON json_t *key = NULL;
	uint8_t raw[32];

	if (!o.path)
		return err_set(e, ERR_USAGE, "which key? Give its .pub or .key file");
	if (text_ends_with(o.path, ".key")) {
		if (seckey_load(o.path, passphrase_ask, &o.pass, &k, e) < 0)
			return -1;
		seckey_public(k, raw);
		if (pubkey_json_ed25519(raw, &key, e) < 0)
			return -1;
	} else if (pubkey_file_load(o.path, &key, e) < 0) {
		return -1;
	}
	return key_print(key, e);
}

/* A device's public key: PEM, or the DER that PKCS #11 tools write. */
static int
key_import(const struct key_options *o, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(KEY_FILE_MAX), pem = BUF_INIT(2 * KEY_FILE_MAX);
	AUTO_JSON json_t *key = NULL;
	char path[PATH_MAX];

	if (!o->path || !o->second || text_ends_with(o->second, ".pub"))
		return err_set(e, ERR_USAGE,
			"give the FILE with the public key, and the path of the new one without an "
			"ending: `sluice key import hsm.pem keys/hsm` makes keys/hsm.pub");
	if (path_with(path, o->second, strlen(o->second), ".pub", e) < 0 || absent(path, e) < 0 ||
		file_read(o->path, &bytes, e) < 0)
		return -1;
	if (pubkey_pem(buf_span(&bytes), &pem, e) < 0)
		return err_context(e, "%s", o->path);
	if (file_create(path, 0644, buf_span(&pem), e) < 0 || pubkey_file_load(path, &key, e) < 0)
		return -1;
	(void)printf("file    %s\n", path);
	return key_print(key, e);
}

struct listing {
	const char *dir;
	size_t bad;
};

static int
key_list_row(void *arg, const char *name, struct err *e)
{
	struct listing *l = arg;
	char path[PATH_MAX], secret[PATH_MAX], id[DIGEST_HEX_SIZE];
	AUTO_JSON json_t *key = NULL;
	struct err odd = ERR_INIT;

	if (!text_ends_with(name, ".pub"))
		return 0;
	if (path_join(path, sizeof(path), l->dir, name, e) < 0 ||
		path_with(secret, path, strlen(path) - strlen(".pub"), ".key", e) < 0)
		return -1;
	if (pubkey_file_load(path, &key, &odd) < 0 || pubkey_id(key, id, &odd) < 0) {
		l->bad++;
		(void)fprintf(stderr, "sluice key: %s\n", odd.text);
		return 0;
	}
	(void)printf("%.16s  %-8s %-6s  %s\n", id,
		json_string_value(json_object_get(key, "keytype")),
		file_exists(secret) ? "here" : "-", path);
	return 0;
}

static int
key_list(const struct key_options *o, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	struct listing l = {.dir = o->path};
	char keys[PATH_MAX];

	if (!o->path) {
		if (workspace_open(o->workspace, &w, e) < 0 ||
			workspace_path(&w, "keys", keys, e) < 0)
			return -1;
		l.dir = keys;
	}
	(void)printf("%-16s  %-8s %-6s  %s\n", "KEY ID", "TYPE", "SECRET", "FILE");
	if (dir_each(l.dir, KEY_FILES_MAX, key_list_row, &l, e) < 0)
		return -1;
	if (l.bad > 0)
		return err_set(
			e, ERR_MALFORMED, "%zu of the .pub files are not public keys", l.bad);
	return 0;
}

/* With the name of the verb as argv[0]. */
static int
verb_run(int (*run)(const struct key_options *o, struct err *e), int argc, char **argv,
	struct err *e)
{
	struct key_options o;

	return options_parse(argc, argv, &o, e) < 0 ? -1 : run(&o, e);
}

static int
run_new(int argc, char **argv, struct err *e)
{
	return verb_run(key_new, argc, argv, e);
}

static int
run_show(int argc, char **argv, struct err *e)
{
	return verb_run(key_show, argc, argv, e);
}

static int
run_list(int argc, char **argv, struct err *e)
{
	return verb_run(key_list, argc, argv, e);
}

static int
run_import(int argc, char **argv, struct err *e)
{
	return verb_run(key_import, argc, argv, e);
}

static const struct verb verbs[] = {{"new", NULL, run_new}, {"show", NULL, run_show},
	{"list", NULL, run_list}, {"import", NULL, run_import},
	{"revoke", key_revoke_help, key_revoke}, {0}};

const struct command cmd_key = {
	.name = "key",
	.summary = "make and manage keys",
	.help = "usage: sluice key new PATH\n"
		"           [--no-passphrase | --passphrase-file F | --passphrase-fd N]\n"
		"       sluice key show FILE [--passphrase-file F | --passphrase-fd N]\n"
		"       sluice key list [DIR] [-w WORKSPACE]\n"
		"       sluice key import FILE PATH\n"
		"       sluice key revoke KEY ...      (`sluice key revoke --help`)\n"
		"\n"
		"new     makes an Ed25519 key: PATH.key, secret and readable by you only, and\n"
		"        PATH.pub. Both are minisign's files: `minisign -G` makes keys, too.\n"
		"show    prints a key's id as TUF has it, of a .pub file (minisign's or PEM) or,\n"
		"        with its passphrase, of a .key file.\n"
		"list    the public keys in DIR, or else in the workspace's keys/, and whether\n"
		"        the secret half is there too. The id is cut; `show` prints it whole.\n"
		"import  makes PATH.pub of a public key by others (PEM or DER; P-256, RSA,\n"
		"        Ed25519), whose secret half a device holds: see --sign-with.\n"
		"\n"
		"The passphrase is asked on the terminal, or is the one line of file F, or the\n"
		"next line of descriptor N.\n"
		"\n"
		"example: sluice key new keys/releases && sluice key list\n",
	.verbs = verbs,
};
