#include "agent/reaffirm.h"

#include "common/base/log.h"

/* What was confirmed here, and is still wanted. */
static bool
is_confirmed(const struct box *b, enum side current)
{
	const struct release *r = &b->state->running[current];
	const struct failed *f = state_failed(b->state, &r->manifest);

	return b->state->pending.phase == PHASE_NONE && r->known && (!f || f->inconclusive);
}

static int
look(const struct box *b, enum side *current, bool *forgotten, struct err *e)
{
	struct boot_side here;

	*forgotten = false;
	if (b->boot->current(b->boot, &b->conf, current, e) < 0)
		return -1;
	if (!is_confirmed(b, *current))
		return 0;
	if (b->boot->look(b->boot, &b->conf, *current, &here, e) < 0)
		return -1;
	*forgotten = here.bootable && !here.confirmed;
	return 0;
}

int
reaffirm_check(const struct box *b, struct err *e)
{
	enum side current;
	bool forgotten;

	if (look(b, &current, &forgotten, e) < 0)
		return -1;
	if (!forgotten)
		return 0;
	return err_set(e, ERR_SYSTEM,
		"side %s runs and was confirmed, and the bootloader has forgotten it: the agent "
		"confirms it again as it starts",
		side_name(current));
}

void
reaffirm(const struct box *b)
{
	enum side current;
	bool forgotten;
	struct err e;

	if (b->boot->mend && b->boot->mend(&b->conf, &e) < 0)
		log_warning("%s", e.text);
	if (look(b, &current, &forgotten, &e) < 0)
		log_warning("%s", e.text);
	else if (forgotten && b->boot->confirm(b->boot, &b->conf, current, &e) < 0)
		log_error("the bootloader has forgotten that side %s was confirmed: %s",
			side_name(current), e.text);
	else if (forgotten)
		log_warning("the bootloader had forgotten that side %s was confirmed: confirmed "
			    "again",
			side_name(current));
}
