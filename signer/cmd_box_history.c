/* `sluice box show`: what one box has said. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "signer/command.h"
#include "signer/fleet.h"
#include "signer/ledger.h"
#include "signer/workspace.h"

struct shown {
	bool found;
	uint64_t failed_seq;
};

static int
box_print(void *arg, const struct ledger_box *b, struct err *e)
{
	struct shown *s = arg;
	char at[CLOCK_TEXT_SIZE], heard[CLOCK_TEXT_SIZE];

	(void)e;
	s->found = true;
	s->failed_seq = b->failed_seq;
	(void)printf("%s: %s, tags %s%s\n", b->name,
		*b->compatible ? b->compatible : "its hardware is not known", b->tags,
		b->revoked ? ", REVOKED" : "");
	if (b->seq == 0) {
		(void)printf("  never heard of\n");
		return 0;
	}
	(void)printf("  %s, runs %s, rollback index at least %llu, follows %s\n", b->state,
		*b->version ? b->version : "what it does not know the version of",
		(unsigned long long)b->rollback_floor,
		*b->plan ? b->plan : "no plan that it names");
	(void)printf("  last heard of at %s (by its own clock %s)\n",
		clock_format(b->heard_s, heard), clock_format(b->at_s, at));
	if (*b->authentic)
		(void)printf("  installed software authentic: %s\n", b->authentic);
	if (*b->stops)
		(void)printf("  obeys the stops %s\n", b->stops);
	return 0;
}

/* To the byte what the words before it round. */
static void
haul_print(const struct report_haul *h)
{
	(void)printf(
		"%28s %llu bytes to fetch in %llu range%s; of the payloads %llu in place, %llu "
		"from the running side, %llu from elsewhere in the inactive one, %llu zeros, "
		"%llu from the network\n",
		"", (unsigned long long)h->fetch, (unsigned long long)h->ranges,
		h->ranges == 1 ? "" : "s", (unsigned long long)h->in_place,
		(unsigned long long)h->running, (unsigned long long)h->inactive,
		(unsigned long long)h->zeros, (unsigned long long)h->network);
	if (h->delta > 0)
		(void)printf("%28s %llu are told by a delta, in %llu of the bytes to fetch\n", "",
			(unsigned long long)h->delta, (unsigned long long)h->records);
}

static int
report_print(void *arg, const struct report *r, int64_t heard_s, struct err *e)
{
	char at[CLOCK_TEXT_SIZE];
	bool *any = arg;

	(void)e;
	if (!*any)
		(void)printf("what it said, newest first:\n");
	*any = true;
	(void)printf("  %s %6llu %-11s %-12s %s%s%s%s%s\n", clock_format(heard_s, at),
		(unsigned long long)r->seq, box_state_name(r->state),
		r->outcome == OUTCOME_NONE ? "" : outcome_name(r->outcome), r->version,
		*r->rollout ? " in " : "", r->rollout, *r->detail ? ": " : "", r->detail);
	if (r->has_haul)
		haul_print(&r->haul);
	return 0;
}

static int
failure_print(struct fleet *f, const char *box, uint64_t seq, struct err *e)
{
	AUTO_FREE struct report *r = calloc(1, sizeof(*r));
	char *rest = NULL;
	bool found;
	int rc;

	if (!r)
		return err_set(e, ERR_SYSTEM, "no memory for a report");
	if (seq == 0)
		return 0;
	rc = ledger_report(f, box, seq, &found, r, e);
	if (rc == 0 && found) {
		(void)printf("its last failure (report %llu, %s): %s\n", (unsigned long long)seq,
			r->class_, r->detail);
		for (char *line = strtok_r(r->log, "\n", &rest); line;
			line = strtok_r(NULL, "\n", &rest))
			(void)printf("  | %s\n", line);
	}
	report_free(r);
	return rc;
}

int
box_history(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_FLEET struct fleet *f = NULL;
	struct ledger_filter filter = {0};
	struct shown s = {0};
	const char *dir = NULL;
	bool any = false;
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt(argc, argv, "w:")) != -1) {
		if (option != 'w')
			return err_set(e, ERR_USAGE, "see `sluice box --help`");
		dir = optarg;
	}
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE, "one box expected; see `sluice box --help`");
	filter.name = argv[optind];
	if (workspace_open(dir, &w, e) < 0 || fleet_open_read(&w, &f, e) < 0 ||
		ledger_each_box(f, &filter, box_print, &s, e) < 0)
		return -1;
	filter.revoked = true;
	if (!s.found && ledger_each_box(f, &filter, box_print, &s, e) < 0)
		return -1;
	if (!s.found)
		return err_set(
			e, ERR_USAGE, "there is no box %.80s; see `sluice boxes`", filter.name);
	if (ledger_each_report(f, filter.name, report_print, &any, e) < 0)
		return -1;
	return failure_print(f, filter.name, s.failed_seq, e);
}
