#include "signer/plan_box.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"
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

static bool
runs_already(const struct publication *pub, const struct box_facts *box)
{
	for (size_t i = 0; pub->bound && i < ARRAY_LEN(box->running); i++) {
		if (box->running[i] &&
			digest_equal(box->running[i], &pub->binding.listing.manifest_sha256))
			return true;
	}
	return false;
}

/* What the box itself remembers, by what it has said. */
static bool
is_refused(const struct plan *p, const struct listing *l, const struct ledger_past *past,
	struct plan_box *b)
{
	if (past->failed && p->attempt <= past->attempt)
		why_say(b->verdict,
			"%s %s failed there before (%.240s); attempt %llu of the plan would try it "
			"again",
			l->name, l->version, past->why, (unsigned long long)past->attempt + 1);
	else if (l->rollback_index < past->rollback_floor)
		why_say(b->verdict, "%s %s has rollback index %llu, and it takes none below %llu",
			l->name, l->version, (unsigned long long)l->rollback_index,
			(unsigned long long)past->rollback_floor);
	else
		return false;
	return true;
}

/* What else than the clock has the box wait. */
static bool
is_held(const struct plan *p, const struct publication *pub, const struct fleet_member *m,
	const struct ledger_past *past, struct plan_box *b)
{
	const char *wave = p->waves[b->wave].name;
	const struct stop *stop = pub ? publication_stop(pub) : NULL;

	if (!pub)
		why_say(b->verdict, "whether wave %s is open is not known without a workspace",
			wave);
	else if (runs_already(pub, &m->facts))
		why_say(b->verdict, "it runs %s %s already", pub->binding.listing.name,
			pub->binding.listing.version);
	else if (stop)
		why_say(b->verdict, "%s is stopped: %s", p->path, stop->reason);
	else if (!pub->known)
		why_say(b->verdict, "no gate is known: %s", pub->why.text);
	else if (!pub->before.listed)
		why_say(b->verdict, "the plan is not published");
	else if (!pub->same)
		why_say(b->verdict,
			"what is published differs from this file: `sluice rollout diff`");
	else if (!publication_opens(pub, wave))
		why_say(b->verdict, "wave %s is not open", wave);
	else if (pub->gate.gate.paused)
		why_say(b->verdict, "its gate is paused");
	else
		return past && is_refused(p, &pub->binding.listing, past, b);
	return true;
}

/* By the clock. One that is each box's own is not known here. */
static void
turn_find(const struct plan *p, const struct fleet_member *m, int64_t now_s, struct plan_box *b)
{
	int64_t from = p->start_s > now_s ? p->start_s : now_s;

	b->turn_s = from;
	if (!p->has_window)
		return;
	b->offset_s = window_offset(&p->window, p->rollout, m->facts.id);
	b->turn_s = p->window.utc ? window_turn(&p->window, b->offset_s, from) : -1;
}

void
plan_box_find(const struct plan *p, const struct publication *pub, const struct fleet_member *m,
	const struct ledger_past *past, int64_t now_s, struct plan_box *out)
{
	struct plan_box b = {.turn_s = now_s};
	char when[CLOCK_TEXT_SIZE];

	member_say(p, m, &b);
	if (!b.in_wave) {
		*out = b;
		return;
	}
	turn_find(p, m, now_s, &b);
	if (!is_held(p, pub, m, past, &b)) {
		b.may_start = b.turn_s <= now_s && p->start_s <= now_s;
		if (p->start_s > now_s)
			why_say(b.verdict, "it waits for the plan's start, %s",
				clock_format(p->start_s, when));
		else if (b.turn_s < 0)
			why_say(b.verdict, "it may start, in its window");
		else if (b.turn_s > now_s)
			why_say(b.verdict, "it waits for its window: %s",
				clock_format(b.turn_s, when));
		else
			why_say(b.verdict, "it may start");
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
