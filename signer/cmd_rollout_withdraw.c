#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/json.h"
#include "signer/command.h"
#include "signer/metadata.h"
#include "signer/publish.h"
#include "signer/scope.h"
#include "signer/signing.h"
#include "signer/ui.h"
#include "signer/workspace.h"

const char rollout_withdraw_help[] =
	"usage: sluice rollout withdraw PLAN {--key K | --draft} [--role ROLE] [--yes]\n"
	"           [--sign-with CMD] [--no-publish] [-w DIR]\n"
	"\n"
	"Takes a plan (stable for rollouts/stable.json) back. No box starts by it; one in\n"
	"the middle of its install ends that like at a stop, and keeps what it ran.\n"
	"Boxes that have the release keep it, and all go on reporting. Stops of the plan\n"
	"stay until `sluice resume` lifts them, and lifted ones stay lifted. Its gate\n"
	"stays signed, but opens nothing: `sluice rollout publish` makes the next version\n"
	"of the plan, also from the same file, and a person opens the first wave anew.\n"
	"\n"
	"  --key K            a key of the rollouts role that owns the plan\n"
	"  --sign-with CMD    K is a .pub and CMD signs (`sluice metadata sign --help`)\n"
	"  --draft            the keys are elsewhere: see `sluice metadata`\n"
	"  --role ROLE        a role other than the first that may speak for this plan\n"
	"  --yes              do not ask\n"
	"  --no-publish       leave it in incoming/ for the publisher\n"
	"  --passphrase-file F, --passphrase-fd N    where the key's passphrase is\n"
	"\n"
	"example: sluice rollout withdraw stable --key keys/rollouts.key\n";

static int
options_read(int argc, char **argv, struct signing *o, const char **name, struct err *e)
{
	static const struct option known[] = {SIGNING_LONG, SIGNING_DRAFT, {NULL, 0, NULL, 0}};

	if (signing_options(argc, argv, known, o, e) < 0)
		return -1;
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE,
			"one plan's name expected; see `sluice rollout withdraw --help`");
	*name = argv[optind];
	if (strcmp(*name, "all") == 0)
		return err_set(e, ERR_USAGE,
			"all is no plan; `sluice stop --all` is what holds every box");
	return signing_check(o, "a key of the rollouts role", e);
}

static int
plan_load(const struct workspace *w, const char *name, const char *role, struct scope_plan *p,
	struct err *e)
{
	const json_t *in_force;

	if (scope_plan_load(w, name, role, p, e) < 0)
		return -1;
	if (!p->entry)
		return err_set(e, ERR_USAGE,
			"there is no plan %s to withdraw; `sluice status` shows those that are "
			"published",
			name);
	/* And not only waiting for more signatures. */
	in_force = metadata_find_in_force(&p->role, p->plan.path);
	return p->withdrawn && plan_is_withdrawn(json_object_get(in_force, "custom"))
		       ? err_set(e, ERR_REFUSED, "%s is withdrawn already", p->plan.path)
		       : 0;
}

/* What stands in its gate, as far as that can be read. */
static void
gate_print(const struct workspace *w, const char *name, const struct scope_plan *p)
{
	AUTO_SCOPE_GATE struct scope_gate g = {0};
	const char *why;

	if (scope_gate_load(w, name, NULL, &g, NULL) < 0 || !g.listed)
		return;
	if (gate_binds(&g.gate, &p->plan, &p->sha256, &why) && g.gate.open_count > 0) {
		(void)printf("  open now     ");
		for (size_t i = 0; i < g.gate.open_count; i++)
			(void)printf("%s%s", i ? ", " : "", g.gate.open[i]);
		(void)printf("; without the plan that opens nothing\n");
	}
	for (size_t i = 0; i < g.gate.stop_count; i++) {
		const struct stop *s = &g.gate.stops[i];

		if (!stop_is_lifted(s->id, scope_resumes(p->entry)))
			(void)printf("  stopped      %s\n"
				     "               by %s, which stays until `sluice resume`\n",
				s->reason, s->id);
	}
}

static int
withdrawal_agree(const struct workspace *w, const struct signing *o, const char *name,
	const struct scope_plan *p, struct err *e)
{
	(void)printf("%s: version %llu, %s, is withdrawn\n"
		     "  installing   boxes that are at it end that like at a stop, and stay on\n"
		     "               what they ran, or go back to it; nothing is held against\n"
		     "               the release, and no box stays stopped by this\n"
		     "  installed    boxes that have it keep it\n"
		     "  all          go on polling and reporting\n",
		p->plan.path, (unsigned long long)p->plan.version, p->plan.rollout);
	gate_print(w, name, p);
	return o->yes ? 0 : ui_confirm("Sign and publish that?", e);
}

/* The entry stays, and with it what it lifts: without it, stops that were lifted would hold boxes
 * again that find them in the gate, and nobody could lift them. */
static int
withdrawal_put(struct scope_plan *p, struct err *e)
{
	AUTO_JSON json_t *custom = json_object();
	const json_t *before = json_object_get(p->entry, "custom");

	if (p->withdrawn)
		return 0;
	if (!custom || (before && json_object_update(custom, (json_t *)(uintptr_t)before) < 0) ||
		json_object_set_new(custom, "withdrawn", json_true()) < 0)
		return err_sys(e, ENOMEM, "%s", p->plan.path);
	return scope_custom_put(&p->role, p->plan.path, custom, e);
}

int
rollout_withdraw(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_SCOPE_PLAN struct scope_plan plan = {0};
	AUTO_OPENED_KEY struct opened_key key = {0};
	struct signing o = SIGNING_INIT;
	const char *name = NULL;

	if (options_read(argc, argv, &o, &name, e) < 0 || workspace_open(o.workspace, &w, e) < 0 ||
		plan_load(&w, name, o.role, &plan, e) < 0 ||
		withdrawal_agree(&w, &o, name, &plan, e) < 0 || signing_open(&o, &key, e) < 0 ||
		metadata_check_signer(&plan.role, &key.signer, e) < 0 ||
		withdrawal_put(&plan, e) < 0 || metadata_sign(&w, &plan.role, &key.signer, e) < 0)
		return -1;
	return publish_here(&w, plan.role.role, &o, e);
}
