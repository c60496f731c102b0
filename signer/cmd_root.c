#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"
#include "common/crypto/pubkey.h"
#include "common/limits.h"
#include "common/tuf/document.h"
#include "signer/command.h"
#include "signer/metadata.h"
#include "signer/publish.h"
#include "signer/signing.h"

static const char help[] =
	"usage: sluice root init --root K... --threshold N --targets K...\n"
	"           [--targets-threshold N] --snapshot K --timestamp K\n"
	"           [-w DIR] [--no-publish] [--passphrase-file F | --passphrase-fd N]\n"
	"\n"
	"Makes the first root.json (who holds which role) and an empty targets.json. A K that is\n"
	"a secret key (.key) signs here and now; of a key that is elsewhere give the public half\n"
	"(.pub), and let its holder sign later. Boxes are made with this root.json in them.\n"
	"\n"
	"  --root K               a key of the root role; several times\n"
	"  --threshold N          how many of them must sign a change of root.json\n"
	"  --targets K            a key of the targets role, which says who releases what\n"
	"  --targets-threshold N  how many of those must sign (1)\n"
	"  --snapshot K, --timestamp K   the two online keys\n"
	"\n"
	"example:  sluice root init --root keys/root-1.key --root keys/root-2.key --threshold 2 "
	"\\\n"
	"              --targets keys/targets.key --snapshot keys/snapshot.pub \\\n"
	"              --timestamp keys/timestamp.pub\n";

enum { OPT_ROOT = 1, OPT_THRESHOLD, OPT_TARGETS, OPT_TARGETS_THRESHOLD, OPT_SNAPSHOT };
enum { OPT_TIMESTAMP = OPT_SNAPSHOT + 1 };

enum { ROOT, TARGETS, SNAPSHOT, TIMESTAMP, ROLES };
static const char *const role_names[ROLES] = {"root", "targets", "snapshot", "timestamp"};

/* The key files of one role, and what is in them. */
struct holders {
	const char *path[ROLE_KEYS_MAX];
	json_t *key[ROLE_KEYS_MAX];
	struct opened_key
		opened[ROLE_KEYS_MAX]; /* .secret NULL where only the public half is here */
	size_t count;
	uint64_t threshold;
};

struct init {
	struct signing signing;
	struct holders roles[ROLES];
};

static void
init_end(struct init *in)
{
	for (size_t r = 0; r < ROLES; r++) {
		for (size_t i = 0; i < in->roles[r].count; i++) {
			json_decref(in->roles[r].key[i]);
			opened_key_close(&in->roles[r].opened[i]);
		}
	}
}

static int
add_path(struct holders *h, const char *option, struct err *e)
{
	if (h->count == ROLE_KEYS_MAX)
		return err_set(
			e, ERR_USAGE, "%s is given more than %d times", option, ROLE_KEYS_MAX);
	h->path[h->count++] = optarg;
	return 0;
}

static int
set_threshold(struct holders *h, const char *option, struct err *e)
{
	if (num_parse(optarg, 1, ROLE_KEYS_MAX, &h->threshold, e) < 0)
		return err_set(e, ERR_USAGE, "%s takes a number from 1 to %d, not '%.32s'", option,
			ROLE_KEYS_MAX, optarg);
	return 0;
}

static int
take_option(struct init *in, int option, struct err *e)
{
	switch (option) {
	case OPT_ROOT:
		return add_path(&in->roles[ROOT], "--root", e);
	case OPT_TARGETS:
		return add_path(&in->roles[TARGETS], "--targets", e);
	case OPT_SNAPSHOT:
		return add_path(&in->roles[SNAPSHOT], "--snapshot", e);
	case OPT_TIMESTAMP:
		return add_path(&in->roles[TIMESTAMP], "--timestamp", e);
	case OPT_THRESHOLD:
		return set_threshold(&in->roles[ROOT], "--threshold", e);
	case OPT_TARGETS_THRESHOLD:
		return set_threshold(&in->roles[TARGETS], "--targets-threshold", e);
	default:
		return signing_option(&in->signing, option, optarg, e);
	}
}

static int
parse_options(int argc, char **argv, struct init *in, struct err *e)
{
	static const struct option known[] = {
		{"root", required_argument, NULL, OPT_ROOT},
		{"threshold", required_argument, NULL, OPT_THRESHOLD},
		{"targets", required_argument, NULL, OPT_TARGETS},
		{"targets-threshold", required_argument, NULL, OPT_TARGETS_THRESHOLD},
		{"snapshot", required_argument, NULL, OPT_SNAPSHOT},
		{"timestamp", required_argument, NULL, OPT_TIMESTAMP},
		SIGNING_NO_PUBLISH,
		SIGNING_PASS_FILE,
		SIGNING_PASS_FD,
		{0},
	};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (take_option(in, option, e) < 0)
			return -1;
	}
	if (optind < argc)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	if (in->roles[ROOT].threshold == 0)
		return err_set(e, ERR_USAGE, "--threshold is missing: how many root keys sign?");
	for (size_t r = 0; r < ROLES; r++) {
		if (in->roles[r].threshold == 0)
			in->roles[r].threshold = 1;
		if (in->roles[r].count < in->roles[r].threshold)
			return err_set(e, ERR_USAGE,
				"the role %s has %zu keys, but a threshold of %" PRIu64,
				role_names[r], in->roles[r].count, in->roles[r].threshold);
	}
	return 0;
}

/* Both halves of a secret key, or the public half alone. */
static int
load_key(struct init *in, struct holders *h, size_t i, bool signs, struct err *e)
{
	struct err not_public = ERR_INIT;

	if (pubkey_file_load(h->path[i], &h->key[i], &not_public) == 0)
		return 0;
	if (opened_key_open(h->path[i], &in->signing.pass, &h->opened[i], e) < 0)
		return -1;
	h->key[i] = json_incref(h->opened[i].public);
	if (!signs)
		opened_key_close(&h->opened[i]);
	return 0;
}

static int
load_keys(struct init *in, struct err *e)
{
	for (size_t r = 0; r < ROLES; r++) {
		for (size_t i = 0; i < in->roles[r].count; i++) {
			if (load_key(in, &in->roles[r], i, r == ROOT || r == TARGETS, e) < 0)
				return -1;
		}
	}
	return 0;
}

static int
add_role(json_t *keys, json_t *roles, const char *name, const struct holders *h, struct err *e)
{
	AUTO_JSON json_t *keyids = json_array();

	for (size_t i = 0; i < h->count; i++) {
		char id[DIGEST_HEX_SIZE];

		if (pubkey_id(h->key[i], id, e) < 0)
			return -1;
		for (size_t k = 0; k < json_array_size(keyids); k++) {
			if (strcmp(json_string_value(json_array_get(keyids, k)), id) == 0)
				return err_set(e, ERR_USAGE,
					"%s is given twice for the role %s: it counts once",
					h->path[i], name);
		}
		if (json_object_set(keys, id, h->key[i]) < 0 ||
			json_array_append_new(keyids, json_string(id)) < 0)
			return err_sys(e, ENOMEM, "root metadata");
	}
	if (json_object_set_new(roles, name,
		    json_pack("{s:O, s:I}", "keyids", keyids, "threshold",
			    (json_int_t)h->threshold)) < 0)
		return err_sys(e, ENOMEM, "root metadata");
	return 0;
}

static int
make_root(const struct init *in, struct metadata *out, struct err *e)
{
	AUTO_JSON json_t *keys = json_object(), *roles = json_object(), *body = NULL;

	for (size_t r = 0; r < ROLES; r++) {
		if (add_role(keys, roles, role_names[r], &in->roles[r], e) < 0)
			return -1;
	}
	body = json_pack("{s:s, s:s, s:b, s:i, s:s, s:O, s:O}", "_type", "root", "spec_version",
		TUF_SPEC_VERSION, "consistent_snapshot", 1, "version", 0, "expires", "", "keys",
		keys, "roles", roles);
	if (!body)
		return err_sys(e, ENOMEM, "root metadata");
	return metadata_first_root(body, out, e);
}

static int
sign_all(const struct workspace *w, struct metadata *m, const struct holders *h, struct err *e)
{
	size_t signatures = 0;

	for (size_t i = 0; i < h->count; i++) {
		if (!h->opened[i].secret)
			continue;
		if (metadata_sign(w, m, &h->opened[i].signer, e) < 0)
			return -1;
		signatures++;
	}
	if (signatures == 0)
		return err_set(e, ERR_USAGE,
			"no secret key of the role %s is given, so nobody could sign it", m->role);
	return 0;
}

/* A root that exists is changed, not made anew: boxes follow it from version to version. */
static int
refuse_second(const struct workspace *w, struct err *e)
{
	AUTO_METADATA struct metadata m = {0};
	struct err none = ERR_INIT;

	if (metadata_load(w, "root", &m, &none) == 0)
		return err_set(e, ERR_REFUSED, "%s has a root already, which boxes trust", w->dir);
	if (none.class == ERR_USAGE)
		return 0;
	if (e)
		*e = none;
	return -1;
}

static int
root_init(int argc, char **argv, struct err *e)
{
	CLEANUP(init_end) struct init in = {.signing = SIGNING_INIT};
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_METADATA struct metadata root = {0}, targets = {0};

	if (parse_options(argc, argv, &in, e) < 0 ||
		workspace_open(in.signing.workspace, &w, e) < 0 || refuse_second(&w, e) < 0 ||
		load_keys(&in, e) < 0 || make_root(&in, &root, e) < 0 ||
		sign_all(&w, &root, &in.roles[ROOT], e) < 0 ||
		metadata_load(&w, "targets", &targets, e) < 0 ||
		sign_all(&w, &targets, &in.roles[TARGETS], e) < 0)
		return -1;
	return publish_here(&w, NULL, &in.signing, e);
}

static int
run(int argc, char **argv, struct err *e)
{
	if (argc < 2 || strcmp(argv[1], "init") != 0)
		return err_set(e, ERR_USAGE, "say `sluice root init`; --help tells more");
	return root_init(argc - 1, argv + 1, e);
}

const struct command cmd_root = {
	.name = "root",
	.summary = "begin a fleet's trust: who holds which role",
	.help = help,
	.run = run,
};
