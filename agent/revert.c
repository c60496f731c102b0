#include "agent/revert.h"

#include <stdio.h>

#include "agent/pace.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/num.h"

static void
remember(struct state *s, const struct release *r, enum revert how, const char *why)
{
	const struct failed *before = state_failed(s, &r->manifest);
	struct failed f = {.manifest = r->manifest,
		.attempt = r->attempt,
		.inconclusive = how == REVERT_UNREACHED || how == REVERT_STALE ||
				how == REVERT_INCONCLUSIVE,
		.tries = 1};

	/* A try by hand, from a file, does not make the network's attempts count anew. */
	if (before)
		f.attempt = num_max(f.attempt, before->attempt);
	if (before && before->inconclusive && before->attempt == r->attempt)
		f.tries = before->tries + 1;
	(void)snprintf(f.reason, sizeof(f.reason), "%s", why);
	state_remember_failed(s, &f);
}

/* That it was told is what tells a power cut from an old side that does not start. Where it cannot
 * be saved, one more start shows it. */
static int
tell(const struct conf *c, const struct boot_backend *own, struct state *s, struct err *e)
{
	struct err unsaved;

	if (own->go_back(own, c, side_other(s->pending.target), e) < 0)
		return -1;
	if (s->pending.told)
		return 0;
	s->pending.told = true;
	if (state_save(c->state_dir, s, &unsaved) < 0)
		log_warning("%s", unsaved.text);
	return 0;
}

int
revert_begin(const struct conf *c, const struct boot_backend *boot, struct state *s,
	enum revert how, const char *why, struct err *e)
{
	const struct pending *p = &s->pending;
	const struct boot_backend *own = boot_for(boot, p->tree_only);
	struct err unsaved;

	if (p->phase != PHASE_ACTIVATED && p->phase != PHASE_REVERTING)
		return err_set(e, ERR_REFUSED, "no update is under way");
	if (how != REVERT_CANCEL)
		remember(s, &p->release, how, why);
	(void)snprintf(s->last_result, sizeof(s->last_result), "%s %s: given up: %.768s",
		p->release.name, p->release.version, why);
	s->pending.phase = PHASE_REVERTING;
	s->pending.cancelled = how == REVERT_CANCEL || how == REVERT_BY_HAND;
	s->pending.unreached = how == REVERT_UNREACHED;
	s->pending.in_doubt = how == REVERT_UNREACHED && !p->answered;
	s->pending.stale = how == REVERT_STALE;
	s->pending.told = false;
	if (own->boot_id(own, c, s->pending.boot_id, e) < 0)
		return -1;
	/* First what is remembered: with only the switch done, nobody would know why. Of a stop the
	 * fleet knows. */
	if (state_save(c->state_dir, s, &unsaved) < 0) {
		if (how != REVERT_CANCEL) {
			*e = unsaved;
			return -1;
		}
		log_error("going back all the same: %s", unsaved.text);
	}
	return tell(c, own, s, e);
}

/* What was in doubt is put off once that is over (doubt.h). The time is not known better here. */
static void
put_off(const struct conf *c, struct state *s, const struct failed *past)
{
	struct failed f = *past;
	int64_t wall_s = clock_wall_s();

	f.not_before_s = (wall_s > s->floor_s ? wall_s : s->floor_s) + pace_spaced_s(c, f.tries);
	state_remember_failed(s, &f);
}

/* What the fleet is told. Of what was cancelled only the last result says why. */
static void
end(const struct conf *c, struct state *s)
{
	const struct pending was = s->pending;
	enum err_class class = was.unreached ? ERR_NETWORK : was.stale ? ERR_EXPIRED : ERR_SYSTEM;
	const struct failed *f = was.cancelled ? NULL : state_failed(s, &was.release.manifest);

	if (!f)
		state_end(s, &was, OUTCOME_STOPPED, ERR_STOPPED, s->last_result);
	else if (f->inconclusive)
		state_end(s, &was, OUTCOME_INCONCLUSIVE, class, f->reason);
	else
		state_end(s, &was, OUTCOME_REVERTED, ERR_REFUSED, f->reason);
	if (f && f->inconclusive && !s->ended.in_doubt) {
		(void)snprintf(s->last_result, sizeof(s->last_result),
			"%s %s: inconclusive: %.768s", was.release.name, was.release.version,
			f->reason);
		put_off(c, s, f);
	}
}

int
revert_finish(const struct conf *c, const struct boot_backend *boot, struct state *s, struct err *e)
{
	const struct boot_backend *own = boot_for(boot, s->pending.tree_only);
	enum side old = side_other(s->pending.target), current;

	if (tell(c, own, s, e) < 0 || own->current(own, c, &current, e) < 0)
		return -1;
	if (current != old)
		return 0;
	end(c, s);
	return state_save(c->state_dir, s, e);
}

bool
revert_needs_reboot(const struct state *s)
{
	return s->pending.phase == PHASE_REVERTING;
}

int
revert_confirmed(const struct conf *c, const struct boot_backend *boot, struct state *s,
	bool tree_only, struct err *e)
{
	const struct boot_backend *own = boot_for(boot, tree_only);
	const struct release *releases = tree_only ? s->linked : s->running;
	const struct release *old, *now;
	struct boot_side there;
	enum side current;

	if (s->pending.phase != PHASE_NONE)
		return err_set(e, ERR_REFUSED, "an update is under way");
	if (own->current(own, c, &current, e) < 0)
		return -1;
	now = &releases[current];
	old = &releases[side_other(current)];
	if (own->look(own, c, side_other(current), &there, e) < 0)
		return -1;
	if (!there.bootable || !there.confirmed)
		return err_set(e, ERR_REFUSED, "side %s holds nothing that was confirmed",
			side_name(side_other(current)));
	/* What was there before this agent has index 0. */
	if (old->rollback_index < s->rollback_floor)
		return err_set(e, ERR_REFUSED,
			"side %s holds %s %s with rollback index %llu, and this box takes %llu "
			"and above",
			side_name(side_other(current)), old->known ? old->name : "a release",
			old->version, (unsigned long long)old->rollback_index,
			(unsigned long long)s->rollback_floor);
	if (now->known)
		remember(s, now, REVERT_CONDEMN, "rolled back by hand");
	(void)snprintf(s->last_result, sizeof(s->last_result), "%s %s: rolled back by hand",
		now->known ? now->name : "the release", now->version);
	if (own->boot_id(own, c, s->pending.boot_id, e) < 0)
		return -1;
	if (state_save(c->state_dir, s, e) < 0)
		return -1;
	return own->go_back(own, c, side_other(current), e);
}
