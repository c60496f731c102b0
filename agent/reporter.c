#include "agent/reporter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/audit_record.h"
#include "agent/identity.h"
#include "agent/spool.h"
#include "common/base/buf.h"
#include "common/base/log.h"

enum { DAY_S = 86400 };

static void
fill_running(const struct box *b, struct report *r)
{
	const struct release *running, *linked;
	struct err e;

	if (b->boot->boot_id(b->boot, &b->conf, r->boot_id, &e) < 0 ||
		box_running(b, &running, &e) < 0 || box_linked(b, &linked, &e) < 0) {
		log_warning("report: %s", e.text);
		return;
	}
	if (linked && linked->known)
		(void)digest_hex(&linked->manifest, r->linked_sha256);
	if (!running->known)
		return;
	(void)snprintf(r->version, sizeof(r->version), "%s", running->version);
	(void)digest_hex(&running->manifest, r->running_sha256);
}

/* Whom it obeys. */
static void
fill_orders(const struct box *b, struct report *r)
{
	(void)snprintf(r->plan, sizeof(r->plan), "%s", b->conf.plan ? b->conf.plan : "");
	for (size_t i = 0; i < b->state->stop_count; i++)
		memcpy(r->stops[i], b->state->stops[i].id, sizeof(r->stops[i]));
	r->stop_count = b->state->stop_count;
}

static void
fill_update(const struct pending *p, struct report *r)
{
	(void)snprintf(r->rollout, sizeof(r->rollout), "%s", p->rollout);
	(void)snprintf(r->wave, sizeof(r->wave), "%s", p->wave);
	r->plan_version = p->plan_version;
	r->attempt = p->attempt;
	if (!p->release.known)
		return;
	(void)snprintf(
		r->bundle, sizeof(r->bundle), "%s-%s.ota", p->release.name, p->release.version);
	(void)digest_hex(&p->release.manifest, r->bundle_sha256);
}

/* What it will take is known, and said in words, in the second report of those that tell of a
 * start. */
static void
fill_haul(const struct box *b, const struct event *event, struct report *r)
{
	const struct haul *h = &b->state->intake.haul;

	if (event->state != BOX_STARTING || !event->detail || !event->detail[0])
		return;
	r->has_haul = true;
	r->haul = (struct report_haul){.in_place = h->in_place,
		.zeros = h->zeros,
		.running = h->running,
		.inactive = h->inactive,
		.network = h->network,
		.fetch = h->stored,
		.ranges = h->ranges,
		.delta = h->delta,
		.records = h->records};
}

/* What the audit found first is told with whatever else there is. */
static void
fill_why(const struct box *b, const struct event *event, struct report *r)
{
	enum err_class class = event->why ? event->why->class : ERR_NONE;
	const char *text = event->why ? event->why->text : event->detail;
	char found[AUDIT_WHY_SIZE];

	r->authentic = audit_record_answer(b, found);
	text = text ? text : "";
	(void)snprintf(r->class_, sizeof(r->class_), "%s", err_class_name(class));
	(void)snprintf(r->detail, sizeof(r->detail), "%.*s%s%s%s",
		found[0] ? REPORT_DETAIL_MAX - AUDIT_WHY_SIZE - 32 : REPORT_DETAIL_MAX, text,
		found[0] && *text ? "; " : "", found[0] ? "not authentic: " : "", found);
	if (event->why)
		(void)log_tail(r->log, sizeof(r->log));
}

/* Two events with the same digest say the same. */
static struct digest
event_digest(const struct report *r)
{
	AUTO_BUF struct buf text = BUF_INIT(REPORT_BYTES_MAX);

	(void)buf_printf(&text, NULL, "%d\n%d\n%s\n%s\n%llu\n%llu\n%s\n%s\n%s\n%s\n%s\n%s\n%s",
		(int)r->state, (int)r->outcome, r->rollout, r->wave,
		(unsigned long long)r->plan_version, (unsigned long long)r->attempt,
		r->bundle_sha256, r->running_sha256, r->linked_sha256, r->boot_id, r->class_,
		r->detail, r->plan);
	for (size_t i = 0; i < r->stop_count; i++)
		(void)buf_printf(&text, NULL, "\n%s", r->stops[i]);
	(void)buf_printf(&text, NULL, "\n%s\n%s\n%s\n%s", r->certificate_serial,
		r->authorities_sha256, r->certificate_request, authentic_name(r->authentic));
	/* Who asks, asks again every day: a host may have lost it. */
	if (r->certificate_request[0])
		(void)buf_printf(&text, NULL, "\n%lld", (long long)(r->at_s / DAY_S));
	return digest_of(buf_span(&text));
}

static void
fill(const struct box *b, const struct event *event, int64_t at_s, struct report *r)
{
	r->state = event->state;
	r->outcome = event->outcome;
	r->at_s = at_s;
	r->rollback_floor = b->state->rollback_floor;
	(void)snprintf(r->source, sizeof(r->source), "%s",
		event->update && event->update->local ? "local" : "network");
	fill_running(b, r);
	fill_orders(b, r);
	if (b->conf.report_url)
		identity_report(&b->conf, r);
	if (event->update)
		fill_update(event->update, r);
	fill_haul(b, event, r);
	fill_why(b, event, r);
}

void
reporter_say(struct reporter *reporter, const struct event *event, int64_t at_s)
{
	AUTO_FREE struct report *r = calloc(1, sizeof(*r));
	const struct box *b = reporter->box;
	struct digest digest;
	struct err e;

	if (!r)
		return;
	fill(b, event, at_s, r);
	digest = event_digest(r);
	if (digest_equal(&digest, &reporter->last))
		return;
	if (spool_add(&b->conf, b->state, r, &e) < 0)
		log_error("report: %s", e.text);
	else
		reporter->last = digest;
	report_free(r);
}

void
reporter_repeat(struct reporter *reporter)
{
	reporter->last = (struct digest){{0}};
}

static enum box_state
state_after(enum outcome outcome)
{
	if (outcome == OUTCOME_OK)
		return BOX_CONFIRMED;
	return outcome == OUTCOME_STOPPED ? BOX_HELD : BOX_IDLE;
}

void
reporter_tell_end(struct reporter *reporter, int64_t at_s)
{
	AUTO_FREE struct report *r = calloc(1, sizeof(*r));
	const struct box *b = reporter->box;
	struct ended *d = &b->state->ended;
	struct event event = {state_after(d->outcome), d->outcome, &d->update, NULL, NULL};
	struct err why, e;

	if (!r || d->outcome == OUTCOME_NONE || d->in_doubt)
		return;
	(void)err_set(&why, d->class, "%s", d->detail);
	event.why = d->class == ERR_NONE ? NULL : &why;
	fill(b, &event, at_s, r);
	if (spool_add_once(&b->conf, b->state, r, &d->seq, &e) < 0) {
		log_error("report: %s", e.text);
	} else {
		reporter->last = event_digest(r);
		*d = (struct ended){0};
		if (state_save(b->conf.state_dir, b->state, &e) < 0)
			log_error("%s", e.text);
	}
	report_free(r);
}
