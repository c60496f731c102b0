#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "signer/binding.h"
#include "signer/command.h"
#include "signer/lint.h"
#include "signer/metadata.h"
#include "signer/plan_diff.h"
#include "signer/publish.h"
#include "signer/rollout.h"
#include "signer/scope.h"
#include "signer/signing.h"
#include "signer/workspace.h"

static const char help[] =
	"usage: sluice rollout check FILE\n"
	"       sluice rollout diff FILE [--role ROLE] [-w DIR]\n"
	"       sluice rollout publish FILE {--key K | --draft} [--role ROLE] [--yes]\n"
	"           [--sign-with CMD] [--no-publish] [-w DIR]\n"
	"\n"
	"check reads a plan (YAML) and prints what boxes would read. Complaints and\n"
	"warnings name the line and column. diff says what publishing would change, in\n"
	"words and boxes. publish shows that, binds the plan to its released bundle by\n"
	"length and SHA-256, signs it and publishes it. Its gate is shut then: open the\n"
	"first wave with `sluice gate open`.\n"
	"\n"
	"  --key K            a key of the rollouts role\n"
	"  --sign-with CMD    K is a .pub and CMD signs (`sluice metadata sign --help`)\n"
	"  --draft            the keys are elsewhere: see `sluice metadata`\n"
	"  --role ROLE        a role other than the first that may speak for this plan\n"
	"  --yes              do not ask\n"
	"  --no-publish       leave it in incoming/ for the publisher\n"
	"  --passphrase-file F, --passphrase-fd N    where the key's passphrase is\n"
	"\n"
	"example: sluice rollout diff manifests/rollouts/stable.yaml\n";

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

static void
warning_print(void *arg, const char *text)
{
	const char *file = arg;
	size_t at = strlen(file);

	/* FILE:LINE:COLUMN: as compilers have it. */
	for (int colons = 0; text[at] && colons < 3; at++)
		colons += text[at] == ':';
	(void)fprintf(stderr, "%.*s warning:%s\n", (int)at, text, text + at);
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
	size_t warnings = 0;

	if (options_read(argc, argv, &o, &file, e) < 0 || rollout_load(file, &r, e) < 0)
		return -1;
	if (rollout_bind(&r, 1, &nothing, &bytes, e) < 0)
		return e->class == ERR_LIMIT ? err_set(e, ERR_LIMIT,
						       "%s:1:1: this would become a plan of over "
						       "%d KiB; choose boxes "
						       "by tags instead of by name",
						       file, PLAN_BYTES_MAX / 1024)
					     : -1;
	if (json_pretty(r.doc, &text, e) < 0 || lint_plan(file, clock_wall_s(), warning_print,
							(void *)(uintptr_t)file, &warnings, e) < 0)
		return -1;
	(void)fputs(buf_str(&text), stdout);
	(void)fprintf(stderr,
		"%s is good%s. Publishing adds its version and the bundle's length and SHA-256.\n",
		file, warnings ? ", but see above" : "");
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

/* What publishing changes; nothing does where the file says what is published. */
static int
difference_print(const struct workspace *w, const struct rollout *r, const struct binding *binding,
	const struct scope_plan *before, struct err *e)
{
	AUTO_PLAN struct plan after = {0};
	const struct plan_diff d = {
		.w = w, .name = r->name, .before = before, .after = &after, .binding = binding};

	if (rollout_plan(r, binding ? &binding->bundle : NULL, &after, e) < 0)
		return -1;
	return plan_diff_print(&d, e);
}

static int
rollout_diff(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_SCOPE_PLAN struct scope_plan plan = {0};
	AUTO_BUF struct buf bytes = BUF_INIT(PLAN_BYTES_MAX);
	struct signing o = SIGNING_INIT;
	struct err why = ERR_INIT;
	struct binding binding;
	const char *file;
	bool bound, same = false;

	if (options_read(argc, argv, &o, &file, e) < 0 || rollout_load(file, &r, e) < 0 ||
		workspace_open(o.workspace, &w, e) < 0 ||
		scope_plan_load(&w, r.name, o.role, &plan, e) < 0)
		return -1;
	bound = binding_find(&w, &r, &binding, &why) == 0;
	if (bound && binding_plan(&r, &binding, &plan, &bytes, &same, e) < 0)
		return -1;
	if (same) {
		(void)printf("%s says what is published: version %llu, and its gate, stay\n", file,
			(unsigned long long)plan.plan.version);
		return 0;
	}
	if (difference_print(&w, &r, bound ? &binding : NULL, &plan, e) < 0)
		return -1;
	if (!bound)
		(void)printf("It cannot be published yet: %s\n", why.text);
	return 0;
}

static int
plan_agree(const struct workspace *w, const struct signing *o, const struct scope_plan *before,
	const struct rollout *r, const struct binding *binding, bool same, struct err *e)
{
	if (same) {
		(void)printf("%s says what it said: version %llu is signed again\n", r->path,
			(unsigned long long)before->plan.version);
		return 0;
	}
	if (difference_print(w, r, binding, before, e) < 0)
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
	struct binding binding;
	struct signing o = SIGNING_INIT;
	const char *file;
	bool same = false;

	if (options_read(argc, argv, &o, &file, e) < 0)
		return -1;
	if (signing_check(&o, "a key of the rollouts role", e) < 0 ||
		rollout_load(file, &r, e) < 0 || workspace_open(o.workspace, &w, e) < 0 ||
		binding_find(&w, &r, &binding, e) < 0 ||
		scope_plan_load(&w, r.name, o.role, &plan, e) < 0 ||
		binding_plan(&r, &binding, &plan, &bytes, &same, e) < 0 ||
		plan_agree(&w, &o, &plan, &r, &binding, same, e) < 0 ||
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
	if (strcmp(verb, "diff") == 0)
		return rollout_diff(argc - 1, argv + 1, e);
	if (strcmp(verb, "publish") == 0)
		return rollout_publish(argc - 1, argv + 1, e);
	return err_set(e, ERR_USAGE, "say what: check, diff, publish; see `sluice rollout --help`");
}

const struct command cmd_rollout = {
	.name = "rollout",
	.summary = "check and publish a plan",
	.help = help,
	.run = run,
};
