#include "agent/status.h"

#include <errno.h>

#include "agent/audit_record.h"
#include "agent/state_json.h"
#include "agent/warden.h"
#include "common/base/clock.h"

static int
given(json_t *j, json_t **out, struct err *e)
{
	if (!j)
		return err_sys(e, ENOMEM, "the status");
	*out = j;
	return 0;
}

static json_t *
side_json(const struct boot_side *s)
{
	return json_pack("{s:b, s:b, s:I}", "bootable", (int)s->bootable, "confirmed",
		(int)s->confirmed, "tries_left", (json_int_t)s->tries_left);
}

/* What the boot environment says, all of it. */
struct boot_view {
	enum side current, primary;
	struct boot_side side[SIDES];
	char boot_id[BOOT_ID_MAX + 1];
};

static int
boot_look(const struct box *b, struct boot_view *v, struct err *e)
{
	const struct boot_backend *boot = b->boot;
	const struct conf *c = &b->conf;

	if (boot->current(boot, c, &v->current, e) < 0 ||
		boot->primary(boot, c, &v->primary, e) < 0 ||
		boot->look(boot, c, SIDE_A, &v->side[SIDE_A], e) < 0 ||
		boot->look(boot, c, SIDE_B, &v->side[SIDE_B], e) < 0)
		return -1;
	return boot->boot_id(boot, c, v->boot_id, e);
}

int
status_boot_json(const struct box *b, json_t **out, struct err *e)
{
	struct boot_view v;

	if (boot_look(b, &v, e) < 0)
		return -1;
	return given(
		json_pack("{s:s, s:s, s:s, s:s, s:{s:o, s:o}}", "backend", b->boot->name, "current",
			side_name(v.current), "primary", side_name(v.primary), "boot_id", v.boot_id,
			"sides", "A", side_json(&v.side[SIDE_A]), "B", side_json(&v.side[SIDE_B])),
		out, e);
}

static json_t *
release_json(const struct release *r)
{
	char hex[DIGEST_HEX_SIZE];

	if (!r->known)
		return json_null();
	return json_pack("{s:s, s:s, s:I, s:s}", "name", r->name, "version", r->version,
		"rollback_index", (json_int_t)r->rollback_index, "manifest_sha256",
		digest_hex(&r->manifest, hex));
}

static json_t *
sides_json(const struct release sides[SIDES])
{
	return json_pack(
		"{s:o, s:o}", "A", release_json(&sides[SIDE_A]), "B", release_json(&sides[SIDE_B]));
}

static json_t *
pending_json(const struct pending *p)
{
	if (p->phase == PHASE_NONE)
		return json_null();
	return json_pack("{s:s, s:s, s:b, s:b, s:o, s:s, s:s}", "phase", phase_name(p->phase),
		"target", side_name(p->target), "tree_only", (int)p->tree_only, "local",
		(int)p->local, "release", release_json(&p->release), "rollout", p->rollout, "wave",
		p->wave);
}

static json_t *
failed_json(const struct state *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->failed_count; i++) {
		const struct failed *f = &s->failed[i];
		char hex[DIGEST_HEX_SIZE];

		(void)json_array_append_new(
			array, json_pack("{s:s, s:I, s:b, s:I, s:s}", "manifest_sha256",
				       digest_hex(&f->manifest, hex), "attempt",
				       (json_int_t)f->attempt, "inconclusive", (int)f->inconclusive,
				       "tries", (json_int_t)f->tries, "reason", f->reason));
	}
	return array;
}

static json_t *
stops_json(const struct state *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->stop_count; i++)
		(void)json_array_append_new(
			array, json_pack("{s:s, s:s, s:s}", "id", s->stops[i].id, "gate",
				       s->stops[i].gate, "reason", s->stops[i].reason));
	return array;
}

static json_t *
audit_json(const struct box *b)
{
	struct audit_record r;
	char at[CLOCK_TEXT_SIZE];

	if (audit_record_load(b, &r) != AUDIT_KNOWN)
		return json_null();
	return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "authentic", authentic_name(r.running),
		"why", r.why, "differences", (json_int_t)r.differences, "other",
		authentic_name(r.other), "other_why", r.other_why, "at", clock_format(r.at_s, at));
}

int
status_json(const struct box *b, json_t **out, struct err *e)
{
	AUTO_JSON json_t *boot = NULL, *child = NULL;
	const struct state *s = b->state;

	if (status_boot_json(b, &boot, e) < 0 || warden_json(&b->conf, &child, e) < 0)
		return -1;
	return given(json_pack("{s:s, s:s, s:O, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:s, s:O}",
			     "box", b->conf.id, "compatible", b->conf.compatible, "boot", boot,
			     "running", sides_json(s->running), "linked", sides_json(s->linked),
			     "pending", pending_json(&s->pending), "rollback_floor",
			     (json_int_t)s->rollback_floor, "failed", failed_json(s), "stops",
			     stops_json(s), "audit", audit_json(b), "intake",
			     state_intake_json(&s->intake), "last_result", s->last_result,
			     "network_process", child),
		out, e);
}

static int
side_text(const struct boot_view *v, enum side side, struct buf *out, struct err *e)
{
	const struct boot_side *s = &v->side[side];
	const char *here = v->current == side ? ", running" : "";
	const char *next = v->primary == side ? ", boots next" : "";

	if (!s->bootable)
		return buf_printf(
			out, e, "side %s: not bootable%s%s\n", side_name(side), here, next);
	if (s->confirmed)
		return buf_printf(out, e, "side %s: confirmed%s%s\n", side_name(side), here, next);
	return buf_printf(out, e, "side %s: on trial, %llu tries left%s%s\n", side_name(side),
		(unsigned long long)s->tries_left, here, next);
}

int
status_boot_text(const struct box *b, struct buf *out, struct err *e)
{
	struct boot_view v;

	if (boot_look(b, &v, e) < 0)
		return -1;
	if (buf_printf(out, e, "bootloader: %s\n", b->boot->name) < 0 ||
		side_text(&v, SIDE_A, out, e) < 0 || side_text(&v, SIDE_B, out, e) < 0)
		return -1;
	return buf_printf(out, e, "boot id: %s\n", v.boot_id);
}

static int
audit_text(const struct box *b, struct buf *out, struct err *e)
{
	struct audit_record r;
	char at[CLOCK_TEXT_SIZE];

	if (audit_record_load(b, &r) != AUDIT_KNOWN)
		return buf_printf(out, e, "audit: none yet of what runs\n");
	if (buf_printf(out, e, "installed software authentic: %s, at %s%s%s\n",
		    authentic_name(r.running), clock_format(r.at_s, at), r.why[0] ? ": " : "",
		    r.why) < 0)
		return -1;
	if (r.other != AUTHENTIC_NO)
		return 0;
	return buf_printf(out, e, "what it would go back to is not authentic: %s\n", r.other_why);
}

static int
release_text(
	const char *what, enum side side, const struct release *r, struct buf *out, struct err *e)
{
	if (!r->known)
		return 0;
	return buf_printf(out, e, "%s %s: %s %s, rollback index %llu\n", what, side_name(side),
		r->name, r->version, (unsigned long long)r->rollback_index);
}

static int
pending_text(const struct pending *p, struct buf *out, struct err *e)
{
	if (p->phase == PHASE_NONE)
		return buf_printf(out, e, "no update is under way\n");
	return buf_printf(out, e, "update under way: %s %s into side %s, %s%s\n", p->release.name,
		p->release.version, side_name(p->target), phase_name(p->phase),
		p->local ? ", from a file" : "");
}

int
status_text(const struct box *b, struct buf *out, struct err *e)
{
	const struct state *s = b->state;

	if (buf_printf(out, e, "box %s, %s\n", b->conf.id, b->conf.compatible) < 0 ||
		status_boot_text(b, out, e) < 0)
		return -1;
	for (size_t i = 0; i < SIDES; i++) {
		if (release_text("installed on side", (enum side)i, &s->running[i], out, e) < 0 ||
			release_text("linked folder", (enum side)i, &s->linked[i], out, e) < 0)
			return -1;
	}
	if (pending_text(&s->pending, out, e) < 0 ||
		buf_printf(out, e, "rollback floor: %llu\n",
			(unsigned long long)s->rollback_floor) < 0)
		return -1;
	for (size_t i = 0; i < s->stop_count; i++) {
		if (buf_printf(out, e, "stopped by %s: %s (%s)\n", s->stops[i].gate,
			    s->stops[i].reason, s->stops[i].id) < 0)
			return -1;
	}
	if (audit_text(b, out, e) < 0 || warden_text(&b->conf, out, e) < 0)
		return -1;
	return s->last_result[0] ? buf_printf(out, e, "last: %s\n", s->last_result) : 0;
}
