#include "agent/settle.h"

#include <stdio.h>
#include <string.h>

#include "agent/confirm.h"
#include "agent/revert.h"
#include "common/base/clock.h"
#include "common/base/num.h"

/* What is known of an update that was activated, or given up. */
struct scene {
	const struct conf *c;
	const struct boot_backend *boot, *own;
	struct state *s;
	struct settlement *out;
	enum side current;
	struct boot_side target;
	char boot_id[BOOT_ID_MAX + 1];
};

static int
ends(struct scene *x, enum settled what, const char *detail)
{
	x->out->what = what;
	(void)snprintf(x->out->detail, sizeof(x->out->detail), "%s", detail);
	return 0;
}

static int
clean(struct scene *x, const char *detail, struct err *e)
{
	(void)snprintf(x->s->last_result, sizeof(x->s->last_result), "%s %s: %s",
		x->out->was.release.name, x->out->was.release.version, detail);
	x->s->pending = (struct pending){0};
	if (state_save(x->c->state_dir, x->s, e) < 0)
		return -1;
	return ends(x, SETTLED_CLEANED, detail);
}

/* A boot of the new system that was not seen yet is counted, and its time starts to run. */
static int
unconfirmed(struct scene *x, struct err *e)
{
	struct pending *p = &x->s->pending;

	if (strcmp(p->seen_boot_id, x->boot_id) != 0) {
		memcpy(p->seen_boot_id, x->boot_id, sizeof(p->seen_boot_id));
		p->first_seen_boot_ms = clock_boot_ms() > 0 ? clock_boot_ms() : 1;
		p->boots++;
		if (state_save(x->c->state_dir, x->s, e) < 0)
			return -1;
		x->out->was = *p;
	}
	return ends(x, SETTLED_UNCONFIRMED, "the new system runs and is not confirmed yet");
}

/* Power that goes again and again uses up the tries, as a crash does. A system that was in order,
 * and waited for a server that is down, had no fair chance: it is tried again, a bounded number of
 * times. */
static int
fell_back(struct scene *x, struct err *e)
{
	bool in_order = x->s->pending.in_order;
	char why[160];

	(void)snprintf(why, sizeof(why),
		"the bootloader went back: the new system did not confirm itself in %llu tries%s",
		(unsigned long long)x->c->boot_tries,
		in_order ? "; it was in order, and waited for the server" : "");
	if (revert_begin(x->c, x->boot, x->s, in_order ? REVERT_INCONCLUSIVE : REVERT_CONDEMN, why,
		    e) < 0 ||
		revert_finish(x->c, x->boot, x->s, e) < 0)
		return -1;
	return ends(x, SETTLED_REVERTED, why);
}

/* Recorded, but the switch itself was cut off. */
static bool
was_cut_off(const struct scene *x, bool same_boot, enum side primary)
{
	const struct pending *p = &x->s->pending;
	bool off = !x->target.bootable && !(x->own->forgets_tries && p->switched);

	return p->tree_only || off || (same_boot && primary != p->target);
}

static int
activated(struct scene *x, struct err *e)
{
	const struct pending *p = &x->s->pending;
	bool same_boot = strcmp(x->boot_id, p->boot_id) == 0;
	enum side primary;

	if (x->current == p->target) {
		/* boot_links keeps no such record: what it says is not looked at. */
		if (!p->tree_only && x->target.confirmed) {
			if (confirm_commit(x->c, x->boot, x->s, e) < 0)
				return -1;
			return ends(x, SETTLED_CONFIRMED, "confirmed");
		}
		return unconfirmed(x, e);
	}
	if (x->own->primary(x->own, x->c, &primary, e) < 0)
		return -1;
	if (was_cut_off(x, same_boot, primary))
		return clean(x, "cut off just before it was activated", e);
	if (same_boot)
		return ends(x, SETTLED_INSTALLED, "installed; waits for the reboot");
	return fell_back(x, e);
}

/* The bootloader was told to go back, the box was rebooted, and what was given up runs again: the
 * old side does not start. Rebooting once more ends here, too. A later update writes it anew. */
static int
stranded(struct scene *x, struct err *e)
{
	const struct pending was = x->s->pending;
	char why[REPORT_DETAIL_MAX + 1];

	(void)snprintf(why, sizeof(why), "side %s does not start, so it stays here: %.768s",
		side_name(side_other(was.target)), x->s->last_result);
	state_end(x->s, &was, OUTCOME_FAILED, ERR_SYSTEM, why);
	memcpy(x->s->last_result, why, sizeof(why));
	x->s->pending.told = !was.tree_only;
	x->s->pending.target = was.target;
	if (state_save(x->c->state_dir, x->s, e) < 0)
		return -1;
	return ends(x, SETTLED_STRANDED, why);
}

static int
reverting(struct scene *x, struct err *e)
{
	struct pending *p = &x->s->pending;
	const struct failed *f = p->cancelled ? NULL : state_failed(x->s, &p->release.manifest);

	if (x->current == p->target && strcmp(p->boot_id, x->boot_id) != 0) {
		if (p->told || !x->target.bootable)
			return stranded(x, e);
		/* The power went before the bootloader was told. */
		memcpy(p->boot_id, x->boot_id, sizeof(p->boot_id));
		if (state_save(x->c->state_dir, x->s, e) < 0)
			return -1;
	}

	/* Of what was cancelled only the last result says why. */
	(void)ends(x, SETTLED_REVERTED, f ? f->reason : x->s->last_result);
	if (revert_finish(x->c, x->boot, x->s, e) < 0)
		return -1;
	if (p->phase == PHASE_REVERTING)
		x->out->what = SETTLED_GOING_BACK;
	else if (x->s->ended.outcome == OUTCOME_INCONCLUSIVE && !x->s->ended.in_doubt)
		(void)snprintf(x->out->detail, sizeof(x->out->detail), "inconclusive: %.768s",
			x->s->ended.detail);
	return 0;
}

int
settle(const struct conf *c, const struct boot_backend *boot, struct state *s,
	struct settlement *out, struct err *e)
{
	const struct boot_backend *own = boot_for(boot, s->pending.tree_only);
	struct scene x = {.c = c, .boot = boot, .own = own, .s = s, .out = out};

	*out = (struct settlement){.was = s->pending};
	if (s->pending.phase == PHASE_NONE)
		return ends(&x, SETTLED_NOTHING, "");
	if (s->pending.phase == PHASE_INSTALLING)
		return clean(&x, "cut off while it was written", e);
	if (own->current(own, c, &x.current, e) < 0 ||
		own->look(own, c, s->pending.target, &x.target, e) < 0 ||
		boot->boot_id(boot, c, x.boot_id, e) < 0)
		return -1;
	return s->pending.phase == PHASE_ACTIVATED ? activated(&x, e) : reverting(&x, e);
}
