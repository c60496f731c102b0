#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/pubkey.h"
#include "common/limits.h"
#include "common/tuf/document.h"
#include "common/tuf/path.h"
#include "signer/ceremony.h"
#include "signer/command.h"
#include "signer/metadata.h"
#include "signer/publish.h"
#include "signer/roster.h"
#include "signer/signing.h"

static const char help[] =
	"usage: sluice role list [-w DIR]\n"
	"       sluice role add NAME --member K.pub... --threshold N [--paths PATTERN...]\n"
	"           [--before ROLE] {--key TARGETSKEY | --draft}\n"
	"       sluice role change NAME [--member K.pub...] [--threshold N]\n"
	"           [--paths PATTERN...] {--key TARGETSKEY | --draft}\n"
	"       sluice role remove NAME {--key TARGETSKEY | --draft}\n"
	"           [--sign-with CMD] [-w DIR] [--no-publish]\n"
	"           [--passphrase-file F | --passphrase-fd N]\n"
	"\n"
	"Says in targets.json who speaks for which paths. A client asks the roles in\n"
	"their order; the first whose pattern covers a path has the last word on it: so\n"
	"narrow scopes come before general ones.\n"
	"\n"
	"  --member K.pub   a public key of the role; several times\n"
	"  --threshold N    how many members must sign\n"
	"  --paths PATTERN  what it speaks for; several times. Left out, releases,\n"
	"                   rollouts, gates, certificates, authorities get bundles/* ...\n"
	"\n"
	"example: sluice role add releases --member keys/anna.pub --threshold 1 \\\n"
	"             --key keys/targets.key\n";

enum { OPT_MEMBER = 1, OPT_THRESHOLD, OPT_PATHS, OPT_BEFORE };

struct role_options {
	struct signing signing;
	const char *name, *before; /* before may be NULL */
	const char *members[ROLE_KEYS_MAX], *paths[ROLE_PATHS_MAX];
	size_t member_count, path_count;
	uint64_t threshold;
};

static int
add_word(const char **words, size_t *count, size_t max, const char *option, struct err *e)
{
	if (*count == max)
		return err_set(e, ERR_USAGE, "%s is given more than %zu times", option, max);
	words[(*count)++] = optarg;
	return 0;
}

static int
take_option(struct role_options *o, int option, struct err *e)
{
	switch (option) {
	case OPT_MEMBER:
		return add_word(o->members, &o->member_count, ROLE_KEYS_MAX, "--member", e);
	case OPT_PATHS:
		return add_word(o->paths, &o->path_count, ROLE_PATHS_MAX, "--paths", e);
	case OPT_BEFORE:
		o->before = optarg;
		return 0;
	case OPT_THRESHOLD:
		if (num_parse(optarg, 1, ROLE_KEYS_MAX, &o->threshold, e) < 0)
			return err_set(e, ERR_USAGE,
				"--threshold takes a number from 1 to %d, not '%.32s'",
				ROLE_KEYS_MAX, optarg);
		return 0;
	default:
		return signing_option(&o->signing, option, optarg, e);
	}
}

/* argv[0] is the verb; named: whether a role's name must follow. */
static int
parse_options(int argc, char **argv, const struct option *known, bool named, struct role_options *o,
	struct err *e)
{
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (take_option(o, option, e) < 0)
			return -1;
	}
	if (argc - optind != named)
		return err_set(e, ERR_USAGE,
			named ? "give the name of one role" : "there is an argument too many");
	o->name = named ? argv[optind] : NULL;
	return named ? signing_check(&o->signing, "a key of the targets role", e) : 0;
}

/* The scopes that the usual roles have. */
static void
default_paths(struct role_options *o)
{
	static const struct {
		const char *role, *path;
	} usual[] = {{"releases", "bundles/*"}, {"rollouts", "rollouts/*"}, {"gates", "gates/*"},
		{"certificates", "certificates/*"}, {"authorities", "authorities/*"}};

	for (size_t i = 0; o->path_count == 0 && i < ARRAY_LEN(usual); i++) {
		if (strcmp(usual[i].role, o->name) == 0)
			o->paths[o->path_count++] = usual[i].path;
	}
}

static int
check_name(const struct role_options *o, struct err *e)
{
	static const char *const taken[] = {"root", "targets", "snapshot", "timestamp"};

	if (!name_is_plain(o->name) || strlen(o->name) > ROLE_NAME_MAX)
		return err_set(e, ERR_USAGE, "'%.80s' cannot be a role's name", o->name);
	for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
		if (strcmp(taken[i], o->name) == 0)
			return err_set(e, ERR_USAGE,
				"%s is a role of root.json (`sluice root rotate`); nobody "
				"delegates to it",
				o->name);
	}
	return 0;
}

static int
check_add(struct role_options *o, struct err *e)
{
	if (check_name(o, e) < 0)
		return -1;
	default_paths(o);
	if (o->path_count == 0)
		return err_set(
			e, ERR_USAGE, "--paths is missing: what does %s speak for?", o->name);
	if (o->threshold == 0 || o->member_count < o->threshold)
		return err_set(e, ERR_USAGE,
			"%s has %zu members; --threshold must be from 1 to that", o->name,
			o->member_count);
	return 0;
}

/* The "delegations" of targets.json, made where there are none yet. */
static int
delegations_of(struct metadata *targets, json_t **keys, json_t **roles, struct err *e)
{
	if (!json_object_get(targets->body, "delegations") &&
		json_object_set_new(targets->body, "delegations",
			json_pack("{s:{}, s:[]}", "keys", "roles")) < 0)
		return err_sys(e, ENOMEM, "targets metadata");
	*keys = json_object_get(json_object_get(targets->body, "delegations"), "keys");
	*roles = json_object_get(json_object_get(targets->body, "delegations"), "roles");
	return 0;
}

/* What waits in incoming/ may come from another tool, and its fields are not checked yet. */
static const char *
item_text(const json_t *value)
{
	return json_is_string(value) ? json_string_value(value) : "";
}

static const char *
name_of(const json_t *role)
{
	return item_text(json_object_get(role, "name"));
}

/* Where the role stands, or the end. */
static size_t
index_of(const json_t *roles, const char *name)
{
	size_t i = 0;

	while (i < json_array_size(roles) && strcmp(name_of(json_array_get(roles, i)), name) != 0)
		i++;
	return i;
}

static int
add_members(const struct role_options *o, json_t *keys, json_t *keyids, struct err *e)
{
	for (size_t i = 0; i < o->member_count; i++) {
		AUTO_JSON json_t *key = NULL;
		char id[DIGEST_HEX_SIZE];

		if (pubkey_file_load(o->members[i], &key, e) < 0 || pubkey_id(key, id, e) < 0)
			return -1;
		if (json_has_text(keyids, id))
			return err_set(e, ERR_USAGE, "%s is given twice: a key counts once",
				o->members[i]);
		if (json_object_set(keys, id, key) < 0 ||
			json_array_append_new(keyids, json_string(id)) < 0)
			return err_sys(e, ENOMEM, "targets metadata");
	}
	return 0;
}

static int
make_role(const struct role_options *o, json_t *keys, json_t **out, struct err *e)
{
	AUTO_JSON json_t *keyids = json_array(), *paths = json_array();
	json_t *role;

	for (size_t i = 0; i < o->path_count; i++) {
		if (json_array_append_new(paths, json_string(o->paths[i])) < 0)
			return err_set(e, ERR_USAGE, "'%.64s' cannot be a pattern", o->paths[i]);
	}
	if (add_members(o, keys, keyids, e) < 0)
		return -1;
	role = json_pack("{s:s, s:O, s:I, s:O, s:b}", "name", o->name, "keyids", keyids,
		"threshold", (json_int_t)o->threshold, "paths", paths, "terminating", 1);
	if (!role)
		return err_sys(e, ENOMEM, "targets metadata");
	*out = role;
	return 0;
}

/* A role that stands behind one whose patterns cover all of its own would never be asked. */
static int
check_order(const json_t *roles, size_t at, const struct role_options *o, struct err *e)
{
	for (size_t i = 0; i < at; i++) {
		const json_t *earlier = json_array_get(roles, i), *pattern;
		size_t p;

		json_array_foreach (json_object_get(earlier, "paths"), p, pattern) {
			for (size_t k = 0; k < o->path_count; k++) {
				if (path_matches(item_text(pattern), o->paths[k]))
					return err_set(e, ERR_USAGE,
						"%s stands before %s and has the last word on %s; "
						"add --before %s",
						name_of(earlier), o->name, o->paths[k],
						name_of(earlier));
			}
		}
	}
	return 0;
}

/* Puts the role in its place. One that is there already may only be what it was: then another
 * targets key signs the same. */
static int
insert_role(json_t *roles, json_t *role, const struct role_options *o, struct err *e)
{
	size_t at = o->before ? index_of(roles, o->before) : json_array_size(roles);
	size_t there = index_of(roles, o->name);

	if (there < json_array_size(roles)) {
		if (json_equal(json_array_get(roles, there), role))
			return 0;
		return err_set(e, ERR_REFUSED,
			"there is a role %s already, and it is another; `sluice role change` "
			"changes it",
			o->name);
	}
	if (o->before && at == json_array_size(roles))
		return err_set(e, ERR_USAGE, "--before: there is no role %s", o->before);
	if (check_order(roles, at, o, e) < 0)
		return -1;
	if (json_array_insert(roles, at, role) < 0)
		return err_sys(e, ENOMEM, "targets metadata");
	return 0;
}

static int
sign_and_publish(
	const struct workspace *w, struct metadata *targets, struct role_options *o, struct err *e)
{
	AUTO_OPENED_KEY struct opened_key key = {0};

	if (signing_open(&o->signing, &key, e) < 0 || metadata_sign(w, targets, &key.signer, e) < 0)
		return -1;
	return publish_here(w, targets->role, &o->signing, e);
}

static const struct option change_options[] = {
	{"member", required_argument, NULL, OPT_MEMBER},
	{"threshold", required_argument, NULL, OPT_THRESHOLD},
	{"paths", required_argument, NULL, OPT_PATHS},
	{"before", required_argument, NULL, OPT_BEFORE},
	SIGNING_KEY,
	SIGNING_DRAFT,
	SIGNING_NO_PUBLISH,
	SIGNING_PASS_FILE,
	SIGNING_PASS_FD,
	{0},
};

static int
role_add(int argc, char **argv, struct err *e)
{
	struct role_options o = {.signing = SIGNING_INIT};
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_METADATA struct metadata targets = {0};
	AUTO_JSON json_t *role = NULL;
	json_t *keys, *roles;

	if (parse_options(argc, argv, change_options, true, &o, e) < 0 || check_add(&o, e) < 0 ||
		workspace_open(o.signing.workspace, &w, e) < 0 ||
		metadata_load(&w, "targets", &targets, e) < 0 ||
		delegations_of(&targets, &keys, &roles, e) < 0 ||
		make_role(&o, keys, &role, e) < 0 || insert_role(roles, role, &o, e) < 0)
		return -1;
	return sign_and_publish(&w, &targets, &o, e);
}

/* Gives a role's entry the members, the threshold and the paths that were named. */
static int
change_role(const struct role_options *o, json_t *keys, json_t *role, struct err *e)
{
	AUTO_JSON json_t *keyids = json_array(), *paths = json_array();
	uint64_t threshold = o->threshold;

	if (!role)
		return err_set(
			e, ERR_USAGE, "there is no role %s; see `sluice role list`", o->name);
	if (add_members(o, keys, keyids, e) < 0)
		return -1;
	for (size_t i = 0; i < o->path_count; i++) {
		if (json_array_append_new(paths, json_string(o->paths[i])) < 0)
			return err_set(e, ERR_USAGE, "'%.64s' cannot be a pattern", o->paths[i]);
	}
	if ((o->member_count && json_object_set(role, "keyids", keyids) < 0) ||
		(o->path_count && json_object_set(role, "paths", paths) < 0) ||
		(threshold && json_object_set_new(
				      role, "threshold", json_integer((json_int_t)threshold)) < 0))
		return err_sys(e, ENOMEM, "targets metadata");
	if (json_get_uint(role, "threshold", 1, INT64_MAX, &threshold, e) < 0)
		return -1;
	if (json_array_size(json_object_get(role, "keyids")) < threshold)
		return err_set(e, ERR_USAGE,
			"%s would have %zu members, but a threshold of %" PRIu64, o->name,
			json_array_size(json_object_get(role, "keyids")), threshold);
	return 0;
}

static int
role_change(int argc, char **argv, struct err *e)
{
	struct role_options o = {.signing = SIGNING_INIT};
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_METADATA struct metadata targets = {0};
	json_t *keys, *roles;

	if (parse_options(argc, argv, change_options, true, &o, e) < 0 || check_name(&o, e) < 0)
		return -1;
	if (o.before || !(o.member_count || o.threshold || o.path_count))
		return err_set(e, ERR_USAGE,
			"say what changes: --member, --threshold or --paths (a place in the order "
			"is "
			"given by removing and adding)");
	if (workspace_open(o.signing.workspace, &w, e) < 0 ||
		metadata_load(&w, "targets", &targets, e) < 0 ||
		delegations_of(&targets, &keys, &roles, e) < 0 ||
		change_role(&o, keys, json_array_get(roles, index_of(roles, o.name)), e) < 0)
		return -1;
	if (o.path_count && check_order(roles, index_of(roles, o.name), &o, e) < 0)
		return -1;
	roster_drop_unused(keys, roles);
	return sign_and_publish(&w, &targets, &o, e);
}

static int
role_remove(int argc, char **argv, struct err *e)
{
	static const struct option known[] = {SIGNING_KEY, SIGNING_DRAFT, SIGNING_NO_PUBLISH,
		SIGNING_PASS_FILE, SIGNING_PASS_FD, {0}};
	struct role_options o = {.signing = SIGNING_INIT};
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_METADATA struct metadata targets = {0};
	json_t *keys, *roles;
	size_t at;

	if (parse_options(argc, argv, known, true, &o, e) < 0 ||
		workspace_open(o.signing.workspace, &w, e) < 0 ||
		metadata_load(&w, "targets", &targets, e) < 0 ||
		delegations_of(&targets, &keys, &roles, e) < 0)
		return -1;
	at = index_of(roles, o.name);
	if (at == json_array_size(roles))
		return err_set(e, ERR_USAGE, "there is no role %s", o.name);
	(void)json_array_remove(roles, at);
	roster_drop_unused(keys, roles);
	return sign_and_publish(&w, &targets, &o, e);
}

static void
print_role(const char *name, const json_t *role, const struct keyring *names)
{
	AUTO_JSON json_t *ids = json_texts(json_object_get(role, "keyids"));
	const json_t *item;
	size_t i;

	(void)printf("%-20s %" JSON_INTEGER_FORMAT " of %zu  ", name,
		json_integer_value(json_object_get(role, "threshold")), json_array_size(ids));
	json_array_foreach (json_object_get(role, "paths"), i, item) {
		(void)printf(" %s", item_text(item));
	}
	(void)printf("\n");
	json_array_foreach (ids, i, item) {
		const char *known = keyring_name(names, item_text(item));

		(void)printf("%-20s   key %.16s  %s\n", "", item_text(item), known ? known : "");
	}
}

static int
role_list(int argc, char **argv, struct err *e)
{
	static const char *const top[] = {"root", "targets", "snapshot", "timestamp"};
	static const struct option known[] = {{0}};
	struct role_options o = {.signing = SIGNING_INIT};
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_METADATA struct metadata root = {0}, targets = {0};
	AUTO_KEYRING struct keyring names = {0};
	const json_t *role;
	json_t *keys, *roles;
	size_t i;

	if (parse_options(argc, argv, known, false, &o, e) < 0 ||
		workspace_open(o.signing.workspace, &w, e) < 0 ||
		ceremony_names(&w, &names, e) < 0 || metadata_load(&w, "root", &root, e) < 0 ||
		metadata_load(&w, "targets", &targets, e) < 0 ||
		delegations_of(&targets, &keys, &roles, e) < 0)
		return -1;
	for (i = 0; i < ARRAY_LEN(top); i++)
		print_role(top[i], json_object_get(json_object_get(root.body, "roles"), top[i]),
			&names);
	json_array_foreach (roles, i, role) {
		print_role(name_of(role), role, &names);
	}
	return 0;
}

static const struct verb verbs[] = {{"add", NULL, role_add}, {"change", NULL, role_change},
	{"remove", NULL, role_remove}, {"list", NULL, role_list}, {0}};

const struct command cmd_role = {
	.name = "role",
	.summary = "who speaks for what",
	.help = help,
	.verbs = verbs,
};
