#include "signer/participant.h"

#include <stdio.h>
#include <string.h>

#include "common/base/num.h"

static const char *const names[] = {
	[PARTICIPANT_SEEN] = "seen",
	[PARTICIPANT_STARTED] = "started",
	[PARTICIPANT_OK] = "ok",
	[PARTICIPANT_FAILED] = "failed",
	[PARTICIPANT_REVERTED] = "reverted",
	[PARTICIPANT_OVERDUE] = "overdue",
	[PARTICIPANT_INCONCLUSIVE] = "inconclusive",
};
_Static_assert(ARRAY_LEN(names) == PARTICIPATIONS, "a participation has no name");

const char *
participation_name(enum participation p)
{
	return (size_t)p < PARTICIPATIONS ? names[p] : "unknown";
}

int
participation_of(const char *name)
{
	for (int i = 0; i < PARTICIPATIONS; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -1;
}

static bool
is_bad(enum participation p)
{
	return p == PARTICIPANT_FAILED || p == PARTICIPANT_REVERTED;
}

static bool
succeeded(const struct participant *p, const struct told *t, const char *manifest)
{
	if (t->state != BOX_CONFIRMED)
		return false;
	if (strcmp(t->linked, manifest) == 0)
		return true;
	return strcmp(t->running, manifest) == 0 && strcmp(t->boot_id, p->start_boot) != 0;
}

static void
under_way(struct participant *p, const struct told *t)
{
	p->started = true;
	p->started_s = t->heard_s;
	/* The report of its start may have been lost; of the new system, the boot is another. */
	if (t->state != BOX_UNCONFIRMED)
		(void)snprintf(p->start_boot, sizeof(p->start_boot), "%s", t->boot_id);
	if (!is_bad(p->status))
		p->status = PARTICIPANT_STARTED;
}

/* Nothing is decided by it, and nothing is under way. */
static void
at_rest(struct participant *p, const struct told *t)
{
	/* A box that takes part and is idle may not take the release: it failed there before, under
	 * another version of the plan. */
	if (t->state == BOX_IDLE && p->status != PARTICIPANT_INCONCLUSIVE && !is_bad(p->status) &&
		p->status != PARTICIPANT_OK)
		p->status = PARTICIPANT_FAILED;
	else if (t->state == BOX_HELD &&
		 (p->status == PARTICIPANT_STARTED || p->status == PARTICIPANT_OVERDUE))
		p->status = PARTICIPANT_SEEN;
}

static void
undecided(struct participant *p, const struct told *t)
{
	switch (t->state) {
	case BOX_STARTING:
	case BOX_INSTALLED:
	case BOX_UNCONFIRMED:
		under_way(p, t);
		break;
	case BOX_IDLE:
	case BOX_HELD:
		at_rest(p, t);
		break;
	default:
		/* Confirmed, and not what was to be: neither. */
		break;
	}
}

void
participant_hear(struct participant *p, const struct told *t, const char *manifest)
{
	/* It is back. */
	if (p->status == PARTICIPANT_OVERDUE)
		p->status = PARTICIPANT_STARTED;
	if (succeeded(p, t, manifest)) {
		p->status = PARTICIPANT_OK;
		return;
	}
	switch (t->outcome) {
	case OUTCOME_FAILED:
		p->status = PARTICIPANT_FAILED;
		break;
	case OUTCOME_REVERTED:
		p->status = PARTICIPANT_REVERTED;
		break;
	case OUTCOME_INCONCLUSIVE:
		if (!is_bad(p->status))
			p->status = PARTICIPANT_INCONCLUSIVE;
		break;
	case OUTCOME_STOPPED:
		if (!is_bad(p->status))
			p->status = PARTICIPANT_SEEN;
		break;
	default:
		undecided(p, t);
		break;
	}
}

void
participant_count(const struct participant *p, int sign, struct tally *t)
{
	uint64_t *const counts[PARTICIPATIONS] = {
		[PARTICIPANT_OK] = &t->ok,
		[PARTICIPANT_FAILED] = &t->failed,
		[PARTICIPANT_REVERTED] = &t->reverted,
		[PARTICIPANT_OVERDUE] = &t->overdue,
		[PARTICIPANT_INCONCLUSIVE] = &t->inconclusive,
	};
	uint64_t one = (uint64_t)(int64_t)sign;

	t->seen += one;
	if (p->started)
		t->started += one;
	if (counts[p->status])
		*counts[p->status] += one;
}
