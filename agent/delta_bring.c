#include "agent/delta_bring.h"

#include <stdio.h>

#include "agent/delta_head.h"
#include "agent/shelf.h"
#include "common/base/log.h"
#include "common/base/num.h"

/* Whether these are the bytes that signed metadata names. */
static int
digest_check(const struct delta_bring_job *j, const struct delta *d, struct err *e)
{
	const struct delta_listing *l = &j->offer->listing;
	struct digest now;

	if (digest_fd(d->fd, d->name, 0, l->head_length, &now, e) < 0)
		return err_own(e);
	if (digest_equal(&now, &l->head_sha256))
		return 0;
	return err_set(e, ERR_UNTRUSTED,
		"%s: the SHA-256 of its head is not what signed metadata says", d->name);
}

/* A server that knows no ranges would give all of it. */
static int
head_fetch(const struct delta_bring_job *j, struct delta *d, struct err *e)
{
	CLEANUP(net_source_free) struct net_source *remote = NULL;
	uint64_t len = j->offer->listing.head_length;
	struct source source, counted;
	AUTO_CLOSE int fd = -1;

	if (head_spool_open(j->c->state_dir, &fd, e) < 0 ||
		net_source_new(j->net, j->offer->url, j->offer->length, j->keep_going, &remote, e) <
			0)
		return -1;
	source = net_source_of(remote);
	counted = budget_meter(j->budget, &source);
	(void)source_only_ranges(&counted, true);
	if (head_spool_fill(j->c->state_dir, &counted, len, fd, e) < 0)
		return -1;
	delta_drop(d);
	d->fd = take_fd(&fd);
	d->from = j->offer->listing.from;
	(void)snprintf(d->name, sizeof(d->name), "the delta from %.40s", j->offer->version);
	return digest_check(j, d, e);
}

static int
head_bring(const struct delta_bring_job *j, struct delta *d, struct err *e)
{
	size_t left = net_sources(j->net);

	while (head_fetch(j, d, e) < 0) {
		if (e->class != ERR_UNTRUSTED || --left == 0 ||
			keep_going_ask(j->keep_going, e) < 0)
			return -1;
		(void)net_next_source(j->net, e);
	}
	return 0;
}

/* What the shelf has lost is done without. */
static int
head_make(const struct delta_bring_job *j, struct delta *d, struct head *out, struct err *e)
{
	CLEANUP(net_source_free) struct net_source *remote = NULL;
	const struct delta_offer *o = j->offer;
	AUTO_HEAD struct head old = HEAD_INIT;
	struct source source, counted;
	struct delta_head_job job = {.c = j->c,
		.listing = j->bundle,
		.bundle = &counted,
		.running = o->side,
		.keep_going = j->keep_going};
	struct err why;

	if (shelf_take(j->c, o->tree_only, o->side, &o->listing.from, &old, &why) == 0)
		job.old = &old;
	else
		log_warning("%s is made without the index of what runs: %s", d->name, why.text);
	if (net_source_new(j->net, j->bundle_url, j->bundle_length, j->keep_going, &remote, e) < 0)
		return -1;
	source = net_source_of(remote);
	counted = budget_meter(j->budget, &source);
	(void)source_only_ranges(&counted, true);
	return delta_head_make(&job, d, out, e);
}

int
delta_bring(const struct delta_bring_job *j, struct delta *d, struct head *out, struct err *e)
{
	uint64_t spent = budget_spent(j->budget), len = j->offer->listing.head_length;
	char of[NUM_HUMAN_SIZE], whole[NUM_HUMAN_SIZE];

	if (len >= j->bundle->head_length || len > j->offer->length)
		return err_set(e, ERR_MALFORMED,
			"the delta from %s has a head of %s, and the bundle one of %s",
			j->offer->version, num_human_size(len, of),
			num_human_size(j->bundle->head_length, whole));
	if (budget_fits(j->budget, len, e) < 0)
		return -1;
	if (head_bring(j, d, e) == 0 && head_make(j, d, out, e) == 0) {
		log_notice("%s serves: its head of %s instead of %s", d->name,
			num_human_size(len, of), num_human_size(j->bundle->head_length, whole));
		return 0;
	}
	delta_drop(d);
	budget_waste(j->budget, spent);
	return -1;
}
