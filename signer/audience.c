#include "signer/audience.h"

#include <string.h>

#include "signer/inventory.h"

bool
audience_asks(const struct plan *p, const struct fleet_member *m)
{
	return !m->revoked && (!*m->plan || strcmp(m->plan, p->path) == 0);
}

void
audience_add(const struct plan *p, const struct fleet_member *m, struct audience *a)
{
	enum membership why;
	size_t wave = 0;

	if (!audience_asks(p, m)) {
		a->revoked += m->revoked;
		a->elsewhere += !m->revoked;
		return;
	}
	a->boxes++;
	why = plan_membership(p, &m->facts, &wave);
	if (why == MEMBER_OF_WAVE) {
		a->in_wave[wave]++;
		return;
	}
	a->left_out[why]++;
	a->in_none++;
}

int
boxes_each(const struct boxes *b,
	int (*each)(void *arg, const struct fleet_member *m, struct err *e), void *arg,
	struct err *e)
{
	return b->inventory ? inventory_each(b->inventory, each, arg, e)
			    : fleet_each_box(b->fleet, each, arg, e);
}

struct counting {
	const struct plan *plan;
	struct audience audience;
};

static int
member_count(void *arg, const struct fleet_member *m, struct err *e)
{
	struct counting *c = arg;

	(void)e;
	audience_add(c->plan, m, &c->audience);
	return 0;
}

int
audience_count(const struct boxes *b, const struct plan *p, struct audience *out, struct err *e)
{
	struct counting c = {.plan = p};

	if (boxes_each(b, member_count, &c, e) != 0)
		return -1;
	*out = c.audience;
	return 0;
}
