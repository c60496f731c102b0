#include "agent/account.h"

#include <stdio.h>

#include "common/base/log.h"

/* Wrong bytes, or a slot too small, may be mended. What was signed and still makes no sense will
 * not. */
static void
condemn(struct state *s, const struct order *o, const struct err *why)
{
	struct failed f = {
		.manifest = o->listing.manifest_sha256, .attempt = o->attempt, .tries = 1};

	if (why->class != ERR_MALFORMED && why->class != ERR_LIMIT)
		return;
	(void)snprintf(f.reason, sizeof(f.reason), "%s", why->text);
	state_remember_failed(s, &f);
}

void
account_failure(
	struct reporter *r, const struct order *o, bool held, const struct err *why, int64_t at_s)
{
	struct state *s = r->box->state;
	struct pending p = order_announce(o);
	struct err failed;

	/* It was not cut off: settle() has nothing to find, and the reason stays what people see.
	 */
	if (s->pending.phase == PHASE_INSTALLING)
		s->pending = (struct pending){0};
	(void)snprintf(s->last_result, sizeof(s->last_result), "%s %s: %.768s", p.release.name,
		p.release.version, why->text);
	if (why->class == ERR_STOPPED) {
		state_end(s, &p, OUTCOME_STOPPED, why->class, why->text);
	} else if (held || why->class == ERR_NETWORK || why->class == ERR_EXPIRED ||
		   why->class == ERR_SYSTEM) {
		reporter_say(r, &(struct event){BOX_HELD, OUTCOME_NONE, &p, why, NULL}, at_s);
	} else {
		state_end(s, &p, OUTCOME_FAILED, why->class, why->text);
		condemn(s, o, why);
	}
	if (state_save(r->box->conf.state_dir, s, &failed) < 0)
		log_error("%s", failed.text);
}
