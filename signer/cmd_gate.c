#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "signer/command.h"
#include "signer/leftover.h"
#include "signer/metadata.h"
#include "signer/publish.h"
#include "signer/scope.h"
#include "signer/signing.h"
#include "signer/workspace.h"

static const char help[] =
	"usage: sluice gate show [PLAN] [-w DIR]\n"
	"       sluice gate open PLAN WAVE {--key K | --draft} [--sign-with CMD]\n"
	"           [--role ROLE] [--no-publish] [-w DIR]\n"
	"       sluice gate {pause | unpause} {PLAN | all} {--key K | --draft} ...\n"
	"\n"
	"A gate says how far a plan's waves are open. It names one version of the plan\n"
	"by its SHA-256: for a plan that has changed it is shut until its first wave is\n"
	"opened again. show prints every gate, or that of PLAN (stable for\n"
	"rollouts/stable.json). open opens the next wave, for all boxes in it, and\n"
	"publishes that. Waves open in their order. While a gate is paused no box starts;\n"
	"those that have started end and confirm.\n"
	"\n"
	"  --key K            a key of the gates role\n"
	"  --sign-with CMD    K is a .pub and CMD signs (`sluice metadata sign --help`)\n"
	"  --draft            the keys are elsewhere: see `sluice metadata`\n"
	"  --role ROLE        a role other than the first that may speak for this gate\n"
	"  --no-publish       leave it in incoming/ for the publisher\n"
	"  --passphrase-file F, --passphrase-fd N    where the key's passphrase is\n"
	"\n"
	"example: sluice gate open stable canary --key keys/gates.key\n";

static int
options_read(int argc, char **argv, struct signing *o, struct err *e)
{
	static const struct option known[] = {SIGNING_LONG, SIGNING_DRAFT, {NULL, 0, NULL, 0}};

	return signing_options(argc, argv, known, o, e);
}

/* Opens a wave, after all before it. */
static int
wave_open(struct gate *g, const struct plan *p, const char *wave, struct err *e)
{
	size_t n = 0;

	while (n < p->wave_count && strcmp(p->waves[n].name, wave) != 0)
		n++;
	if (n == p->wave_count)
		return err_set(e, ERR_USAGE, "%s has no wave %.80s; see `sluice gate show`",
			p->path, wave);
	for (size_t i = 0; i < n; i++) {
		if (!gate_is_open(g, p->waves[i].name))
			return err_set(e, ERR_REFUSED,
				"wave %s of %s comes before it and is shut; open that first",
				p->waves[i].name, p->path);
	}
	return gate_open_wave(g, p, n, e);
}

static int
plan_load(const struct workspace *w, const char *name, struct scope_plan *out, struct err *e)
{
	if (strcmp(name, "all") == 0)
		return err_set(e, ERR_USAGE, "all is no plan, so it has no waves to open");
	if (scope_plan_load(w, name, NULL, out, e) < 0)
		return -1;
	if (!out->listed)
		return err_set(e, ERR_USAGE,
			"there is no plan %s yet: sluice rollout publish "
			"manifests/rollouts/%s.yaml",
			name, name);
	return 0;
}

/* What keeps boxes from starting though their wave is open. whose: "it", or "every box". */
static void
closed_print(const struct gate *g, const json_t *resumes, const char *whose, const char *name)
{
	for (size_t i = 0; i < g->stop_count; i++) {
		if (!stop_is_lifted(g->stops[i].id, resumes))
			(void)printf("but %s is stopped (%s): no box starts before `sluice resume "
				     "%s`\n",
				whose, g->stops[i].reason, g->stops[i].id);
	}
	if (g->paused)
		(void)printf("but %s is paused: no box starts before `sluice gate unpause %s`\n",
			whose, name);
}

/* Where nobody can tell what lifts its stops, they all stand. */
static void
all_closed_print(const struct workspace *w)
{
	AUTO_SCOPE_GATE struct scope_gate all = {0};
	AUTO_METADATA struct metadata rollouts = {0};
	const json_t *resumes = NULL;

	if (scope_gate_load(w, "all", NULL, &all, NULL) < 0 || !all.listed)
		return;
	if (scope_role(w, PLAN_ALL_PATH, NULL, &rollouts, NULL) == 0)
		resumes = scope_resumes(metadata_find(&rollouts, PLAN_ALL_PATH));
	closed_print(&all.gate, resumes, "every box", "all");
}

static void
opened_print(const struct workspace *w, const char *name, const char *wave,
	const struct scope_gate *g, const struct scope_plan *p)
{
	(void)printf("%s: opens wave %s of version %llu\n", name, wave,
		(unsigned long long)p->plan.version);
	closed_print(&g->gate, scope_resumes(p->entry), "it", name);
	all_closed_print(w);
}

static int
gate_open(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_SCOPE_PLAN struct scope_plan plan = {0};
	AUTO_SCOPE_GATE struct scope_gate gate = {0};
	AUTO_OPENED_KEY struct opened_key key = {0};
	struct signing o = SIGNING_INIT;
	const char *name, *wave;

	if (options_read(argc, argv, &o, e) < 0)
		return -1;
	if (argc - optind != 2)
		return err_set(
			e, ERR_USAGE, "PLAN, WAVE and --key K expected; see `sluice gate --help`");
	if (signing_check(&o, "a key of the gates role", e) < 0)
		return -1;
	name = argv[optind];
	wave = argv[optind + 1];
	if (workspace_open(o.workspace, &w, e) < 0 || plan_load(&w, name, &plan, e) < 0 ||
		scope_gate_load(&w, name, o.role, &gate, e) < 0)
		return -1;
	scope_gate_bind(&gate.gate, &plan);
	if (wave_open(&gate.gate, &plan.plan, wave, e) < 0 || signing_open(&o, &key, e) < 0 ||
		metadata_check_signer(&gate.role, &key.signer, e) < 0 ||
		scope_gate_put(&w, &gate, e) < 0 ||
		metadata_sign(&w, &gate.role, &key.signer, e) < 0)
		return -1;
	opened_print(&w, name, wave, &gate, &plan);
	return publish_here(&w, gate.role.role, &o, e);
}

/* The gate of a plan that has none yet has to say which plan it is of. */
static int
pausable_load(const struct workspace *w, const char *name, const char *role, struct scope_gate *g,
	struct err *e)
{
	AUTO_SCOPE_PLAN struct scope_plan plan = {0};

	if (scope_gate_load(w, name, role, g, e) < 0)
		return -1;
	if (g->listed || strcmp(name, "all") == 0)
		return 0;
	if (plan_load(w, name, &plan, e) < 0)
		return -1;
	scope_gate_bind(&g->gate, &plan);
	return 0;
}

static int
gate_pause(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_SCOPE_GATE struct scope_gate gate = {0};
	AUTO_OPENED_KEY struct opened_key key = {0};
	struct signing o = SIGNING_INIT;
	bool pause = strcmp(argv[0], "pause") == 0;
	const char *name;

	if (options_read(argc, argv, &o, e) < 0)
		return -1;
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE,
			"PLAN or all, and --key K expected; see `sluice gate --help`");
	if (signing_check(&o, "a key of the gates role", e) < 0)
		return -1;
	name = argv[optind];
	if (workspace_open(o.workspace, &w, e) < 0 || pausable_load(&w, name, o.role, &gate, e) < 0)
		return -1;
	/* Where two have to sign, the second one signs what waits. */
	if (gate.gate.paused == pause && !gate.role.waiting)
		return err_set(e, ERR_REFUSED, "%s is %s", name,
			pause ? "paused already" : "not paused; `sluice resume` lifts a stop");
	gate.gate.paused = pause;
	if (signing_open(&o, &key, e) < 0 ||
		metadata_check_signer(&gate.role, &key.signer, e) < 0 ||
		scope_gate_put(&w, &gate, e) < 0 ||
		metadata_sign(&w, &gate.role, &key.signer, e) < 0)
		return -1;
	(void)printf("%s: %s\n", name,
		pause ? "paused, no box starts" : "not paused any more, boxes may start");
	return publish_here(&w, gate.role.role, &o, e);
}

struct show {
	const struct workspace *w;
	size_t count;
	struct err odd; /* the first gate that could not be shown as a whole; ERR_NONE: all were */
};

static void
stops_print(const struct gate *g, const json_t *resumes)
{
	char at[CLOCK_TEXT_SIZE];

	for (size_t i = 0; i < g->stop_count; i++) {
		const struct stop *s = &g->stops[i];

		(void)printf("  %s %s at %s: %s\n",
			stop_is_lifted(s->id, resumes) ? "stopped, and resumed," : "STOPPED", s->id,
			clock_format(s->at_s, at), s->reason);
	}
	if (g->paused)
		(void)printf("  paused: no box starts\n");
}

static void
waves_print(const struct gate *g, const struct scope_plan *p)
{
	const char *why = "";
	bool binds = gate_binds(g, &p->plan, &p->sha256, &why);

	if (!binds)
		(void)printf("  SHUT: %s; open its first wave again\n", why);
	for (size_t i = 0; i < p->plan.wave_count; i++) {
		const char *wave = p->plan.waves[i].name;

		(void)printf("  %-6s %s\n", binds && gate_is_open(g, wave) ? "open" : "shut", wave);
	}
}

/* Who would lift its stops cannot be read: to be on the safe side they all stand. */
static void
unjudged_print(const char *name, const struct gate *g)
{
	(void)printf("%s: what it speaks of cannot be read here\n", name);
	stops_print(g, NULL);
}

static int
plan_gate_print(const struct workspace *w, const char *name, bool listed, const struct gate *g,
	struct err *e)
{
	AUTO_SCOPE_PLAN struct scope_plan p = {0};

	if (scope_plan_load(w, name, NULL, &p, e) < 0) {
		if (listed)
			unjudged_print(name, g);
		return -1;
	}
	if (!p.listed && !listed)
		return err_set(e, ERR_USAGE, "there is no plan %s; see `sluice gate show`", name);
	if (p.listed)
		(void)printf("%s: %s, version %llu, %s\n", name, p.plan.rollout,
			(unsigned long long)p.plan.version, p.plan.bundle_path);
	else
		(void)printf("%s: its plan is not published\n", name);
	if (p.listed)
		waves_print(g, &p);
	stops_print(g, scope_resumes(p.entry));
	return 0;
}

static int
all_gate_print(const struct workspace *w, const struct gate *g, struct err *e)
{
	AUTO_METADATA struct metadata rollouts = {0};

	if (scope_role(w, PLAN_ALL_PATH, NULL, &rollouts, e) < 0) {
		unjudged_print("all", g);
		return -1;
	}
	(void)printf("all: the gate of every box\n");
	stops_print(g, scope_resumes(metadata_find(&rollouts, PLAN_ALL_PATH)));
	return 0;
}

static int
listed_print(const struct workspace *w, const struct metadata *m, const char *path, struct err *e)
{
	char name[NAME_BYTES_MAX + 1];
	struct gate g = {0};

	if (scope_gate_read(w, m, path, &g, e) < 0)
		return -1;
	if (strcmp(path, GATE_ALL_PATH) == 0)
		return all_gate_print(w, &g, e);
	(void)snprintf(name, sizeof(name), "%.*s",
		(int)(strlen(path) - strlen("gates/") - strlen(".json")), path + strlen("gates/"));
	return plan_gate_print(w, name, true, &g, e);
}

/* One that is damaged hides none behind it. */
static int
gate_print(void *arg, const struct metadata *m, const char *path, struct err *e)
{
	struct show *show = arg;
	struct err why = ERR_INIT;

	(void)e;
	show->count++;
	if (listed_print(show->w, m, path, &why) < 0 && show->odd.class == ERR_NONE)
		show->odd = why;
	return 0;
}

static int
every_gate_show(const struct workspace *w, struct err *e)
{
	struct show show = {.w = w, .odd = ERR_INIT};

	if (scope_every(w, "gates", gate_print, &show, e) < 0)
		return -1;
	if (show.odd.class != ERR_NONE)
		return err_set(e, show.odd.class, "%s", show.odd.text);
	if (show.count == 0)
		(void)printf("no gate is open: sluice gate open PLAN WAVE\n");
	return 0;
}

static int
one_gate_show(const struct workspace *w, const char *name, struct err *e)
{
	AUTO_SCOPE_GATE struct scope_gate g = {0};

	if (scope_gate_load(w, name, NULL, &g, e) < 0)
		return -1;
	if (strcmp(name, "all") == 0 && g.listed)
		return all_gate_print(w, &g.gate, e);
	if (strcmp(name, "all") == 0)
		return err_set(e, ERR_REFUSED,
			"there is no gates/all.json: every box is shut until a gate is opened");
	return plan_gate_print(w, name, g.listed, &g.gate, e);
}

static int
gate_show(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	struct signing o = SIGNING_INIT;

	if (options_read(argc, argv, &o, e) < 0)
		return -1;
	if (argc - optind > 1)
		return err_set(e, ERR_USAGE, "one plan at most; see `sluice gate --help`");
	if (workspace_open(o.workspace, &w, e) < 0)
		return -1;
	/* Somebody's mistake in incoming/ hides no stop. */
	w.sets_aside = true;
	if (leftover_say_all(&w, e) < 0)
		return -1;
	return argc - optind == 1 ? one_gate_show(&w, argv[optind], e) : every_gate_show(&w, e);
}

static int
run(int argc, char **argv, struct err *e)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "show") == 0)
		return gate_show(argc - 1, argv + 1, e);
	if (strcmp(verb, "open") == 0)
		return gate_open(argc - 1, argv + 1, e);
	if (strcmp(verb, "pause") == 0 || strcmp(verb, "unpause") == 0)
		return gate_pause(argc - 1, argv + 1, e);
	return err_set(e, ERR_USAGE,
		"`gate show`, `gate open`, `gate pause` or `gate unpause`; see `sluice gate "
		"--help`");
}

const struct command cmd_gate = {
	.name = "gate",
	.summary = "open the next wave",
	.help = help,
	.run = run,
};
