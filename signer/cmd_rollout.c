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
#include "signer/ui.h"
#include "signer/workspace.h"

enum { OPT_JSON = 1 };

static const char help[] =
	"usage: sluice rollout check FILE [--json]\n"
	"       sluice rollout diff FILE [--role ROLE] [-w DIR]\n"
	"       sluice rollout publish FILE {--key K | --draft} [--role ROLE] [--yes]\n"
	"           [--sign-with CMD] [--no-publish] [-w DIR]\n"
	"       sluice rollout withdraw PLAN {--key K | --draft} ...\n"
	"\n"
	"check reads a plan (YAML) and prints what boxes would read. Complaints and\n"
	"warnings name the line and column; --json has them as \"findings\" (severity,\n"
	"line, column, text), for editors and CI. diff says what publishing would change,\n"
	"in words and boxes. publish shows that, binds the plan to its released bundle\n"
	"bit for bit, signs and publishes it. Its gate is shut then: open the first wave\n"
	"with `sluice gate open`. withdraw takes a plan back from all boxes.\n"
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

/* json: NULL for who knows no --json. */
static int
options_read(int argc, char **argv, struct signing *o, bool *json, const char **file, struct err *e)
{
	static const struct option known[] = {SIGNING_LONG, SIGNING_DRAFT,
		{"json", no_argument, NULL, OPT_JSON}, {NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (option == OPT_JSON && json)
			*json = true;
		else if (signing_option(o, option, optarg, e) < 0)
			return -1;
	}
	if (argc - optind != 1)
		return err_set(
			e, ERR_USAGE, "one plan's file expected; see `sluice rollout --help`");
	*file = argv[optind];
	return 0;
}

/* A plan under examination. */
struct check {
	const char *file;
	json_t *findings; /* for programs; NULL: warnings are printed as they come */
	size_t warnings;
	struct rollout_complaints complaints;
	struct rollout rollout;
};

/* Where the text of a finding, "FILE:LINE:COLUMN: TEXT", begins; both 0 where it has no place. */
static const char *
place_read(const char *file, const char *finding, unsigned *line, unsigned *column)
{
	size_t len = strlen(file);
	int used = 0;

	if (strncmp(finding, file, len) == 0 &&
		sscanf(finding + len, ":%u:%u: %n", line, column, &used) == 2 && used > 0)
		return finding + len + used;
	*line = *column = 0;
	return finding;
}

static int
finding_add(const struct check *c, const char *severity, const char *finding)
{
	unsigned line, column;
	const char *text = place_read(c->file, finding, &line, &column);
	json_t *row = json_pack("{s:s, s:s}", "severity", severity, "text", text);

	if (line > 0 && (json_object_set_new(row, "line", json_integer(line)) < 0 ||
				json_object_set_new(row, "column", json_integer(column)) < 0)) {
		json_decref(row);
		return -1;
	}
	return json_array_append_new(c->findings, row);
}

static void
warning_tell(void *arg, const char *finding)
{
	const struct check *c = arg;
	unsigned line, column;
	const char *text = place_read(c->file, finding, &line, &column);

	if (c->findings)
		(void)finding_add(c, "warning", finding);
	else
		(void)fprintf(stderr, "%s:%u:%u: warning: %s\n", c->file, line, column, text);
}

/* One complaint is the error itself; more stand before it. Always -1. */
static int
complaints_sum(const struct check *c, struct err *e)
{
	const struct rollout_complaints *all = &c->complaints;

	if (all->count < 2)
		return -1;
	for (size_t i = 0; i < all->count && !c->findings; i++)
		(void)fprintf(stderr, "%s\n", all->list[i].text);
	return err_set(e, e->class, "%s: %zu complaints%s", c->file, all->count,
		all->count == ROLLOUT_COMPLAINTS_MAX ? ", and there may be more" : "");
}

/* For looking at a plan only: its bundle need not be released yet. */
static int
plan_check(struct check *c, struct err *e)
{
	static const struct rollout_bundle nothing = {.length = 1, .head_length = 1};
	AUTO_BUF struct buf bytes = BUF_INIT(PLAN_BYTES_MAX);

	if (rollout_examine(c->file, &c->rollout, &c->complaints, e) < 0)
		return complaints_sum(c, e);
	if (rollout_bind(&c->rollout, 1, &nothing, &bytes, e) < 0)
		return e->class == ERR_LIMIT ? err_set(e, ERR_LIMIT,
						       "%s:1:1: this would become a plan of over "
						       "%d KiB; choose boxes "
						       "by tags instead of by name",
						       c->file, PLAN_BYTES_MAX / 1024)
					     : -1;
	return lint_plan(c->file, clock_wall_s(), warning_tell, c, &c->warnings, e);
}

/* {"file", "good", "findings": [{severity, line, column, text}], "plan"}: line and column only of
 * what has a place, the plan only of what makes one. */
static int
findings_print(const struct check *c, const char *fault, struct err *e)
{
	const struct rollout_complaints *all = &c->complaints;
	AUTO_JSON json_t *doc = NULL;
	size_t count = c->warnings + all->count;

	for (size_t i = 0; i < all->count; i++)
		(void)finding_add(c, "error", all->list[i].text);
	/* One that is not about what is in the file. */
	if (fault && all->count == 0) {
		(void)finding_add(c, "error", fault);
		count++;
	}
	if (json_array_size(c->findings) != count)
		return err_sys(e, ENOMEM, "%s", c->file);
	doc = json_pack(
		"{s:s, s:b, s:O}", "file", c->file, "good", !fault, "findings", c->findings);
	if (!doc || (!fault && json_object_set(doc, "plan", c->rollout.doc) < 0))
		return err_sys(e, ENOMEM, "%s", c->file);
	return ui_json_print(doc, e);
}

static int
plan_print(const struct check *c, struct err *e)
{
	if (ui_json_print(c->rollout.doc, e) < 0)
		return -1;
	(void)fprintf(stderr,
		"%s is good%s. Publishing adds its version and the bundle's length and SHA-256.\n",
		c->file, c->warnings ? ", but see above" : "");
	return 0;
}

static int
check_run(struct check *c, struct err *e)
{
	struct err why = ERR_INIT;

	if (!c->findings)
		return plan_check(c, e) < 0 ? -1 : plan_print(c, e);
	if (plan_check(c, &why) == 0)
		return findings_print(c, NULL, e);
	return findings_print(c, why.text, e) < 0 ? -1 : err_set(e, why.class, "%s", why.text);
}

static int
rollout_check(int argc, char **argv, struct err *e)
{
	AUTO_JSON json_t *findings = json_array();
	struct signing o = SIGNING_INIT;
	struct check c = {0};
	bool json = false;
	int rc;

	if (!findings)
		return err_sys(e, ENOMEM, "checking a plan");
	if (options_read(argc, argv, &o, &json, &c.file, e) < 0)
		return -1;
	c.findings = json ? findings : NULL;
	rc = check_run(&c, e);
	rollout_free(&c.rollout);
	return rc;
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
	(void)json_object_del(custom, "withdrawn");
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

	if (options_read(argc, argv, &o, NULL, &file, e) < 0 || rollout_load(file, &r, e) < 0 ||
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

	if (options_read(argc, argv, &o, NULL, &file, e) < 0)
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

static const struct verb verbs[] = {
	{"check", NULL, rollout_check},
	{"diff", NULL, rollout_diff},
	{"publish", NULL, rollout_publish},
	{"withdraw", rollout_withdraw_help, rollout_withdraw},
	{NULL, NULL, NULL},
};

const struct command cmd_rollout = {
	.name = "rollout",
	.summary = "check and publish a plan",
	.help = help,
	.verbs = verbs,
};
