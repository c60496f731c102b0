#include "agent/audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/audit_job.h"
#include "agent/shelf.h"
#include "common/base/text.h"

/* What is under audit, and what nobody can say of a side. */
struct look {
	const struct box *box;
	const struct role_keys *releases;
	const struct audit_ears *ears;
	struct audit_side *side;
	uint64_t excused;	      /* differences where what runs may write */
	char unknown[AUDIT_WHY_SIZE]; /* why nobody can say; or "" */
};

int
audit_line(const struct audit_difference *d, struct buf *out, struct err *e)
{
	if (buf_printf(out, e, "payload %s, slot %s", d->payload, d->slot) < 0 ||
		(d->path && buf_printf(out, e, ", %s", d->path) < 0) ||
		(d->is_chunk && buf_printf(out, e, ": chunk %llu, %llu bytes at %llu",
					(unsigned long long)d->chunk, (unsigned long long)d->length,
					(unsigned long long)d->offset) < 0))
		return -1;
	return buf_printf(out, e, ": %s", d->what);
}

/* Cut where it has to be, and still UTF-8. */
static void
why_set(char out[AUDIT_WHY_SIZE], const char *text)
{
	(void)snprintf(out, AUDIT_WHY_SIZE, "%.*s", AUDIT_WHY_SIZE - 1, text);
	text_clean(out);
}

static void
tell(struct audit_job *j, const char *path, struct audit_difference *d)
{
	AUTO_BUF struct buf line = BUF_INIT(AUDIT_WHY_SIZE + 2 * PATH_MAX);
	char clean[PATH_MAX];

	d->payload = audit_payload(j)->name;
	d->slot = j->slot;
	if (path) {
		(void)snprintf(clean, sizeof(clean), "%s", path);
		text_clean(clean);
		for (char *c = clean; *c; c++) {
			if (*c == '\n' || *c == '\t')
				*c = '?';
		}
		d->path = clean;
	}
	if (j->side->differences++ == 0 && audit_line(d, &line, NULL) == 0)
		why_set(j->side->why, buf_str(&line));
	if (j->ears->differs)
		j->ears->differs(j->ears->arg, j->side, d);
}

void
audit_tell(struct audit_job *j, const char *path, const char *what)
{
	tell(j, path, &(struct audit_difference){.what = what});
}

void
audit_tell_chunk(
	struct audit_job *j, const char *path, uint64_t offset, uint64_t length, const char *what)
{
	tell(j, path,
		&(struct audit_difference){.what = what,
			.is_chunk = true,
			.chunk = offset / CHUNK_BYTES,
			.offset = offset,
			.length = length});
}

void
audit_looked(struct audit_job *j, uint64_t bytes)
{
	j->done += bytes;
	if (j->ears->looked)
		j->ears->looked(j->ears->arg, j->side, j->done, j->total);
}

bool
audit_piece_is_right(const struct chunk *c, const uint8_t *data, size_t len)
{
	struct digest now;

	if (c->store == CHUNK_ZERO_RUN)
		return span_is_zero(span_of(data, len));
	now = digest_of(span_of(data, len));
	return digest_equal(&now, &c->plain);
}

/* The first reason stays. */
static void
unknown(struct look *l, const char *why)
{
	if (!l->unknown[0])
		why_set(l->unknown, why);
}

static const struct release *
release_of(const struct state *s, bool linked, enum side side)
{
	const struct release *there = linked ? &s->linked[side] : &s->running[side];
	const struct pending *p = &s->pending;

	if (p->phase == PHASE_ACTIVATED && p->target == side && p->tree_only == linked)
		return &p->release;
	return there;
}

/* Who signed is looked at in what was kept as it came. */
static int
signatures_check(const struct head *h, const struct role_keys *releases, struct err *e)
{
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX),
			    body = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO_VERIFIED struct verified v = {0};

	if (!releases)
		return err_set(e, ERR_UNTRUSTED, "this box does not know who may release");
	if (bundle_read_manifest(h->fd, h->name, &json, e) < 0 ||
		envelope_verify(buf_span(&json), h->name, releases, &v, e) < 0 ||
		json_canonical(v.body, &body, e) < 0)
		return -1;
	if (!span_equal(buf_span(&body), buf_span(&h->body)))
		return err_set(e, ERR_UNTRUSTED, "%s changed while it was read", h->name);
	return 0;
}

static int
head_take(struct look *l, struct head *out, struct err *e)
{
	const struct audit_side *s = l->side;
	AUTO_HEAD struct head h = HEAD_INIT;

	if (!s->release.known)
		return err_set(e, ERR_SYSTEM, "this agent did not install what is there");
	if (shelf_take(&l->box->conf, s->linked, s->side, &s->release.manifest, &h, e) < 0)
		return e->errnum == ENOENT
			       ? err_set(e, ERR_SYSTEM,
					 "its index was not kept; that of the next update will be")
			       : -1;
	if (signatures_check(&h, l->releases, e) < 0)
		return err_context(e, "not signed by those who may release today");
	*out = h;
	h = HEAD_INIT;
	return 0;
}

static int
payload_look(struct look *l, struct audit_job *j, struct err *e)
{
	AUTO_INDEX struct index_reader *index = NULL;
	const struct payload *p = audit_payload(j);
	const struct head *h = j->head;
	uint64_t before = l->side->differences;
	bool writable;
	int rc;

	j->class = conf_class(&l->box->conf, p->slot_class);
	if (!j->class)
		return err_set(e, ERR_SYSTEM, "agent.conf has no slot %s", p->slot_class);
	if ((p->kind == PAYLOAD_TREE) != (j->class->type == SLOT_DIR))
		return err_set(e, ERR_SYSTEM, "slot %s is of another type now", p->slot_class);
	(void)snprintf(j->slot, sizeof(j->slot), "%s %s", p->slot_class, side_name(l->side->side));
	writable = p->kind == PAYLOAD_IMAGE && !j->class->read_only;
	if (index_open(h->fd, h->name, h->layout.offset[j->payload][MEMBER_INDEX], p, &index, e) <
		0)
		return -1;
	j->index = index;
	rc = 0;
	if (!writable || !l->ears->skip_writable)
		rc = p->kind == PAYLOAD_TREE ? audit_tree(j, e) : audit_image(j, e);
	if (!writable)
		return rc;
	l->excused += l->side->differences - before;
	if (rc == 0 && (l->side->differences > before || l->ears->skip_writable))
		return err_set(e, ERR_SYSTEM,
			"slot %s is not read_only in agent.conf, so what runs may have written "
			"to it",
			j->slot);
	return rc;
}

/* What cannot be said of one payload hides nothing of the next. */
static int
payloads_look(struct look *l, const struct head *h, struct err *e)
{
	struct audit_job j = {.ears = l->ears, .side = l->side, .head = h};
	struct err why;

	for (size_t i = 0; i < h->manifest->payload_count; i++)
		j.total += h->manifest->payloads[i].size;
	for (; j.payload < h->manifest->payload_count; j.payload++) {
		if (payload_look(l, &j, &why) == 0)
			continue;
		if (why.class == ERR_STOPPED) {
			*e = why;
			return -1;
		}
		unknown(l, why.text);
	}
	return 0;
}

/* An update or a person may have begun to write the side. */
static int
still_there(const struct look *l, struct err *e)
{
	AUTO_FREE struct state *now = calloc(1, sizeof(*now));
	const struct audit_side *s = l->side;
	const struct release *r;

	if (!now)
		return err_sys(e, ENOMEM, "the audit");
	if (state_load(l->box->conf.state_dir, now, e) < 0)
		return -1;
	r = release_of(now, s->linked, s->side);
	if (!r->known || !digest_equal(&r->manifest, &s->release.manifest))
		return err_set(e, ERR_SYSTEM, "it was written while it was looked at");
	return 0;
}

static void
judge(struct look *l)
{
	struct audit_side *s = l->side;
	struct err e;

	if (s->release.known && still_there(l, &e) < 0) {
		s->answer = AUTHENTIC_UNKNOWN;
		why_set(s->why, e.text);
		return;
	}
	if (s->differences > l->excused) {
		s->answer = AUTHENTIC_NO;
		return;
	}
	s->answer = l->unknown[0] ? AUTHENTIC_UNKNOWN : AUTHENTIC_YES;
	memcpy(s->why, l->unknown, sizeof(s->why));
}

static int
side_look(struct look *l, struct err *e)
{
	AUTO_HEAD struct head h = HEAD_INIT;
	struct err why;

	l->excused = 0;
	l->unknown[0] = 0;
	l->side->release = *release_of(l->box->state, l->side->linked, l->side->side);
	if (head_take(l, &h, &why) < 0)
		unknown(l, why.text);
	else if (payloads_look(l, &h, e) < 0)
		return -1;
	judge(l);
	return 0;
}

static bool
has_kind(const struct conf *c, bool linked)
{
	for (size_t i = 0; i < c->class_count; i++) {
		if ((c->classes[i].current != NULL) == linked)
			return true;
	}
	return false;
}

static int
kind_look(struct look *l, bool linked, struct audit *out, struct err *e)
{
	const struct boot_backend *own = boot_for(l->box->boot, linked);
	enum side current = SIDE_A;
	struct err lost = ERR_INIT;
	bool known = own->current(own, &l->box->conf, &current, &lost) == 0;

	for (int i = 0; i < SIDES; i++) {
		l->side = &out->sides[out->count];
		*l->side = (struct audit_side){.linked = linked,
			.running = i == 0,
			.side = i == 0 ? current : side_other(current),
			.answer = AUTHENTIC_UNKNOWN};
		if (!known)
			why_set(l->side->why, lost.text);
		else if (side_look(l, e) < 0)
			return -1;
		out->count++;
	}
	return 0;
}

int
audit_run(const struct box *b, const struct role_keys *releases, const struct audit_ears *ears,
	struct audit *out, struct err *e)
{
	struct look l = {.box = b, .releases = releases, .ears = ears};

	*out = (struct audit){0};
	if (has_kind(&b->conf, false) && kind_look(&l, false, out, e) < 0)
		return -1;
	return has_kind(&b->conf, true) ? kind_look(&l, true, out, e) : 0;
}

static enum authentic
answer_of(const struct audit *a, bool running, const struct audit_side **first)
{
	static const enum authentic order[] = {AUTHENTIC_NO, AUTHENTIC_UNKNOWN};

	*first = NULL;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		for (size_t k = 0; k < a->count; k++) {
			if (a->sides[k].running == running && a->sides[k].answer == order[i]) {
				*first = &a->sides[k];
				return order[i];
			}
		}
	}
	return AUTHENTIC_YES;
}

enum authentic
audit_running(const struct audit *a, const struct audit_side **first)
{
	return answer_of(a, true, first);
}

enum authentic
audit_other(const struct audit *a, const struct audit_side **first)
{
	return answer_of(a, false, first);
}
