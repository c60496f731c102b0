#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "signer/audience.h"
#include "signer/command.h"
#include "signer/ledger.h"
#include "signer/plan_box.h"
#include "signer/publication.h"
#include "signer/rollout.h"
#include "signer/ui.h"
#include "signer/workspace.h"

enum { BAR_CELLS = 30 };

enum { OPT_INVENTORY = 1, OPT_BOX, OPT_JSON };

static const char help[] =
	"usage: sluice plan FILE [--inventory CSV] [--box NAME] [--json] [-w DIR]\n"
	"\n"
	"Says who gets what by a plan's file, and when: a line for each wave with its\n"
	"boxes, their share and whether the wave is open, and why the others are in\n"
	"none. The boxes are those of fleet.db, by what they said last, or of an\n"
	"inventory. Nothing is changed. What decides here decides on the box, too.\n"
	"\n"
	"  --inventory CSV  boxes from a file, whose first line names its columns:\n"
	"                     name,compatible,version,running_sha256,site,...\n"
	"                   version and running_sha256 (of the manifest of what runs)\n"
	"                   may be left out; other columns are tags\n"
	"  --box NAME       one box: its wave, its turn in the window, whether it may\n"
	"                   start now, and why or why not\n"
	"  --json           for programs\n"
	"\n"
	"example:  sluice plan manifests/rollouts/stable.yaml\n"
	"          sluice plan manifests/rollouts/stable.yaml --box gw-000017\n";

struct plan_options {
	const char *workspace, *inventory, *box, *file;
	bool json;
};

/* What is looked at: a plan, how it stands to what is published, and where boxes are. */
struct view {
	struct rollout rollout;
	struct plan plan;
	bool has_workspace;
	struct workspace workspace;
	struct publication publication;
	struct fleet *fleet;
	struct boxes boxes;
	const char *box; /* the one that is asked about, or NULL */
	bool json, found;
};

static void
view_free(struct view *v)
{
	fleet_close(&v->fleet);
	publication_free(&v->publication);
	workspace_free(&v->workspace);
	plan_free(&v->plan);
	rollout_free(&v->rollout);
	free(v);
}

static void
view_end(struct view **v)
{
	if (*v)
		view_free(*v);
}

static int
options_read(int argc, char **argv, struct plan_options *o, struct err *e)
{
	static const struct option known[] = {{"inventory", required_argument, NULL, OPT_INVENTORY},
		{"box", required_argument, NULL, OPT_BOX}, {"json", no_argument, NULL, OPT_JSON},
		{NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "w:", known, NULL)) != -1) {
		if (option == OPT_INVENTORY)
			o->inventory = optarg;
		else if (option == OPT_BOX)
			o->box = optarg;
		else if (option == OPT_JSON)
			o->json = true;
		else if (option == 'w')
			o->workspace = optarg;
		else
			return err_set(e, ERR_USAGE, "see `sluice plan --help`");
	}
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE, "one plan's file expected; see `sluice plan --help`");
	o->file = argv[optind];
	return 0;
}

/* An inventory needs no workspace, unless the plan is bound to what one knows. */
static int
workspace_find(struct view *v, const struct plan_options *o, struct err *e)
{
	struct err why = ERR_INIT;

	if (workspace_open(o->workspace, &v->workspace, &why) < 0) {
		if (!o->inventory || o->workspace)
			return err_set(e, why.class, "%s", why.text);
		return 0;
	}
	v->has_workspace = true;
	publication_find(&v->workspace, &v->rollout, &v->publication);
	return 0;
}

static int
boxes_find(struct view *v, const struct plan_options *o, struct err *e)
{
	v->boxes.inventory = o->inventory;
	if (o->inventory)
		return 0;
	if (fleet_open_read(&v->workspace, &v->fleet, e) < 0)
		return err_context(e, "no boxes are known here; add some (`sluice box add`) or "
				      "give --inventory CSV");
	v->boxes.fleet = v->fleet;
	return 0;
}

static int
view_fill(struct view *v, const struct plan_options *o, struct err *e)
{
	const struct publication *pub = &v->publication;

	v->box = o->box;
	v->json = o->json;
	if (rollout_load(o->file, &v->rollout, e) < 0 || workspace_find(v, o, e) < 0)
		return -1;
	if (*v->rollout.recall_path && !pub->bound)
		return err_set(e, ERR_REFUSED,
			"%s: which boxes run %s is known where it is released: %s", o->file,
			v->rollout.recall_path,
			v->has_workspace ? pub->why.text : "give a workspace, -w DIR");
	if (rollout_plan(&v->rollout, pub->bound ? &pub->binding.bundle : NULL, &v->plan, e) < 0)
		return -1;
	return boxes_find(v, o, e);
}

/* Of a box of fleet.db, with the release that is published. */
static int
past_read(
	const struct view *v, const struct fleet_member *m, struct ledger_past *out, struct err *e)
{
	char manifest[DIGEST_HEX_SIZE];

	*out = (struct ledger_past){0};
	if (!v->fleet || !v->publication.bound)
		return 0;
	(void)digest_hex(&v->publication.binding.listing.manifest_sha256, manifest);
	return ledger_past(v->fleet, m->row, manifest, out, e);
}

static int
box_show(void *arg, const struct fleet_member *m, struct err *e)
{
	AUTO_JSON json_t *j = NULL;
	struct view *v = arg;
	struct ledger_past past;
	struct plan_box b;

	if (strcmp(m->facts.id, v->box) != 0)
		return 0;
	v->found = true;
	if (past_read(v, m, &past, e) < 0)
		return -1;
	plan_box_find(
		&v->plan, v->has_workspace ? &v->publication : NULL, m, &past, clock_wall_s(), &b);
	if (!v->json) {
		plan_box_print(&v->plan, m, &b);
		return 1;
	}
	j = plan_box_json(&v->plan, m, &b);
	if (!j)
		return err_sys(e, ENOMEM, "%s", v->box);
	return ui_json_print(j, e) < 0 ? -1 : 1;
}

static int
one_box_show(struct view *v, struct err *e)
{
	if (boxes_each(&v->boxes, box_show, v, e) < 0)
		return -1;
	if (!v->found)
		return err_set(e, ERR_USAGE, "no box %s in %s", v->box,
			v->boxes.inventory ? v->boxes.inventory : "this fleet");
	return 0;
}

/* How the file stands to what is published, in a word; "" where nobody asked a workspace. */
static const char *
standing_text(const struct view *v)
{
	const struct publication *pub = &v->publication;

	if (!v->has_workspace || !pub->known)
		return "";
	if (!pub->before.listed)
		return "; not published";
	return pub->same ? "; published" : "; what is published differs: `sluice rollout diff`";
}

static const char *
gate_text(const struct view *v, const struct wave *w)
{
	if (!v->has_workspace || !v->publication.known)
		return "";
	return publication_opens(&v->publication, w->name) ? "open" : "shut";
}

static int
name_width(const struct plan *p)
{
	size_t width = strlen("in none");

	for (size_t i = 0; i < p->wave_count; i++) {
		if (strlen(p->waves[i].name) > width)
			width = strlen(p->waves[i].name);
	}
	return (int)width;
}

/* Of what is there at all something is seen. */
static void
wave_line(const struct view *v, const char *name, const char *gate, uint64_t in, uint64_t all)
{
	uint64_t length = all ? (in * BAR_CELLS + all / 2) / all : 0,
		 bp = all ? in * 10000 / all : 0;
	char bar[BAR_CELLS + 1];

	if (in > 0 && length == 0)
		length = 1;
	memset(bar, '#', sizeof(bar));
	bar[length] = 0;
	(void)printf("  %-*s  %-4s %9llu %3llu.%02llu%%%s%s\n", name_width(&v->plan), name, gate,
		(unsigned long long)in, (unsigned long long)bp / 100, (unsigned long long)bp % 100,
		*bar ? "  " : "", bar);
}

static void
left_out_print(const struct view *v, const struct audience *a)
{
	if (a->in_none == 0)
		return;
	wave_line(v, "in none", "", a->in_none, a->boxes);
	for (size_t why = 0; why < MEMBERSHIPS; why++) {
		if (a->left_out[why])
			(void)printf("    %llu: %s\n", (unsigned long long)a->left_out[why],
				membership_name((enum membership)why));
	}
}

/* When boxes of an open wave start, and how much each may fetch. */
static void
times_print(const struct plan *p)
{
	char text[WINDOW_TEXT_SIZE], when[CLOCK_TEXT_SIZE], size[NUM_HUMAN_SIZE];

	if (p->start_s > 0)
		(void)printf("starts not before %s\n", clock_format(p->start_s, when));
	if (p->has_window)
		(void)printf("starts %s, each box at a time of its own in the first %u minutes\n",
			window_text(&p->window, text), p->window.spread_s / 60);
	if (p->budget_bytes > 0)
		(void)printf("fetches at most %s a box\n", num_human_size(p->budget_bytes, size));
}

static void
table_print(const struct view *v, const struct audience *a)
{
	const struct plan *p = &v->plan;

	(void)printf("%s: %s by %s%s\n", p->rollout, p->bundle_path, p->path, standing_text(v));
	for (size_t i = 0; i < p->wave_count; i++)
		wave_line(v, p->waves[i].name, gate_text(v, &p->waves[i]), a->in_wave[i], a->boxes);
	left_out_print(v, a);
	(void)printf("%llu boxes of %s", (unsigned long long)a->boxes,
		v->boxes.inventory ? v->boxes.inventory : "fleet.db");
	if (a->revoked + a->elsewhere > 0)
		(void)printf("; beside them %llu are revoked and %llu follow another plan",
			(unsigned long long)a->revoked, (unsigned long long)a->elsewhere);
	(void)printf("\n");
	times_print(p);
}

static json_t *
waves_json(const struct view *v, const struct audience *a)
{
	json_t *waves = json_array();

	for (size_t i = 0; i < v->plan.wave_count; i++) {
		const struct wave *w = &v->plan.waves[i];
		json_t *wave = json_pack(
			"{s:s, s:I}", "name", w->name, "boxes", (json_int_t)a->in_wave[i]);

		if (*gate_text(v, w))
			(void)json_object_set_new(wave, "gate", json_string(gate_text(v, w)));
		(void)json_array_append_new(waves, wave);
	}
	return waves;
}

static int
table_print_json(const struct view *v, const struct audience *a, struct err *e)
{
	json_t *left_out = json_object();

	for (size_t why = 0; why < MEMBERSHIPS; why++) {
		if (a->left_out[why])
			(void)json_object_set_new(left_out, membership_word((enum membership)why),
				json_integer((json_int_t)a->left_out[why]));
	}
	AUTO_JSON json_t *j = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "rollout",
		v->plan.rollout, "plan", v->plan.path, "bundle", v->plan.bundle_path, "boxes",
		(json_int_t)a->boxes, "revoked", (json_int_t)a->revoked, "elsewhere",
		(json_int_t)a->elsewhere, "in_none", (json_int_t)a->in_none, "waves",
		waves_json(v, a), "left_out", left_out);
	if (!j)
		return err_sys(e, ENOMEM, "%s", v->plan.path);
	if (v->has_workspace && v->publication.known)
		(void)json_object_set_new(j, "published", json_boolean(v->publication.same));
	return ui_json_print(j, e);
}

static int
run(int argc, char **argv, struct err *e)
{
	CLEANUP(view_end) struct view *v = calloc(1, sizeof(*v));
	struct plan_options o = {0};
	struct audience audience;

	if (!v)
		return err_sys(e, ENOMEM, "plan");
	if (options_read(argc, argv, &o, e) < 0 || view_fill(v, &o, e) < 0)
		return -1;
	if (v->box)
		return one_box_show(v, e);
	if (audience_count(&v->boxes, &v->plan, &audience, e) < 0)
		return -1;
	if (v->json)
		return table_print_json(v, &audience, e);
	table_print(v, &audience);
	return 0;
}

const struct command cmd_plan = {
	.name = "plan",
	.summary = "who gets what, and when",
	.help = help,
	.run = run,
};
