#include "signer/plan_box.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/format/offer.h"
#include "signer/audience.h"

enum { LIST_SIZE = 160, DAY_S = 86400 };

/* "lyon, paris", cut where there are many. */
static const char *
list_text(const json_t *list, char out[LIST_SIZE])
{
	const json_t *value;
	size_t i, len = 0;

	out[0] = 0;
	json_array_foreach (list, i, value) {
		if (len + json_string_length(value) + 8 > LIST_SIZE) {
			(void)snprintf(out + len, LIST_SIZE - len, ", ...");
			break;
		}
		len += (size_t)snprintf(out + len, LIST_SIZE - len, "%s%s", len ? ", " : "",
			json_string_value(value));
	}
	return out;
}

static void why_say(char out[PLAN_BOX_TEXT_SIZE], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void
why_say(char out[PLAN_BOX_TEXT_SIZE], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(out, PLAN_BOX_TEXT_SIZE, format, args);
	va_end(args);
}

/* The first tag that is in the way. */
static void
tag_say(const struct plan *p, const struct box_facts *box, char *out)
{
	char values[LIST_SIZE];
	const json_t *wanted;
	const char *tag;

	json_object_foreach ((json_t *)(uintptr_t)p->match, tag, wanted) {
		const char *has = json_string_value(json_object_get(box->tags, tag));

		if (has && json_has_text(wanted, has))
			continue;
		list_text(wanted, values);
		if (has)
			why_say(out, "its tag %s is %s, and the plan is for %s", tag, has, values);
		else
			why_say(out, "it has no tag %s, and the plan is for %s", tag, values);
		return;
	}
}

static void
from_say(const struct plan *p, const struct box_facts *box, char *out)
{
	char wanted[LIST_SIZE];

	list_text(json_object_get(p->doc, "from"), wanted);
	if (*box->version)
		why_say(out, "it runs %s, and the plan is for %s", box->version, wanted);
	else
		why_say(out, "what it runs is not known, and the plan is for %s", wanted);
}

static void
left_out_say(const struct plan *p, const struct box_facts *box, enum membership why, char *out)
{
	char classes[LIST_SIZE];
	uint32_t bucket = plan_bucket(p->rollout, box->id), last = 0;

	for (size_t i = 0; i < p->wave_count; i++)
		last = p->waves[i].has_percent ? p->waves[i].percent_bp : last;
	if (why == MEMBER_NOT_COMPATIBLE)
		why_say(out, "it is %s, and the plan is for %s",
			*box->compatible ? box->compatible : "of no class of hardware",
			list_text(p->compatible, classes));
	else if (why == MEMBER_NOT_MATCHED)
		tag_say(p, box, out);
	else if (why == MEMBER_NOT_FROM)
		from_say(p, box, out);
	else if (why == MEMBER_NOT_RECALLED)
		why_say(out, "it is not known to run %s, which is recalled", p->recall_path);
	else if (why == MEMBER_NO_WAVE)
		why_say(out,
			"no wave names it, and its bucket is %u.%02u%%, where waves end at "
			"%u.%02u%%",
			bucket / 100, bucket % 100, last / 100, last % 100);
	else
		why_say(out, "`exclude` names it");
}

static void
member_say(const struct plan *p, const struct fleet_member *m, struct plan_box *b)
{
	uint32_t bucket = plan_bucket(p->rollout, m->facts.id);
	const struct wave *w;
	enum membership why;

	if (!audience_asks(p, m)) {
		if (m->revoked)
			why_say(b->member, "it is revoked");
		else
			why_say(b->member, "it follows %s", m->plan);
		return;
	}
	why = plan_membership(p, &m->facts, &b->wave);
	b->in_wave = why == MEMBER_OF_WAVE;
	if (!b->in_wave) {
		left_out_say(p, &m->facts, why, b->member);
		return;
	}
	w = &p->waves[b->wave];
	if (w->has_percent)
		why_say(b->member, "its bucket is %u.%02u%%, and %s goes up to %u.%02u%%",
			bucket / 100, bucket % 100, w->name, w->percent_bp / 100,
			w->percent_bp % 100);
	else
		why_say(b->member, "%s names it", w->name);
}

/* What a box is asked, as far as it is known here, and its answer. */
struct question {
	const struct plan *p;
	const struct publication *pub;
	const struct ledger_past *past; /* or NULL */
	const char *wave;
	struct offer offer;
};

/* The answer in words. */
typedef void teller(const struct question *q, char *out);

static void
tell_update(const struct question *q, char *out)
{
	why_say(out, q->p->has_window && !q->p->window.utc ? "it may start, in its window"
							   : "it may start");
}

/* Whether it is stopped or not. */
static void
tell_running(const struct question *q, char *out)
{
	why_say(out, "it runs %s %s already", q->pub->binding.listing.name,
		q->pub->binding.listing.version);
}

static void
tell_stopped(const struct question *q, char *out)
{
	why_say(out, "%s is stopped: %s", q->p->path, publication_stop(q->pub)->reason);
}

/* No box has this file's plan yet. */
static void
tell_unpublished(const struct question *q, char *out)
{
	if (!q->pub->before.listed)
		why_say(out, "the plan is not published");
	else if (!q->pub->bound)
		why_say(out, "%s", q->pub->why.text);
	else
		why_say(out, "what is published differs from this file: `sluice rollout diff`");
}

static void
tell_shut(const struct question *q, char *out)
{
	if (!q->pub->same)
		tell_unpublished(q, out);
	else
		why_say(out, "wave %s is not open", q->wave);
}

/* The first gate that is opened makes it, so mostly that is what is missing. */
static void
tell_no_all_gate(const struct question *q, char *out)
{
	if (!q->pub->known)
		why_say(out, "no gate is known: %s", q->pub->why.text);
	else if (publication_opens(q->pub, q->wave))
		why_say(out, GATE_ALL_PATH " is missing, and missing is shut");
	else
		tell_shut(q, out);
}

static void
tell_paused(const struct question *q, char *out)
{
	(void)q;
	why_say(out, "its gate is paused");
}

static void
tell_all_paused(const struct question *q, char *out)
{
	(void)q;
	why_say(out, "every box is paused");
}

static void
tell_failed(const struct question *q, char *out)
{
	const struct listing *l = &q->pub->binding.listing;

	why_say(out,
		"%s %s failed there before (%.240s); attempt %llu of the plan would try it again",
		l->name, l->version, q->past->why, (unsigned long long)q->past->attempt + 1);
}

static void
tell_below_floor(const struct question *q, char *out)
{
	const struct listing *l = &q->pub->binding.listing;

	why_say(out, "%s %s has rollback index %llu, and it takes none below %llu", l->name,
		l->version, (unsigned long long)l->rollback_index,
		(unsigned long long)q->past->rollback_floor);
}

static void
tell_not_started(const struct question *q, char *out)
{
	char when[CLOCK_TEXT_SIZE];

	why_say(out, "it waits for the plan's start, %s", clock_format(q->p->start_s, when));
}

static void
tell_no_opening(const struct question *q, char *out)
{
	char text[WINDOW_TEXT_SIZE];

	why_say(out, "its window (%s) does not open", window_text(&q->p->window, text));
}

static void
tell_not_its_turn(const struct question *q, char *out)
{
	char when[CLOCK_TEXT_SIZE];

	why_say(out, "it waits for its window: %s", clock_format(q->offer.turn_s, when));
}

/* What only the box knows keeps none back here. */
static teller *const answers[OFFER_ANSWERS] = {
	[OFFER_UPDATE] = tell_update,
	[OFFER_AFFECTED] = tell_running,
	[OFFER_STOPPED] = tell_stopped,
	[OFFER_NO_ALL_GATE] = tell_no_all_gate,
	[OFFER_NOT_RELEASED] = tell_unpublished,
	[OFFER_RUNNING] = tell_running,
	[OFFER_NO_GATE] = tell_shut,
	[OFFER_UNBOUND] = tell_shut,
	[OFFER_WAVE_SHUT] = tell_shut,
	[OFFER_PAUSED] = tell_paused,
	[OFFER_ALL_PAUSED] = tell_all_paused,
	[OFFER_FAILED] = tell_failed,
	[OFFER_BELOW_FLOOR] = tell_below_floor,
	[OFFER_NOT_STARTED] = tell_not_started,
	[OFFER_NO_OPENING] = tell_no_opening,
	[OFFER_NOT_ITS_TURN] = tell_not_its_turn,
};

/* By what is published. A plan that is not, or not like this, is one that no gate is of. */
static void
offer_ask(struct question *q, const struct fleet_member *m, int64_t now_s)
{
	const struct publication *pub = q->pub;
	const struct offer_past failed = {.attempt = q->past ? q->past->attempt : 0};
	const struct offer_facts facts = {
		.stopped = publication_stop(pub) != NULL,
		.plan = pub->same ? &pub->before.plan : q->p,
		.plan_sha256 = &pub->before.sha256,
		.listing = pub->bound ? &pub->binding.listing : NULL,
		.gate = pub->same && pub->gate.listed ? &pub->gate.gate : NULL,
		.all = pub->known && pub->all.listed ? &pub->all.gate : NULL,
		.box = m->facts,
		.past = q->past && q->past->failed ? &failed : NULL,
		.rollback_floor = q->past ? q->past->rollback_floor : 0,
		.now_s = now_s,
		.fresh = true,
		.elsewhere = true,
	};

	offer_decide(&facts, &q->offer);
}

static void
verdict_find(const struct plan *p, const struct publication *pub, const struct fleet_member *m,
	const struct ledger_past *past, int64_t now_s, struct plan_box *b)
{
	struct question q = {.p = p, .pub = pub, .past = past, .wave = p->waves[b->wave].name};

	if (!pub) {
		why_say(b->verdict, "whether wave %s is open is not known without a workspace",
			q.wave);
		return;
	}
	offer_ask(&q, m, now_s);
	b->may_start = q.offer.answer == OFFER_UPDATE;
	if (answers[q.offer.answer])
		answers[q.offer.answer](&q, b->verdict);
}

/* By the clock. One that is each box's own is not known here. */
static void
turn_find(const struct plan *p, const struct fleet_member *m, int64_t now_s, struct plan_box *b)
{
	if (p->has_window)
		b->offset_s = window_offset(&p->window, p->rollout, m->facts.id);
	b->turn_s = p->has_window && !p->window.utc ? -1 : offer_turn_s(p, m->facts.id, now_s);
}

void
plan_box_find(const struct plan *p, const struct publication *pub, const struct fleet_member *m,
	const struct ledger_past *past, int64_t now_s, struct plan_box *out)
{
	struct plan_box b = {.turn_s = now_s};

	member_say(p, m, &b);
	if (b.in_wave) {
		turn_find(p, m, now_s, &b);
		verdict_find(p, pub, m, past, now_s, &b);
	}
	*out = b;
}

/* "37m 12s behind its opening, from 02:37:12 on". */
static void
window_print(const struct plan *p, const struct plan_box *b)
{
	uint32_t at = (p->window.opens_s + b->offset_s) % DAY_S;
	char text[WINDOW_TEXT_SIZE], when[CLOCK_TEXT_SIZE];

	(void)printf("  window   %s; its turn is %um %02us behind the opening, at %02u:%02u:%02u\n",
		window_text(&p->window, text), b->offset_s / 60, b->offset_s % 60, at / 3600,
		at % 3600 / 60, at % 60);
	if (b->turn_s >= 0)
		(void)printf("  next     %s\n", clock_format(b->turn_s, when));
}

void
plan_box_print(const struct plan *p, const struct fleet_member *m, const struct plan_box *b)
{
	char when[CLOCK_TEXT_SIZE];

	if (!b->in_wave) {
		(void)printf("%s is in no wave of %s: %s\n", m->facts.id, p->rollout, b->member);
		return;
	}
	(void)printf("%s is in wave %s of %s: %s\n", m->facts.id, p->waves[b->wave].name,
		p->rollout, b->member);
	(void)printf("  runs     %s\n", *m->facts.version ? m->facts.version : "what is not known");
	if (p->start_s > 0)
		(void)printf("  start    not before %s\n", clock_format(p->start_s, when));
	if (p->has_window)
		window_print(p, b);
	(void)printf("  now      %s\n", b->verdict);
}

json_t *
plan_box_json(const struct plan *p, const struct fleet_member *m, const struct plan_box *b)
{
	json_t *j = json_pack("{s:s, s:s, s:b, s:s}", "box", m->facts.id, "rollout", p->rollout,
		"in_wave", b->in_wave, "why", b->member);
	char when[CLOCK_TEXT_SIZE];

	if (!b->in_wave)
		return j;
	(void)json_object_set_new(j, "wave", json_string(p->waves[b->wave].name));
	(void)json_object_set_new(j, "may_start", json_boolean(b->may_start));
	(void)json_object_set_new(j, "verdict", json_string(b->verdict));
	if (p->has_window)
		(void)json_object_set_new(j, "offset_s", json_integer(b->offset_s));
	if (b->turn_s >= 0)
		(void)json_object_set_new(j, "turn", json_string(clock_format(b->turn_s, when)));
	return j;
}
