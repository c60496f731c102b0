#include <getopt.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "signer/bulk.h"
#include "signer/command.h"
#include "signer/prune.h"
#include "signer/workspace.h"

/* How often a site is looked through that others publish to meanwhile. */
enum { LOOKS = 10 };

#define GRACE_DEFAULT_S ((uint64_t)30 * 86400)

static const char help[] =
	"usage: sluice site prune [--older-than TIME] [--dry-run] [-w DIR]\n"
	"\n"
	"Removes from site/ what no box comes to any more: versions of metadata, plans,\n"
	"gates and bundles that nothing published leads to, nor did within the time that\n"
	"is given. A box that holds an older timestamp may fetch what that leads to for\n"
	"as long as a timestamp lives, so less than that is refused. Every root.json\n"
	"stays: boxes that were asleep for years follow them one by one. Where a push\n"
	"command copies the site, the copy is its owner's to prune.\n"
	"\n"
	"  --older-than TIME   30d when not said\n"
	"  --dry-run           only say what would go\n"
	"\n"
	"example: sluice site prune --older-than 7d --dry-run\n";

struct site_options {
	const char *workspace;
	uint64_t grace_s;
	bool dry_run;
};

static int
options_read(int argc, char **argv, struct site_options *o, struct err *e)
{
	enum { OLDER = 1, DRY };
	static const struct option known[] = {{"older-than", required_argument, NULL, OLDER},
		{"dry-run", no_argument, NULL, DRY}, {NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, "w:", known, NULL)) != -1) {
		if (option == '?')
			return err_set(e, ERR_USAGE, "see `sluice site --help`");
		if (option == OLDER &&
			num_parse_duration(optarg, ASKED_SPAN_MAX_S, &o->grace_s, e) < 0)
			return err_set(e, ERR_USAGE, "--older-than: a time like 7d expected");
		o->dry_run = o->dry_run || option == DRY;
		o->workspace = option == 'w' ? optarg : o->workspace;
	}
	if (optind < argc)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	return 0;
}

static void
names_print(const struct pruning *p)
{
	const json_t *name;
	size_t i;

	json_array_foreach (p->names, i, name)
		(void)printf("%s\n", json_string_value(name));
}

/* Each time less is left. */
static int
remove_all(const struct workspace *w, uint64_t grace_s, struct removed *removed, struct err *e)
{
	for (int i = 0; i < LOOKS; i++) {
		AUTO_PRUNING struct pruning p = {0};
		bool stale;

		if (prune_find(w, grace_s, clock_wall_s(), &p, e) < 0 ||
			prune_remove(w, &p, removed, &stale, e) < 0)
			return -1;
		if (!stale)
			return 0;
	}
	return err_set(e, ERR_REFUSED,
		"something was published each time it was looked through; %llu files are gone, and "
		"the next `sluice site prune` goes on",
		(unsigned long long)removed->files);
}

static int
site_prune(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_PRUNING struct pruning p = {0};
	AUTO_CLOSE int bulk = -1;
	struct site_options o = {.grace_s = GRACE_DEFAULT_S};
	struct removed gone = {0};
	char size[NUM_HUMAN_SIZE];

	/* Bundles are placed before anything leads to them. */
	if (options_read(argc, argv, &o, e) < 0 || workspace_open(o.workspace, &w, e) < 0 ||
		bulk_lock(&w, false, &bulk, e) < 0)
		return -1;
	if (!o.dry_run && remove_all(&w, o.grace_s, &gone, e) < 0)
		return -1;
	if (o.dry_run) {
		if (prune_find(&w, o.grace_s, clock_wall_s(), &p, e) < 0)
			return -1;
		names_print(&p);
		gone = (struct removed){json_array_size(p.names), p.bytes};
	}
	(void)printf("%llu files, %s%s\n", (unsigned long long)gone.files,
		num_human_size(gone.bytes, size), o.dry_run ? " would go" : " are gone");
	return 0;
}

static const struct verb verbs[] = {{"prune", NULL, site_prune}, {0}};

const struct command cmd_site = {
	.name = "site",
	.summary = "remove what nobody fetches",
	.help = help,
	.verbs = verbs,
};
