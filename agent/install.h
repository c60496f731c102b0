/* Installing a verified bundle into the inactive side: make each slot equal its index.
 *
 * A box has slots of two kinds: those that the bootloader switches, and folders with `current`,
 * which one rename of that link switches. A bundle is for slots of one kind, and for all of that
 * kind, so that there is one commit point and no slot of the new side holds an older release. */
#ifndef SLUICE_AGENT_INSTALL_H
#define SLUICE_AGENT_INSTALL_H

#include "agent/boot.h"
#include "agent/conf.h"
#include "agent/engine.h"
#include "agent/head.h"
#include "agent/intake.h"
#include "agent/state.h"
#include "common/base/err.h"
#include "common/format/manifest.h"

/* The rules that every install obeys, local or not: compatible, rollback index at or above the
 * floor, slots of one kind and all of that kind, each of the right type and large enough, and the
 * running system confirmed (for the other side is what it would go back to). Nothing has been
 * written when this says no. ERR_REFUSED; ERR_SYSTEM for a bootloader that is not set up for it. */
int install_check(const struct conf *c, const struct state *s, const struct head *h, struct err *e);

/* Looks at what it will take (job's target is filled in here), tells the log, and asks the source
 * whether so much may be fetched (ERR_REFUSED). Hints, cuts and pages of stored may have been
 * fetched then, and nothing was written. After an interruption it looks anew, and says so. */
int install_look(const struct conf *c, const struct boot_backend *boot, struct state *s,
	const struct intake_job *job, struct intake **out, struct err *e);

/* Marks the target not bootable (and reads that back), records PHASE_INSTALLING, then makes every
 * slot of the target side equal to its index: takes what was found on this box, fetches what is
 * still wrong, verifies stored bytes, inflates, verifies plain bytes, writes, syncs, drops caches,
 * reads back and compares again. The job's stats are kept up to date. On failure the target stays
 * not bootable and right chunks stay where they are. p is the pending record to begin (release and
 * target are filled in here). */
int install_write(const struct conf *c, const struct boot_backend *boot, struct state *s,
	struct intake *i, const struct pending *p, struct err *e);

/* What it took, in words. out holds INSTALL_TEXT_SIZE. Returns out. */
enum { INSTALL_TEXT_SIZE = 320 };
const char *install_text(const struct install_stats *stats, char out[INSTALL_TEXT_SIZE]);

/* Whether the bundle goes into slots that the link switches. install_check() saw that it is so for
 * all of them or for none. */
bool install_is_tree_only(const struct conf *c, const struct manifest *m);

/* The side that the bundle would go to. ERR_REFUSED where that is all that would boot: a person has
 * rolled back, and not rebooted yet. Not the release's fault. */
int install_target(const struct conf *c, const struct boot_backend *boot, const struct state *s,
	const struct manifest *m, enum side *out, struct err *e);

/* Ends an install of r that failed or was stopped before it was activated: records why (e's text),
 * and that it is not under way. The target stays not bootable, unless it could not be marked so:
 * then nothing has changed. Returns -1 with e as it was. */
int install_abandon(const struct conf *c, struct state *s, const struct release *r, struct err *e);

/* Where the canonical "signed" part of the manifest of what a side holds is kept (its digest is the
 * release's), for checking what runs. out holds PATH_MAX. */
int install_manifest_path(
	const struct conf *c, bool tree_only, enum side side, char *out, struct err *e);

/* Records PHASE_ACTIVATED, then switches: the one commit point. */
int install_activate(
	const struct conf *c, const struct boot_backend *boot, struct state *s, struct err *e);

#endif
