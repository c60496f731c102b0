#include "agent/rescue.h"

#include <string.h>

#include "agent/confirm.h"
#include "agent/trial.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/num.h"

/* The bootloader was told to leave it, was started since, and came back: the other side does not
 * start. One more start would end here, too, as settle() knows where it can save that. */
static bool
is_stranded(const struct box *b, const struct boot_side *there)
{
	const struct pending *p = &b->state->pending;
	char boot_id[BOOT_ID_MAX + 1];
	struct err e;

	return (p->told || !there->bootable) &&
	       b->boot->boot_id(b->boot, &b->conf, boot_id, &e) == 0 &&
	       strcmp(p->boot_id, boot_id) != 0;
}

/* What is confirmed would only start again and again, as would trees, which no bootloader counts.
 * An environment that cannot be read is the likeliest of the new system's faults. */
static bool
may_fall_back(const struct box *b)
{
	const struct pending *p = &b->state->pending;
	struct boot_side there, other;
	struct err e;

	if (trial_is_forgotten(b))
		return true;
	if (p->tree_only || !trial_is_on(b))
		return false;
	if (b->boot->look(b->boot, &b->conf, p->target, &there, &e) < 0 ||
		b->boot->look(b->boot, &b->conf, side_other(p->target), &other, &e) < 0)
		return true;
	return !there.confirmed && boot_side_may_boot(&other) && !is_stranded(b, &there);
}

void
rescue_rest(struct rescue *r)
{
	r->since_ms = 0;
}

int64_t
rescue_step(struct rescue *r, const struct box *b, struct watchdog *w, int64_t wait_ms)
{
	int64_t now_ms = clock_boot_ms();
	struct err e;

	if (!may_fall_back(b)) {
		rescue_rest(r);
		return wait_ms;
	}
	if (r->since_ms == 0)
		r->since_ms = now_ms;
	if (now_ms - r->since_ms >= confirm_deadline_ms(&b->conf, b->state)) {
		r->since_ms = now_ms;
		log_error("nothing can be done on this new system: it is started anew, so that the "
			  "bootloader leaves it");
		if (box_reboot(b, &e) < 0) {
			log_error("%s", e.text);
			watchdog_let_go(w);
		}
	}
	return (int64_t)num_min((uint64_t)wait_ms, TRIAL_WAIT_MAX_MS);
}
