#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"
#include "common/format/listing.h"
#include "signer/command.h"
#include "signer/metadata.h"
#include "signer/publish.h"
#include "signer/rollout.h"
#include "signer/scope.h"
#include "signer/signing.h"
#include "signer/workspace.h"

enum { SHOWN_MAX = 160 };

static const char help[] =
	"usage: sluice rollout check FILE\n"
	"       sluice rollout publish FILE {--key K | --draft} [--role ROLE] [--yes]\n"
	"           [--sign-with CMD] [--no-publish] [-w DIR]\n"
	"\n"
	"check reads a plan (YAML) and prints what boxes would read. Complaints name the\n"
	"line and column. publish binds the plan to its released bundle by length and\n"
	"SHA-256, shows what changes, signs it and publishes it. Its gate is shut then:\n"
	"open the first wave with `sluice gate open`.\n"
	"\n"
	"  --key K            a key of the rollouts role\n"
	"  --sign-with CMD    K is a .pub and CMD signs (`sluice metadata sign --help`)\n"
	"  --draft            the keys are elsewhere: see `sluice metadata`\n"
	"  --role ROLE        a role other than the first that may speak for this plan\n"
	"  --yes              do not ask\n"
	"  --no-publish       leave it in incoming/ for the publisher\n"
	"  --passphrase-file F, --passphrase-fd N    where the key's passphrase is\n"
	"\n"
	"example: sluice rollout check manifests/rollouts/stable.yaml\n"
	"         sluice rollout publish manifests/rollouts/stable.yaml \\\n"
	"             --key keys/rollouts.key\n";

static int
options_read(int argc, char **argv, struct signing *o, const char **file, struct err *e)
{
	static const struct option known[] = {SIGNING_LONG, SIGNING_DRAFT, {NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (signing_option(o, option, optarg, e) < 0)
			return -1;
	}
	if (argc - optind != 1)
		return err_set(
			e, ERR_USAGE, "one plan's file expected; see `sluice rollout --help`");
	*file = argv[optind];
	return 0;
}

/* A bundle that has not been released yet: for looking at a plan only. */
static int
rollout_check(int argc, char **argv, struct err *e)
{
	static const struct rollout_bundle nothing = {.length = 1, .head_length = 1};
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_BUF struct buf bytes = BUF_INIT(PLAN_BYTES_MAX), text = BUF_INIT(8 * PLAN_BYTES_MAX);
	struct signing o = SIGNING_INIT;
	const char *file;

	if (options_read(argc, argv, &o, &file, e) < 0 || rollout_load(file, &r, e) < 0 ||
		rollout_bind(&r, 1, &nothing, &bytes, e) < 0 || json_pretty(r.doc, &text, e) < 0)
		return -1;
	(void)fputs(buf_str(&text), stdout);
	(void)fprintf(stderr,
		"%s is good. Publishing adds its version and the bundle's length and SHA-256.\n",
		file);
	return 0;
}

/* What release engineers signed of a bundle that a plan names. */
static int
bundle_find(const struct workspace *w, const char *path, struct rollout_bundle *out,
	struct listing *listing, struct err *e)
{
	AUTO_METADATA struct metadata releases = {0};
	const json_t *entry;

	if (scope_role(w, path, NULL, &releases, e) < 0)
		return -1;
	entry = metadata_find(&releases, path);
	if (!entry)
		return err_set(e, ERR_REFUSED,
			"%s is not released; do that first: sluice release FILE --key K", path);
	if (scope_entry(entry, &out->length, &out->sha256, e) < 0 ||
		listing_parse(json_object_get(entry, "custom"), listing, e) < 0)
		return err_context(e, "%s", path);
	out->head_length = listing->head_length;
	out->head_sha256 = listing->head_sha256;
	return 0;
}

static int
recall_find(const struct workspace *w, const struct rollout *r, const struct listing *own,
	struct rollout_bundle *out, struct err *e)
{
	struct rollout_bundle other;
	struct listing listing;

	if (!*r->recall_path)
		return 0;
	if (bundle_find(w, r->recall_path, &other, &listing, e) < 0)
		return err_context(e, "recall");
	if (digest_equal(&listing.manifest_sha256, &own->manifest_sha256))
		return err_set(e, ERR_REFUSED,
			"recall: %s and %s are one release, and a box cannot go from it to itself",
			r->recall_path, r->bundle_path);
	out->recalled = listing.manifest_sha256;
	return 0;
}

/* All that the plan is bound to, and whether it can be kept. */
static int
bundles_find(const struct workspace *w, const struct rollout *r, struct rollout_bundle *out,
	struct err *e)
{
	const json_t *budget = json_object_get(r->doc, "budget_bytes");
	struct rollout_bundle found = {0};
	struct listing listing;

	if (bundle_find(w, r->bundle_path, &found, &listing, e) < 0 ||
		recall_find(w, r, &listing, &found, e) < 0)
		return -1;
	if (budget && (uint64_t)json_integer_value(budget) < found.head_length)
		return err_set(e, ERR_REFUSED,
			"the budget of %lld bytes is less than the head of %s (%llu), which every "
			"box has to fetch",
			(long long)json_integer_value(budget), r->bundle_path,
			(unsigned long long)found.head_length);
	*out = found;
	return 0;
}

/* A plan that says what the listed one says keeps its version, so that its gate stays open. */
static int
plan_bind(const struct rollout *r, const struct rollout_bundle *bundle,
	const struct scope_plan *before, struct buf *out, bool *same, struct err *e)
{
	struct digest sha256;

	*same = false;
	if (before->listed) {
		if (rollout_bind(r, before->plan.version, bundle, out, e) < 0)
			return -1;
		sha256 = digest_of(buf_span(out));
		*same = digest_equal(&sha256, &before->sha256);
		if (*same)
			return 0;
		buf_clear(out);
	}
	return rollout_bind(r, before->plan.version + 1, bundle, out, e);
}

static void
value_print(char sign, const char *key, const json_t *value)
{
	AUTO_BUF struct buf text = BUF_INIT(PLAN_BYTES_MAX);

	if (!value || json_canonical(value, &text, NULL) < 0)
		return;
	(void)printf("  %c %s: %.*s%s\n", sign, key, SHOWN_MAX, buf_str(&text),
		text.len > SHOWN_MAX ? "..." : "");
}

/* Word by word what the signature changes. */
static int
difference_print(
	const struct scope_plan *before, struct span bytes, const char *path, struct err *e)
{
	AUTO_JSON json_t *after = NULL;
	const char *key;
	json_t *value;

	if (json_parse(bytes, path, &after, e) < 0)
		return -1;
	(void)printf("%s: %s\n", path, before->listed ? "changes" : "new");
	json_object_foreach (after, key, value) {
		const json_t *old = json_object_get(before->plan.doc, key);

		if (old && json_equal((json_t *)(uintptr_t)old, value))
			continue;
		value_print('-', key, old);
		value_print('+', key, value);
	}
	return 0;
}

static int
plan_put(const struct workspace *w, struct scope_plan *plan, const char *path, struct span bytes,
	struct err *e)
{
	AUTO_JSON json_t *custom =
		json_deep_copy(json_object_get((json_t *)(uintptr_t)plan->entry, "custom"));
	struct metadata_target target;

	if (metadata_stage(w, path, bytes, &target, e) < 0)
		return -1;
	/* Resumes stay: a box that was away still has to learn that its stop is lifted. */
	target.custom = custom;
	if (metadata_put(&plan->role, &target, e) < 0)
		return -1;
	return scope_all_put(w, &plan->role, e);
}

static int
plan_agree(const struct signing *o, const struct scope_plan *before, const struct rollout *r,
	struct span bytes, bool same, struct err *e)
{
	if (same) {
		(void)printf("%s says what it said: version %llu is signed again\n", r->path,
			(unsigned long long)before->plan.version);
		return 0;
	}
	if (difference_print(before, bytes, r->path, e) < 0)
		return -1;
	return o->yes ? 0 : ui_confirm("Sign and publish this plan?", e);
}

static int
rollout_publish(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_SCOPE_PLAN struct scope_plan plan = {0};
	AUTO_OPENED_KEY struct opened_key key = {0};
	AUTO_BUF struct buf bytes = BUF_INIT(PLAN_BYTES_MAX);
	struct rollout_bundle bundle;
	struct signing o = SIGNING_INIT;
	const char *file;
	bool same = false;

	if (options_read(argc, argv, &o, &file, e) < 0)
		return -1;
	if (signing_check(&o, "a key of the rollouts role", e) < 0 ||
		rollout_load(file, &r, e) < 0 || workspace_open(o.workspace, &w, e) < 0 ||
		bundles_find(&w, &r, &bundle, e) < 0 ||
		scope_plan_load(&w, r.name, o.role, &plan, e) < 0 ||
		plan_bind(&r, &bundle, &plan, &bytes, &same, e) < 0 ||
		plan_agree(&o, &plan, &r, buf_span(&bytes), same, e) < 0 ||
		signing_open(&o, &key, e) < 0 ||
		metadata_check_signer(&plan.role, &key.signer, e) < 0 ||
		(!same && plan_put(&w, &plan, r.path, buf_span(&bytes), e) < 0) ||
		metadata_sign(&w, &plan.role, &key.signer, e) < 0)
		return -1;
	return publish_here(&w, plan.role.role, &o, e);
}

static int
run(int argc, char **argv, struct err *e)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "check") == 0)
		return rollout_check(argc - 1, argv + 1, e);
	if (strcmp(verb, "publish") == 0)
		return rollout_publish(argc - 1, argv + 1, e);
	return err_set(
		e, ERR_USAGE, "`rollout check` or `rollout publish`; see `sluice rollout --help`");
}

const struct command cmd_rollout = {
	.name = "rollout",
	.summary = "check a rollout plan, sign and publish it",
	.help = help,
	.run = run,
};
