#include "agent/order.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"

enum { PIECE_BYTES = 16 * 1024 };

void
order_free(struct order *o)
{
	free(o->bundle_url);
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
		.stop_poll_s = w->plan.stop_poll_s};

	(void)snprintf(o.rollout, sizeof(o.rollout), "%s", w->plan.rollout);
	(void)snprintf(o.wave, sizeof(o.wave), "%s", d->wave);
	o.bundle_url = strdup(w->bundle_url);
	if (!o.bundle_url)
		return err_sys(e, ENOMEM, "taking an order");
	*out = o;
	return 0;
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

/* Copies the first len bytes of the bundle into fd. */
static int
copy_head(const struct source *s, uint64_t len, int fd, const char *name, struct err *e)
{
	uint8_t piece[PIECE_BYTES];
	uint64_t at = 0;
	ssize_t n;

	if (s->open(s->arg, 0, len, e) < 0)
		return -1;
	while ((n = s->read(s->arg, piece, sizeof(piece), e)) > 0) {
		if (file_pwrite_full(fd, name, piece, (size_t)n, at, e) < 0)
			return -1;
		at += (uint64_t)n;
	}
	return n < 0 ? -1 : 0;
}

int
order_fetch_head(const struct order *o, const struct conf *c, struct net *n,
	const struct keep_going *keep_going, struct head *out, struct err *e)
{
	CLEANUP(net_source_free) struct net_source *remote = NULL;
	AUTO_HEAD struct head head = HEAD_INIT;
	AUTO_CLOSE int fd = open(c->state_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct source source;
	char name[64];

	if (fd < 0)
		return err_sys(e, errno, "making a file in %s", c->state_dir);
	(void)snprintf(name, sizeof(name), "%.40s head", o->listing.name);
	if (net_source_new(n, o->bundle_url, keep_going, &remote, e) < 0)
		return -1;
	source = net_source_of(remote);
	if (copy_head(&source, o->listing.head_length, fd, name, e) < 0 ||
		head_verify_target(
			fd, name, o->listing.head_length, &o->listing.head_sha256, &head, e) < 0)
		return -1;
	(void)take_fd(&fd);
	if (!digest_equal(&head.release.manifest, &o->listing.manifest_sha256))
		return err_set(e, ERR_UNTRUSTED,
			"%s %s: its manifest is not the one that signed metadata lists",
			o->listing.name, o->listing.version);
	*out = head;
	head = HEAD_INIT;
	return 0;
}
