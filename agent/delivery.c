#include "agent/delivery.h"

#include "agent/install.h"
#include "common/base/log.h"

static int
deliver(const struct delivery *d, const struct intake_job *j, struct err *e)
{
	struct pending p = order_pending(d->order);
	const struct release *r = &j->h->release;
	AUTO_INTAKE struct intake *i = NULL;
	char plan[HAUL_TEXT_SIZE], text[INSTALL_TEXT_SIZE];
	struct pending announced = order_announce(d->order);
	struct box *b = d->box;

	if (install_look(&b->conf, b->boot, b->state, j, &i, e) < 0)
		return -1;
	d->foretell(d->arg, &announced, haul_text(intake_haul(i), plan));
	if (install_write(&b->conf, b->boot, b->state, i, &p, e) < 0)
		return -1;
	log_notice("%s %s: %s", r->name, r->version, install_text(j->stats, text));
	return 0;
}

/* The delta's bytes are counted by a budget of its own, which spends what the other does. */
static int
deliver_all(const struct delivery *d, struct intake_job *j, struct budget *of_delta, struct err *e)
{
	CLEANUP(net_source_free) struct net_source *remote = NULL;
	const struct delta_offer *offer = &d->order->delta;
	struct source source, counted;

	if (d->delta->fd < 0)
		return deliver(d, j, e);
	if (net_source_new(d->net, offer->url, offer->length, &d->keep_going, &remote, e) < 0)
		return -1;
	source = net_source_of(remote);
	counted = budget_source(of_delta, &source);
	j->delta = d->delta;
	j->delta_source = &counted;
	return deliver(d, j, e);
}

int
delivery_run(const struct delivery *d, const struct head *h, bool *held, struct err *e)
{
	CLEANUP(net_source_free) struct net_source *remote = NULL;
	struct budget of_delta = *d->budget;
	struct install_stats stats = {0};
	struct source source, counted;
	struct intake_job j = {.c = &d->box->conf,
		.h = h,
		.source = &counted,
		.keep_going = &d->keep_going,
		.stats = &stats};

	if (net_source_new(d->net, d->order->bundle_url, d->order->bundle_length, &d->keep_going,
		    &remote, e) < 0)
		return -1;
	source = net_source_of(remote);
	counted = budget_source(d->budget, &source);
	if (deliver_all(d, &j, &of_delta, e) == 0)
		return 0;
	*held = budget_is_over(d->budget) || budget_is_over(&of_delta);
	return -1;
}
