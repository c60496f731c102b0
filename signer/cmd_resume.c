#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "signer/acknowledgement.h"
#include "signer/command.h"
#include "signer/leftover.h"
#include "signer/metadata.h"
#include "signer/publish.h"
#include "signer/scope.h"
#include "signer/signing.h"
#include "signer/workspace.h"

static const char help[] =
	"usage: sluice resume ID [PLAN | --all] --key K [--sign-with CMD] [--role ROLE]\n"
	"           [--yes] [--no-publish] [--wait TIME] [-w DIR]\n"
	"\n"
	"Lifts one stop by its id, which `sluice gate show` tells. The signature is that\n"
	"of the rollouts role that owns the plan; a stop of every box is lifted by the\n"
	"role that may speak for rollouts/all.json. Waves stay as open as they were.\n"
	"\n"
	"  PLAN, --all        whose stop it is, where boxes report one that no gate has:\n"
	"                     they stay stopped though a gates key took it out again\n"
	"  --key K            a key of the rollouts role\n"
	"  --sign-with CMD    K is a .pub and CMD signs (`sluice metadata sign --help`)\n"
	"  --role ROLE        a role other than the first that may speak for the plan\n"
	"  --yes              do not ask\n"
	"  --no-publish       leave it in incoming/ for the publisher\n"
	"  --wait TIME        then count for so long which boxes have heard of it\n"
	"  --passphrase-file F, --passphrase-fd N    where the key's passphrase is\n"
	"\n"
	"example: sluice resume 5f0c44a6d7b34a14b6f1d06b0c1fbe3f --key keys/rollouts.key\n";

/* Looking for the gate that has a stop. */
struct search {
	const struct workspace *w;
	const char *id;
	bool found;
	char path[TUF_PATH_MAX + 1]; /* of the plan: "rollouts/stable.json" */
	struct stop stop;
	struct err odd; /* the first gate that could not be read; ERR_NONE: all could */
};

struct resume_options {
	struct signing signing;
	const char *wait;
	const char *id, *name; /* name: of the plan, "all", or NULL to look for the stop */
};

static int
options_read(int argc, char **argv, struct resume_options *o, struct err *e)
{
	static const struct option known[] = {SIGNING_LONG, {"all", no_argument, NULL, 1},
		{"wait", required_argument, NULL, 2}, {NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (option == 1)
			o->name = "all";
		else if (option == 2)
			o->wait = optarg;
		else if (signing_option(&o->signing, option, optarg, e) < 0)
			return -1;
	}
	if (argc - optind < 1 || argc - optind > (o->name ? 1 : 2))
		return err_set(e, ERR_USAGE, "ID and --key K expected; see `sluice resume --help`");
	if (signing_check(&o->signing, "a key of the rollouts role", e) < 0 ||
		acknowledgement_check(&(struct acknowledgement){.wait = o->wait}, e) < 0)
		return -1;
	o->id = argv[optind];
	if (optind + 1 < argc)
		o->name = argv[optind + 1];
	if (!stop_id_valid(o->id))
		return err_set(e, ERR_USAGE,
			"'%.64s' is not a stop's id: %d digits, which `sluice gate show` tells",
			o->id, STOP_ID_SIZE - 1);
	return 0;
}

static int
gate_search(void *arg, const struct metadata *m, const char *path, struct err *e)
{
	struct search *search = arg;
	struct err why = ERR_INIT;
	struct gate g = {0};

	(void)e;
	if (scope_gate_read(search->w, m, path, &g, &why) < 0 && search->odd.class == ERR_NONE)
		search->odd = why;
	for (size_t i = 0; i < g.stop_count; i++) {
		if (strcmp(g.stops[i].id, search->id) != 0)
			continue;
		search->found = true;
		search->stop = g.stops[i];
		(void)snprintf(
			search->path, sizeof(search->path), "rollouts/%s", path + strlen("gates/"));
	}
	return 0;
}

static int
nowhere_say(const struct search *s, struct err *e)
{
	if (s->odd.class != ERR_NONE)
		return err_set(e, s->odd.class,
			"no gate that can be read here has stop %s; say whose it is: `sluice "
			"resume ID PLAN`, or --all (%s)",
			s->id, s->odd.text);
	return err_set(e, ERR_USAGE,
		"no gate has a stop %s; see `sluice gate show`. Where boxes report it all the "
		"same, say whose it is: `sluice resume ID PLAN`, or --all",
		s->id);
}

static int
stop_search(const struct workspace *w, const struct resume_options *o, struct search *out,
	struct err *e)
{
	char named[TUF_PATH_MAX + 1];
	struct err odd = ERR_INIT;

	*out = (struct search){.w = w, .id = o->id, .odd = ERR_INIT};
	if (o->name && scope_path("rollouts", o->name, named, e) < 0)
		return -1;
	/* Gates that cannot be read stand in the way of no stop that is found elsewhere. */
	if (scope_every(w, "gates", gate_search, out, &odd) < 0 && out->odd.class == ERR_NONE)
		out->odd = odd;
	if (!out->found && !o->name)
		return nowhere_say(out, e);
	if (out->found && o->name && strcmp(named, out->path) != 0)
		return err_set(e, ERR_USAGE, "stop %s is of %s", o->id, out->path);
	if (!out->found) {
		memcpy(out->path, named, sizeof(named));
		(void)snprintf(out->stop.reason, sizeof(out->stop.reason), "no gate shows it");
	}
	return 0;
}

/* Adds the id to what the plan's entry lifts. */
static int
resume_put(struct metadata *m, const struct search *s, struct err *e)
{
	const json_t *entry = metadata_find(m, s->path);
	AUTO_JSON json_t *custom = json_object_get(entry, "custom")
					   ? json_deep_copy(json_object_get(entry, "custom"))
					   : json_object();
	json_t *resumes = json_object_get(custom, "resumes");

	if (!entry)
		return err_set(e, ERR_REFUSED, "%s is not published any more", s->path);
	if (stop_is_lifted(s->id, resumes))
		return 0;
	if (!resumes) {
		resumes = json_array();
		if (json_object_set_new(custom, "resumes", resumes) < 0)
			return err_sys(e, ENOMEM, "%s", s->path);
	}
	if (json_array_append_new(resumes, json_string(s->id)) < 0)
		return err_sys(e, ENOMEM, "%s", s->path);
	return scope_custom_put(m, s->path, custom, e);
}

/* By what is published: one that only waits for its signatures lifts nothing yet. */
static bool
is_in_force(const struct metadata *m, const struct search *s)
{
	return stop_is_lifted(s->id, scope_resumes(metadata_find_in_force(m, s->path))) &&
	       stop_is_lifted(s->id, scope_resumes(metadata_find(m, s->path)));
}

static int
resume_agree(const struct signing *o, const struct search *s, struct err *e)
{
	char at[CLOCK_TEXT_SIZE], question[STOP_REASON_MAX + TUF_PATH_MAX + 80];

	if (o->yes)
		return 0;
	(void)snprintf(question, sizeof(question), "Lift the stop of %s for %s (%s)?",
		s->found ? clock_format(s->stop.at_s, at) : "some time ago", s->path,
		s->stop.reason);
	return ui_confirm(question, e);
}

static int
resume_sign(const struct workspace *w, struct resume_options *o, const struct search *s,
	struct metadata *rollouts, struct err *e)
{
	AUTO_OPENED_KEY struct opened_key key = {0};

	if (resume_agree(&o->signing, s, e) < 0 || signing_open(&o->signing, &key, e) < 0 ||
		metadata_check_signer(rollouts, &key.signer, e) < 0 ||
		scope_all_put(w, rollouts, e) < 0 || resume_put(rollouts, s, e) < 0 ||
		metadata_sign(w, rollouts, &key.signer, e) < 0)
		return -1;
	leftover_say(rollouts);
	(void)printf("lifts stop %s: %s\n", s->id, s->stop.reason);
	return publish_here(w, rollouts->role, &o->signing, e);
}

static int
run(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_METADATA struct metadata rollouts = {0};
	struct resume_options o = {.signing = SIGNING_INIT};
	struct search s;
	bool lifted;

	if (options_read(argc, argv, &o, e) < 0 || workspace_open(o.signing.workspace, &w, e) < 0)
		return -1;
	w.sets_aside = true;
	if (stop_search(&w, &o, &s, e) < 0 ||
		scope_role(&w, s.path, o.signing.role, &rollouts, e) < 0)
		return -1;
	lifted = is_in_force(&rollouts, &s);
	if (lifted)
		(void)printf("stop %s of %s is lifted already\n", o.id, s.path);
	else if (resume_sign(&w, &o, &s, &rollouts, e) < 0)
		return -1;
	if (lifted || (!o.signing.no_publish && !o.signing.draft))
		acknowledgement_show(
			&w, &(struct acknowledgement){.stop = o.id,
				    .plan = strcmp(s.path, PLAN_ALL_PATH) == 0 ? NULL : s.path,
				    .lifted = true,
				    .wait = o.wait});
	return 0;
}

const struct command cmd_resume = {
	.name = "resume",
	.summary = "lift a stop",
	.help = help,
	.run = run,
};
