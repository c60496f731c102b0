#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "signer/acknowledgement.h"
#include "signer/command.h"
#include "signer/halt.h"
#include "signer/leftover.h"
#include "signer/metadata.h"
#include "signer/publish.h"
#include "signer/scope.h"
#include "signer/signing.h"
#include "signer/workspace.h"

enum { TRIES = 20 };

static const char help[] =
	"usage: sluice stop {PLAN | --all} --reason TEXT --key K [--sign-with CMD]\n"
	"           [--role ROLE] [--yes] [--no-publish] [--wait TIME] [-w DIR]\n"
	"\n"
	"Shuts the gate on every box of a plan, or on every box there is, and publishes\n"
	"that at once. Boxes that have not started do not start; those downloading stop\n"
	"at the next chunk; those installed do not reboot into it; those not confirmed\n"
	"go back. Confirmed boxes stay. Boxes remember a stop until `sluice resume ID`.\n"
	"\n"
	"  --reason TEXT      what people will read on the box and in reports\n"
	"  --key K            a key of the gates role\n"
	"  --sign-with CMD    K is a .pub and CMD signs (`sluice metadata sign --help`)\n"
	"  --role ROLE        a role other than the first that may speak for this gate\n"
	"  --yes              do not ask\n"
	"  --no-publish       leave it in incoming/ for the publisher\n"
	"  --wait TIME        then count for so long which boxes acknowledge (0s; 60s on\n"
	"                     a terminal)\n"
	"  --passphrase-file F, --passphrase-fd N    where the key's passphrase is\n"
	"\n"
	"example: sluice stop stable --reason \"boxes in Lyon do not come back\" \\\n"
	"             --key keys/gates.key\n";

struct stop_options {
	struct signing signing;
	const char *name, *reason; /* name "all" for --all */
	const char *wait;
};

static int
options_check(struct stop_options *o, bool all, struct err *e)
{
	char clean[STOP_REASON_MAX + 1];

	if (all == (o->name != NULL))
		return err_set(e, ERR_USAGE, "either PLAN or --all; see `sluice stop --help`");
	if (!all && strcmp(o->name, "all") == 0)
		return err_set(e, ERR_USAGE, "to stop every box say --all");
	if (all)
		o->name = "all";
	if (!o->reason || !*o->reason || !o->signing.key)
		return err_set(e, ERR_USAGE,
			"--reason TEXT and --key K expected; see `sluice stop --help`");
	if (strlen(o->reason) > STOP_REASON_MAX)
		return err_set(e, ERR_USAGE, "--reason: %d bytes are the most", STOP_REASON_MAX);
	if (acknowledgement_check(&(struct acknowledgement){.wait = o->wait}, e) < 0)
		return -1;
	(void)snprintf(clean, sizeof(clean), "%s", o->reason);
	text_clean(clean);
	if (strcmp(clean, o->reason) != 0 || strpbrk(clean, "\n\t"))
		return err_set(e, ERR_USAGE, "--reason: one line of text expected");
	return 0;
}

static int
options_read(int argc, char **argv, struct stop_options *o, struct err *e)
{
	enum { ALL = 1, REASON, WAIT };
	static const struct option known[] = {SIGNING_LONG, {"all", no_argument, NULL, ALL},
		{"reason", required_argument, NULL, REASON},
		{"wait", required_argument, NULL, WAIT}, {NULL, 0, NULL, 0}};
	bool all = false;
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (option == ALL)
			all = true;
		else if (option == REASON)
			o->reason = optarg;
		else if (option == WAIT)
			o->wait = optarg;
		else if (signing_option(&o->signing, option, optarg, e) < 0)
			return -1;
	}
	if (argc - optind > 1)
		return err_set(e, ERR_USAGE, "one plan at most; see `sluice stop --help`");
	o->name = optind < argc ? argv[optind] : NULL;
	return options_check(o, all, e);
}

/* The ids that are lifted in the scope of a gate, borrowed from rollouts. NULL too where nobody can
 * tell: then every stop counts as one that holds. */
static const json_t *
resumes_load(const struct workspace *w, const char *name, struct metadata *rollouts)
{
	char path[TUF_PATH_MAX + 1];

	if (scope_path("rollouts", name, path, NULL) < 0 ||
		scope_role(w, path, NULL, rollouts, NULL) < 0)
		return NULL;
	return scope_resumes(metadata_find(rollouts, path));
}

/* Where the gates role wants several signatures, the others sign the stop that waits for them. One
 * that was lifted stops nobody: the same reason makes another then. */
static const struct stop *
stop_waiting(const struct scope_gate *g, const char *reason, const json_t *resumes)
{
	const struct stop *newest =
		g->gate.stop_count ? &g->gate.stops[g->gate.stop_count - 1] : NULL;

	if (!g->role.waiting || !newest || strcmp(newest->reason, reason) != 0)
		return NULL;
	return stop_is_lifted(newest->id, resumes) ? NULL : newest;
}

/* A plan's first gate: it has to say which plan it is of. */
static int
gate_begin(const struct workspace *w, const char *name, struct scope_gate *g, struct err *e)
{
	AUTO_SCOPE_PLAN struct scope_plan plan = {0};

	if (g->listed || strcmp(name, "all") == 0)
		return 0;
	if (scope_plan_load(w, name, NULL, &plan, e) < 0)
		return -1;
	if (!plan.listed)
		return err_set(e, ERR_USAGE, "there is no plan %s", name);
	scope_gate_bind(&g->gate, &plan);
	return 0;
}

static int
stop_agree(const struct stop_options *o, struct err *e)
{
	char question[128];

	if (o->signing.yes)
		return 0;
	(void)snprintf(question, sizeof(question), "Stop %s?",
		strcmp(o->name, "all") == 0 ? "EVERY box" : o->name);
	return ui_confirm(question, e);
}

/* Puts the stop into the gate, unless it waits there already. */
static int
stop_put(const struct workspace *w, const struct stop_options *o, struct scope_gate *g,
	const struct stop **out, struct err *e)
{
	AUTO_METADATA struct metadata rollouts = {0};
	const json_t *resumes = resumes_load(w, o->name, &rollouts);

	*out = stop_waiting(g, o->reason, resumes);
	if (*out)
		return 0;
	if (halt_add(&g->gate, resumes, o->reason, clock_wall_s(), out, e) < 0)
		return -1;
	return scope_gate_put(w, g, e);
}

static int
gate_load(const struct workspace *w, const struct stop_options *o, struct scope_gate *g,
	struct err *e)
{
	if (scope_gate_load(w, o->name, o->signing.role, g, e) < 0)
		return -1;
	return gate_begin(w, o->name, g, e);
}

/* Somebody who opens a wave at this moment holds up no stop. */
static int
stop_sign(const struct workspace *w, const struct stop_options *o, const struct signer *signer,
	struct scope_gate *g, const struct stop **out, struct err *e)
{
	struct err why = ERR_INIT;

	for (int tries = 0; tries < TRIES; tries++) {
		if (stop_put(w, o, g, out, e) < 0)
			return -1;
		if (metadata_sign(w, &g->role, signer, &why) == 0)
			return 0;
		if (!metadata_was_overtaken(&why))
			break;
		scope_gate_free(g);
		*g = (struct scope_gate){0};
		if (gate_load(w, o, g, e) < 0)
			return -1;
	}
	return err_set(e, why.class, "%s", why.text);
}

/* Whoever does not go by incoming.lock may have replaced what was signed before it was published:
 * then the stop is nowhere. */
static int
stop_check(const struct workspace *w, const struct stop_options *o, const struct stop *s,
	struct err *e)
{
	AUTO_SCOPE_GATE struct scope_gate now = {0};

	if (scope_gate_load(w, o->name, o->signing.role, &now, e) < 0)
		return err_context(e, "whether the stop is in force is not known");
	for (size_t i = 0; i < now.gate.stop_count; i++) {
		if (strcmp(now.gate.stops[i].id, s->id) == 0)
			return 0;
	}
	return err_set(e, ERR_REFUSED,
		"stop %s is NOT in force: something else came into incoming/%s.json in its place; "
		"stop again",
		s->id, now.role.role);
}

static int
run(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_SCOPE_GATE struct scope_gate gate = {0};
	AUTO_OPENED_KEY struct opened_key key = {0};
	struct stop_options o = {.signing = SIGNING_INIT};
	const struct stop *s = NULL;

	if (options_read(argc, argv, &o, e) < 0 || workspace_open(o.signing.workspace, &w, e) < 0)
		return -1;
	w.sets_aside = true;
	if (gate_load(&w, &o, &gate, e) < 0 || stop_agree(&o, e) < 0 ||
		signing_open(&o.signing, &key, e) < 0 ||
		metadata_check_signer(&gate.role, &key.signer, e) < 0 ||
		stop_sign(&w, &o, &key.signer, &gate, &s, e) < 0)
		return -1;
	leftover_say(&gate.role);
	(void)printf("stop %s of %s: %s\n", s->id, o.name, s->reason);
	(void)printf("to lift it: sluice resume %s --key K\n", s->id);
	if (publish_here(&w, gate.role.role, &o.signing, e) < 0 || stop_check(&w, &o, s, e) < 0)
		return -1;
	if (!o.signing.no_publish)
		acknowledgement_show(
			&w, &(struct acknowledgement){.stop = s->id,
				    .plan = gate.gate.has_plan ? gate.gate.plan_path : NULL,
				    .wait = o.wait});
	return 0;
}

const struct command cmd_stop = {
	.name = "stop",
	.summary = "shut the gate on every box",
	.help = help,
	.run = run,
};
