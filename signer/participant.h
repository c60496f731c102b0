/* How one box fares in one rollout, read off its reports. Pure.
 *
 * A box is ok when it says `confirmed`, runs the release that the plan names, and has booted since
 * it started (its boot id is another): what it only claims does not count. A tree-only bundle takes
 * no reboot: it is switched by one link, and a box whose link leads to the release is ok in the
 * same boot (`linked_sha256` in its report, which boxes whose bundles the bootloader switches leave
 * out or have another release in). One that never was seen starting, for it ran the release already
 * or that report was lost, is ok by the first two.
 *
 * What went wrong stays so until the box is ok: it may try again (wrong bytes on a mirror, say),
 * and a fleet that tries for ever must not look as if nothing were wrong. Inconclusive and stopped
 * ends, and a box that is held, count as nothing. */
#ifndef SLUICE_SIGNER_PARTICIPANT_H
#define SLUICE_SIGNER_PARTICIPANT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/crypto/digest.h"
#include "common/format/judgement.h"
#include "common/format/report.h"

enum participation {
	PARTICIPANT_SEEN,    /* heard of, and nothing under way */
	PARTICIPANT_STARTED, /* under way, undecided */
	PARTICIPANT_OK,
	PARTICIPANT_FAILED,
	PARTICIPANT_REVERTED,
	PARTICIPANT_OVERDUE, /* was under way, and is silent */
	PARTICIPANT_INCONCLUSIVE,
	PARTICIPATIONS
};

/* "seen", "started", "ok", "failed", "reverted", "overdue", "inconclusive"; and back, -1 for
 * others.
 */
const char *participation_name(enum participation p);
int participation_of(const char *name);

struct participant {
	enum participation status;
	bool started;			  /* ever, in this rollout */
	int64_t started_s;		  /* when that was last heard; 0: never */
	char start_boot[BOOT_ID_MAX + 1]; /* the boot in which it last started, or "" */
};

/* What of a report matters here. */
struct told {
	enum box_state state;
	enum outcome outcome;
	const char *boot_id, *running, *linked; /* borrowed */
	int64_t heard_s;
};

/* The next report, in the order in which the box made them. manifest is the release that the plan
 * names, in hexadecimal. A new participant is all zeros. */
void participant_hear(struct participant *p, const struct told *t, const char *manifest);

/* Adds (sign 1) or takes away (-1) what a participant is in its wave's counts, by two's complement:
 * a difference of counts is a tally too. */
void participant_count(const struct participant *p, int sign, struct tally *t);

#endif
