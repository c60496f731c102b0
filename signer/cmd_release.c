#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/format/listing.h"
#include "common/limits.h"
#include "signer/bundle_file.h"
#include "signer/command.h"
#include "signer/delta_release.h"
#include "signer/metadata.h"
#include "signer/publish.h"
#include "signer/signing.h"

static const char help[] =
	"usage: sluice release FILE {--key K | --draft} [--delta-from OLD ...]\n"
	"           [--role releases] [-w DIR] [--sign-with CMD] [--no-publish]\n"
	"           [--passphrase-file F | --passphrase-fd N]\n"
	"\n"
	"Lists a bundle in the role's metadata, as bundles/NAME-VERSION.ota: from then\n"
	"on it may run on boxes, once a rollout names it and a gate lets it. Every byte\n"
	"of the file is checked against its manifest first. A bundle of the same name\n"
	"and version is replaced, and the gates of its rollouts are shut until somebody\n"
	"opens them for the new one.\n"
	"\n"
	"With --delta-from a delta is made and listed beside it for boxes that have OLD,\n"
	"as bundles/NAME-VERSION.from-OLDVERSION.delta: these fetch only what differs.\n"
	"A bundle that is replaced takes its deltas along.\n"
	"\n"
	"  --key K            a key of the role\n"
	"  --delta-from OLD   a bundle of the same name, as it was released; repeatable\n"
	"  --sign-with CMD    K is a .pub and CMD signs (`sluice metadata sign --help`)\n"
	"  --draft            the keys are elsewhere: see `sluice metadata`\n"
	"  --role ROLE        where several roles release bundles (releases)\n"
	"  --no-publish       leave it in incoming/ although the online keys are here\n"
	"\n"
	"example: sluice release new.ota --delta-from old.ota --key keys/releases.key\n";

static int
list_bundle(const struct bundle_file *b, json_t **custom, struct err *e)
{
	struct listing l = {
		.head_length = b->layout.head_size, .rollback_index = b->manifest->rollback_index};

	if (bundle_head(b->fd, b->path, &b->layout, &l.head_sha256, e) < 0 ||
		listing_identity(b->document.body, &l.manifest_length, &l.manifest_sha256, e) < 0)
		return -1;
	(void)snprintf(l.name, sizeof(l.name), "%s", b->manifest->name);
	(void)snprintf(l.version, sizeof(l.version), "%s", b->manifest->version);
	return listing_build(&l, custom, e);
}

struct release_options {
	struct signing signing;
	const char *file, *old[RELEASE_DELTAS_MAX];
	size_t old_count;
};

static int
take_option(struct release_options *o, int option, struct err *e)
{
	if (option != 'd')
		return signing_option(&o->signing, option, optarg, e);
	if (o->old_count == RELEASE_DELTAS_MAX)
		return err_set(
			e, ERR_USAGE, "--delta-from may be given %d times", RELEASE_DELTAS_MAX);
	o->old[o->old_count++] = optarg;
	return 0;
}

static int
parse_options(int argc, char **argv, struct release_options *o, struct err *e)
{
	static const struct option known[] = {SIGNING_KEY, SIGNING_ROLE, SIGNING_DRAFT,
		SIGNING_NO_PUBLISH, SIGNING_PASS_FILE, SIGNING_PASS_FD,
		{"delta-from", required_argument, NULL, 'd'}, {0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (take_option(o, option, e) < 0)
			return -1;
	}
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE, "give one bundle file");
	if (signing_check(&o->signing, "a key of the role that releases", e) < 0)
		return -1;
	if (!o->signing.role)
		o->signing.role = "releases";
	o->file = argv[optind];
	return 0;
}

/* Into the role's list, its content into incoming/. */
static int
put_bundle(
	const struct workspace *w, const struct bundle_file *b, struct metadata *m, struct err *e)
{
	AUTO_JSON json_t *custom = NULL;
	struct metadata_target target;
	char path[TUF_PATH_MAX];

	(void)snprintf(
		path, sizeof(path), "bundles/%s-%s.ota", b->manifest->name, b->manifest->version);
	if (list_bundle(b, &custom, e) < 0 ||
		metadata_stage_file(w, path, b->fd, b->path, &target, e) < 0)
		return -1;
	if (target.length != b->layout.total_size)
		return err_set(e, ERR_REFUSED, "%s changed while it was read", b->path);
	target.custom = custom;
	if (delta_releases_drop(m, b, &target, e) < 0 || metadata_put(m, &target, e) < 0)
		return -1;
	(void)printf("%s: rollback index %" PRIu64 ", %" PRIu64 " bytes, head %" PRIu64 "\n", path,
		b->manifest->rollback_index, target.length, b->layout.head_size);
	return 0;
}

/* The site vouches for a bundle by its listing; a box that gets the file on a stick has only the
 * signatures inside. */
static int
note_signatures(const struct bundle_file *b, const struct metadata *m, struct err *e)
{
	AUTO_JSON json_t *good = NULL;
	struct role_keys keys;

	if (metadata_keys(m, &keys, e) < 0 ||
		envelope_good_signers(b->document.root, &keys, &good, e) < 0)
		return -1;
	if (json_array_size(good) < keys.threshold)
		(void)fprintf(stderr,
			"note: %s itself carries %zu of %" PRIu64
			" signatures of the role %s: boxes install it from the site only, and not "
			"from a stick; see `sluice sign`\n",
			b->path, json_array_size(good), keys.threshold, m->role);
	return 0;
}

/* Making deltas takes its time: what others have signed meanwhile is loaded again. */
static int
make_deltas(const struct workspace *w, const char *role, struct delta_releases *d,
	struct metadata *m, struct err *e)
{
	if (d->count == 0)
		return 0;
	if (delta_releases_make(d, w, e) < 0)
		return -1;
	metadata_free(m);
	return metadata_load(w, role, m, e);
}

static int
run(int argc, char **argv, struct err *e)
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	AUTO_DELTA_RELEASES struct delta_releases deltas = {0};
	AUTO_OPENED_KEY struct opened_key key = {0};
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_METADATA struct metadata m = {0};
	struct release_options o = {.signing = SIGNING_INIT};

	if (parse_options(argc, argv, &o, e) < 0 ||
		workspace_open(o.signing.workspace, &w, e) < 0 ||
		metadata_load(&w, o.signing.role, &m, e) < 0 ||
		bundle_file_open(o.file, &b, e) < 0 || bundle_file_check_members(&b, e) < 0 ||
		delta_releases_open(&deltas, &b, o.old, o.old_count, e) < 0 ||
		bundle_file_check_content(&b, e) < 0 || note_signatures(&b, &m, e) < 0 ||
		signing_open(&o.signing, &key, e) < 0 ||
		metadata_check_signer(&m, &key.signer, e) < 0 ||
		make_deltas(&w, o.signing.role, &deltas, &m, e) < 0 ||
		put_bundle(&w, &b, &m, e) < 0 || delta_releases_list(&deltas, &w, &m, e) < 0 ||
		metadata_sign(&w, &m, &key.signer, e) < 0)
		return -1;
	return publish_here(&w, m.role, &o.signing, e);
}

const struct command cmd_release = {
	.name = "release",
	.summary = "let a bundle run on boxes",
	.help = help,
	.run = run,
};
