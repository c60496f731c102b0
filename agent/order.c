#include "agent/order.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent/delta_bring.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"

void
order_free(struct order *o)
{
	free(o->bundle_url);
	delta_offer_free(&o->delta);
	*o = (struct order){0};
}

int
order_take(const struct world *w, const struct decision *d, const struct conf *c, struct order *out,
	struct err *e)
{
	struct order o = {.bundle_length = w->plan.bundle_length,
		.listing = w->listing,
		.plan_version = w->plan.version,
		.attempt = w->plan.attempt,
		.deadline_s = num_min(w->plan.deadline_s, c->confirm_deadline_s),
		.stop_poll_s = w->plan.stop_poll_s,
		.budget_bytes = w->plan.budget_bytes,
		.recalls = w->plan.has_recall};

	(void)snprintf(o.rollout, sizeof(o.rollout), "%s", w->plan.rollout);
	(void)snprintf(o.wave, sizeof(o.wave), "%s", d->wave);
	o.bundle_url = strdup(w->bundle_url);
	if (!o.bundle_url)
		return err_sys(e, ENOMEM, "taking an order");
	*out = o;
	return 0;
}

struct budget
order_budget(const struct order *o, const struct conf *c, struct state *s, int64_t now_s)
{
	struct budget b = budget_begin(
		c->state_dir, s, &o->listing.manifest_sha256, o->attempt, o->budget_bytes);

	if (!o->recalls)
		budget_keep_hours(&b, &c->downloads, now_s);
	return b;
}

struct pending
order_pending(const struct order *o)
{
	struct pending p = {.plan_version = o->plan_version,
		.attempt = o->attempt,
		.deadline_s = o->deadline_s};

	(void)snprintf(p.rollout, sizeof(p.rollout), "%s", o->rollout);
	(void)snprintf(p.wave, sizeof(p.wave), "%s", o->wave);
	return p;
}

struct pending
order_announce(const struct order *o)
{
	struct pending p = order_pending(o);

	p.release = (struct release){.known = true,
		.rollback_index = o->listing.rollback_index,
		.manifest = o->listing.manifest_sha256,
		.attempt = o->attempt};
	(void)snprintf(p.release.name, sizeof(p.release.name), "%s", o->listing.name);
	(void)snprintf(p.release.version, sizeof(p.release.version), "%s", o->listing.version);
	return p;
}

void
kept_head_drop(struct kept_head *k)
{
	cleanup_fd(&k->fd);
	delta_drop(&k->delta);
	*k = KEPT_HEAD_INIT;
}

static int
head_fetch(const struct order *o, const struct conf *c, struct net *n, struct budget *b,
	const struct keep_going *keep_going, int *out, struct err *e)
{
	CLEANUP(net_source_free) struct net_source *remote = NULL;
	AUTO_CLOSE int fd = -1;
	struct source source, counted;

	if (head_spool_open(c->state_dir, &fd, e) < 0 ||
		net_source_new(n, o->bundle_url, o->bundle_length, keep_going, &remote, e) < 0)
		return -1;
	source = net_source_of(remote);
	counted = budget_meter(b, &source);
	if (head_spool_fill(c->state_dir, &counted, o->listing.head_length, fd, e) < 0)
		return -1;
	*out = take_fd(&fd);
	return 0;
}

static int
head_take(const struct order *o, const char *name, int *fd, struct head *out, struct err *e)
{
	if (head_verify_target(*fd, name, o->listing.head_length, &o->listing.head_sha256, out, e) <
		0)
		return -1;
	(void)take_fd(fd);
	return 0;
}

/* Counts for nothing what does not come to a head. */
static int
head_try(const struct order *o, const struct conf *c, struct net *n, struct budget *b,
	const struct keep_going *keep_going, const char *name, struct head *out, struct err *e)
{
	uint64_t spent = budget_spent(b);
	AUTO_CLOSE int fd = -1;

	if (budget_fits(b, o->listing.head_length, e) < 0)
		return -1;
	if (head_fetch(o, c, n, b, keep_going, &fd, e) == 0 && head_take(o, name, &fd, out, e) == 0)
		return 0;
	budget_waste(b, spent);
	return -1;
}

static int
head_bring(const struct order *o, const struct conf *c, struct net *n, struct budget *b,
	const struct keep_going *keep_going, const char *name, struct head *out, struct err *e)
{
	size_t left = net_sources(n);

	while (head_try(o, c, n, b, keep_going, name, out, e) < 0) {
		if (e->class != ERR_UNTRUSTED || --left == 0)
			return -1;
		if (keep_going_ask(keep_going, e) < 0)
			return -1;
		(void)net_next_source(n, e);
	}
	return 0;
}

/* Out of the delta. *whole: the bundle is asked for all of it. */
static int
head_derive(const struct order *o, const struct conf *c, struct net *n, struct budget *b,
	const struct keep_going *keep_going, struct delta *d, struct head *out, bool *whole,
	struct err *e)
{
	struct delta_bring_job j = {.c = c,
		.net = n,
		.budget = b,
		.offer = &o->delta,
		.bundle = &o->listing,
		.bundle_url = o->bundle_url,
		.bundle_length = o->bundle_length,
		.keep_going = keep_going};

	*whole = !o->delta.url;
	if (*whole || delta_bring(&j, d, out, e) == 0)
		return 0;
	if (e->class == ERR_STOPPED || budget_is_over(b))
		return -1;
	log_warning("no delta is used: %s", e->text);
	*whole = true;
	return 0;
}

/* The one that is kept, if it is as it was. */
static bool
kept_take(const struct order *o, const char *name, struct kept_head *kept, struct delta *d,
	struct head *out)
{
	bool same = digest_equal(&kept->sha256, &o->listing.head_sha256) && kept->fd >= 0;
	AUTO_CLOSE int fd = same ? take_fd(&kept->fd) : -1;

	if (o->delta.url && digest_equal(&kept->delta.from, &o->delta.listing.from)) {
		*d = kept->delta;
		kept->delta = DELTA_INIT;
	}
	kept_head_drop(kept);
	/* What the disk has spoilt is fetched again. */
	if (same && head_take(o, name, &fd, out, NULL) == 0)
		return true;
	delta_drop(d);
	return false;
}

static int
head_have(const struct order *o, const struct conf *c, struct net *n, struct budget *b,
	struct kept_head *kept, const struct keep_going *keep_going, struct delta *d,
	struct head *out, struct err *e)
{
	char name[64];
	bool whole;

	(void)snprintf(name, sizeof(name), "%.40s head", o->listing.name);
	if (kept_take(o, name, kept, d, out))
		return 0;
	if (head_derive(o, c, n, b, keep_going, d, out, &whole, e) < 0)
		return -1;
	return whole ? head_bring(o, c, n, b, keep_going, name, out, e) : 0;
}

int
order_bring_head(const struct order *o, const struct conf *c, struct net *n, struct budget *b,
	struct kept_head *kept, const struct keep_going *keep_going, struct head *out,
	struct err *e)
{
	AUTO_HEAD struct head head = HEAD_INIT;
	AUTO_DELTA struct delta delta = DELTA_INIT;

	if (head_have(o, c, n, b, kept, keep_going, &delta, &head, e) < 0)
		return -1;
	/* What its manifest does not account for has no place in a bundle, fetched or not. */
	if (head.layout.total_size != o->bundle_length)
		return err_set(e, ERR_MALFORMED,
			"%s %s: its manifest makes %llu bytes of it, and it is listed with %llu",
			o->listing.name, o->listing.version,
			(unsigned long long)head.layout.total_size,
			(unsigned long long)o->bundle_length);
	if (!digest_equal(&head.release.manifest, &o->listing.manifest_sha256))
		return err_set(e, ERR_UNTRUSTED,
			"%s %s: its manifest is not the one that signed metadata lists",
			o->listing.name, o->listing.version);
	/* Where it cannot be kept it is fetched again. */
	*kept = (struct kept_head){
		fcntl(head.fd, F_DUPFD_CLOEXEC, 0), o->listing.head_sha256, delta};
	delta = DELTA_INIT;
	*out = head;
	head = HEAD_INIT;
	return 0;
}
