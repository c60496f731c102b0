#include "agent/intake.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "agent/delta_old.h"
#include "agent/delta_use.h"
#include "agent/proof.h"
#include "agent/reuse.h"
#include "agent/shelf.h"
#include "agent/slot.h"
#include "agent/tree.h"
#include "common/base/log.h"
#include "common/base/num.h"

/* One payload of it. Of a tree, whose folder is made anew, only what the look came to is kept. */
struct part {
	const struct payload *p;
	const struct slot_class *class;
	size_t number;
	struct index_reader *index, *scout;
	struct stored *stored;
	struct slot slot, running;
	struct place place, running_place;
	struct engine engine;
	struct wants *wrong;
	struct reuse *found;
	struct delta_use *use; /* of a delta: then nothing is looked for */
	bool same;	       /* a tree that is there as it should be */
};

struct intake {
	struct intake_job j;
	struct haul haul;
	struct head old; /* of what runs, as it was kept; its fd is -1: nobody needs it, or it is
			    lost */
	size_t count;
	struct part parts[PAYLOADS_MAX];
};

static void
part_free(struct part *p)
{
	reuse_free(&p->found);
	delta_use_free(&p->use);
	wants_free(&p->wrong);
	stored_free(&p->stored);
	index_close(&p->index);
	index_close(&p->scout);
	slot_close(&p->slot);
	slot_close(&p->running);
}

void
intake_free(struct intake **i)
{
	if (!*i)
		return;
	for (size_t n = 0; n < (*i)->count; n++)
		part_free(&(*i)->parts[n]);
	head_free(&(*i)->old);
	free(*i);
	*i = NULL;
}

const struct haul *
intake_haul(const struct intake *i)
{
	return &i->haul;
}

const struct intake_job *
intake_job_of(const struct intake *i)
{
	return &i->j;
}

static int
part_index(
	const struct intake *i, const struct part *part, struct index_reader **out, struct err *e)
{
	const struct head *h = i->j.h;

	return index_open(
		h->fd, h->name, h->layout.offset[part->number][MEMBER_INDEX], part->p, out, e);
}

static int
part_stored(const struct intake *i, struct part *part, struct err *e)
{
	const struct head *h = i->j.h;
	const uint64_t *offset = h->layout.offset[part->number];

	return stored_new(&(struct stored_job){.payload = part->p,
				  .source = i->j.source,
				  .offset = offset[MEMBER_STORED],
				  .head_fd = h->fd,
				  .head_name = h->name,
				  .seals_offset = offset[MEMBER_SEALS],
				  .state_dir = i->j.c->state_dir,
				  .keep_going = i->j.keep_going,
				  .fetched = &i->j.stats->bytes_fetched},
		&part->stored, e);
}

static int
part_open(const struct intake *i, struct part *part, struct err *e)
{
	const uint64_t *offset = i->j.h->layout.offset[part->number];

	if (part_index(i, part, &part->index, e) < 0 || part_index(i, part, &part->scout, e) < 0 ||
		part_stored(i, part, e) < 0)
		return -1;
	part->engine = (struct engine){.index = part->index,
		.scout = part->scout,
		.source = i->j.source,
		.data_offset = offset[MEMBER_DATA],
		.stored = part->stored,
		.keep_going = i->j.keep_going,
		.stats = i->j.stats};
	return 0;
}

/* The side that runs is only read. Where it cannot be, nothing is taken from it. */
static void
running_open(const struct intake *i, struct part *part)
{
	struct err e;

	if (part->running.fd >= 0)
		return;
	if (slot_open(part->class, side_other(i->j.target), false, &part->running, &e) < 0) {
		log_warning("%s", e.text);
		return;
	}
	part->running_place = slot_place(&part->running);
}

/* What a delta is good for, once its head was: where it is not, the box does without. */
static void
image_delta(const struct intake *i, struct part *part)
{
	const struct delta *d = i->j.delta;
	struct delta_use_job j = {.g = &part->engine,
		.wrong = part->wrong,
		.payload = part->p,
		.delta = d,
		.part = part->number,
		.running = &part->running_place,
		.source = i->j.delta_source};
	struct err why;

	if (!d || d->head.parts[part->number].old_bytes == 0 || wants_count(part->wrong) == 0)
		return;
	running_open(i, part);
	if (part->running.fd < 0 || part->running.size < d->head.parts[part->number].old_bytes)
		return;
	if (delta_use_look(&j, &part->use, &why) < 0)
		log_warning("payload %s does without the delta: %s", part->p->name, why.text);
}

/* An old image is seldom twice as large as the new one, and a slot may be many times. */
static int
image_reuse(const struct intake *i, struct part *part, struct err *e)
{
	const struct head *h = i->j.h;
	const uint64_t *offset = h->layout.offset[part->number];
	struct reuse_job j = {.g = &part->engine,
		.wrong = part->wrong,
		.image_bytes = part->p->size,
		.hints = part->p->members[MEMBER_HINTS].present,
		.hints_offset = offset[MEMBER_HINTS],
		.cuts = part->p->members[MEMBER_CUTS].present,
		.cuts_offset = offset[MEMBER_CUTS],
		.state_dir = i->j.c->state_dir};

	running_open(i, part);
	if (part->running.fd >= 0) {
		j.running = &part->running_place;
		j.running_bytes = num_min(part->running.size, 2 * part->p->size);
	}
	return reuse_look(&j, &part->found, e);
}

/* As what that is stored which has to be fetched. */
static int
image_stored(struct part *part, struct err *e)
{
	AUTO_WANTS struct wants *lacking = NULL;

	if (!part->use)
		return reuse_stored(&part->engine, part->wrong, part->found, e);
	return delta_use_lacking(part->use, &lacking, e) < 0
		       ? -1
		       : reuse_stored(&part->engine, lacking, NULL, e);
}

static int
image_haul(struct part *part, struct haul *haul, struct err *e)
{
	struct haul_part p = {part->index, part->stored, part->wrong, part->found, part->use};

	return haul_add(haul, &p, e);
}

/* The sync is what makes the comparison honest: what an interrupted install has left in the
 * kernel's cache only is not in place yet. */
static int
image_look(struct intake *i, struct part *part, struct err *e)
{
	if (slot_open(part->class, i->j.target, true, &part->slot, e) < 0 ||
		slot_sync(&part->slot, e) < 0)
		return -1;
	part->place = slot_place(&part->slot);
	part->engine.place = &part->place;
	if (engine_compare(&part->engine, &part->wrong, e) < 0)
		return err_context(e, "slot %s", part->slot.name);
	image_delta(i, part);
	if ((!i->j.near && !part->use && image_reuse(i, part, e) < 0) || image_stored(part, e) < 0)
		return -1;
	return image_haul(part, &i->haul, e);
}

/* A device may say that it made zeros, and have made none: then they are written. */
static int
zeros_write(struct part *part, struct wants *lost, struct err *e)
{
	AUTO_WANTS struct wants *written = NULL;

	log_warning("slot %s holds other bytes where it was to make zeros; they are written",
		part->slot.name);
	part->slot.holeless = true;
	if (wants_copy(lost, &written, e) < 0 || engine_mend(&part->engine, lost, e) < 0 ||
		slot_sync(&part->slot, e) < 0)
		return -1;
	return engine_check(&part->engine, written, NULL, e);
}

/* What was mended is wanted no more, so the list is there for what has to be done again. */
static int
image_check(struct part *part, const struct wants *written, struct err *e)
{
	struct wants *lost = part->wrong;

	if (engine_check(&part->engine, written, lost, e) < 0)
		return -1;
	return wants_count(lost) > 0 ? zeros_write(part, lost, e) : 0;
}

static int
part_sync(void *arg, struct err *e)
{
	return slot_sync(&((const struct part *)arg)->slot, e);
}

/* Writes what was found on this box. */
static int
image_take(struct part *part, struct err *e)
{
	int rc = part->found ? reuse_write(part->found, part->wrong, e) : 0;

	/* The state folder may need the room: for a stop, for reports, for the head. */
	reuse_free(&part->found);
	return rc;
}

/* The old image is not what the delta was made from, or its records cannot be had: the rest is
 * planned as where there is none. */
static int
image_plan_again(const struct intake *i, struct part *part, struct err *e)
{
	struct haul haul = {0};
	char text[HAUL_TEXT_SIZE];

	if (wants_count(part->wrong) == 0)
		return 0;
	if (image_reuse(i, part, e) < 0 || image_stored(part, e) < 0 ||
		image_haul(part, &haul, e) < 0)
		return -1;
	log_notice("payload %s: planned again: %s", part->p->name, haul_text(&haul, text));
	return image_take(part, e);
}

static int
image_apply(const struct intake *i, struct part *part, struct err *e)
{
	bool hopeless = false;
	int rc = part->use ? delta_use_write(part->use, part->wrong, &hopeless, e) : 0;

	delta_use_free(&part->use);
	if (rc < 0)
		return -1;
	return hopeless ? image_plan_again(i, part, e) : 0;
}

/* changed loses what is read back meanwhile. */
static int
image_mend(const struct intake *i, struct part *part, struct wants *changed, struct err *e)
{
	AUTO_INDEX struct index_reader *index = NULL;
	struct proof_plan plan = {&part->place, NULL, changed, PROOF_STRETCH, part_sync, part};
	struct err later;
	int rc;

	if (part_index(i, part, &index, e) < 0)
		return -1;
	plan.index = index;
	if (wants_count(changed) > PROOF_STRETCH && proof_start(&plan, &part->engine.proof, e) < 0)
		return -1;
	rc = image_apply(i, part, e);
	if (rc == 0)
		rc = engine_mend(&part->engine, part->wrong, e);
	return proof_end(&part->engine.proof, rc < 0 ? &later : e) < 0 ? -1 : rc;
}

static int
image_write(const struct intake *i, struct part *part, struct err *e)
{
	AUTO_WANTS struct wants *changed = NULL;

	if (wants_count(part->wrong) == 0)
		return 0;
	if (wants_copy(part->wrong, &changed, e) < 0)
		return -1;
	if (image_take(part, e) < 0 || image_mend(i, part, changed, e) < 0)
		return err_context(e, "slot %s", part->slot.name);
	stored_forget(part->stored);
	if (slot_sync(&part->slot, e) < 0)
		return -1;
	return image_check(part, changed, e) < 0 ? err_context(e, "slot %s", part->slot.name) : 0;
}

static struct tree_list
list_of(const struct head *h, size_t payload)
{
	return (struct tree_list){h->fd, h->name, &h->manifest->payloads[payload],
		h->layout.offset[payload][MEMBER_FILES]};
}

/* Without the list of what runs nobody knows what its bytes are, and a delta tells nothing. */
static bool
old_have(struct intake *i, const struct part *part)
{
	enum side running = side_other(i->j.target);
	struct err why;

	if (i->old.fd >= 0 || shelf_take(i->j.c, part->class->current, running, &i->j.delta->from,
				      &i->old, &why) == 0)
		return true;
	log_warning("payload %s does without the delta: %s", part->p->name, why.text);
	return false;
}

/* What a tree may take from the side that runs. NULL: nothing. */
static const struct tree_running *
tree_running(struct intake *i, const struct part *part, struct tree_running *out)
{
	const struct delta *d = i->j.delta;
	size_t old;

	*out = (struct tree_running){.path = part->class->path[side_other(i->j.target)]};
	if (i->j.near)
		return NULL;
	if (d && d->head.parts[part->number].old_bytes > 0 && old_have(i, part) &&
		delta_old_payload(&i->old, part->p, d->head.parts[part->number].old_bytes, &old)) {
		out->delta = d;
		out->part = part->number;
		out->source = i->j.delta_source;
		out->list = list_of(&i->old, old);
	}
	return out;
}

static int
tree_look(struct intake *i, struct part *part, struct err *e)
{
	struct tree_list list = list_of(i->j.h, part->number);
	const char *path = part->class->path[i->j.target];
	struct tree_running running;
	struct err why = ERR_INIT;

	if (tree_check(path, &list, i->j.keep_going, &part->same, &why, e) < 0)
		return -1;
	if (part->same) {
		i->j.stats->bytes_in_place += part->p->size;
		i->haul.in_place += part->p->size;
		return 0;
	}
	log_detail("slot %s %s: %s", part->class->name, side_name(i->j.target), why.text);
	return tree_haul(path, tree_running(i, part, &running), &list, &part->engine, &i->haul, e);
}

/* A tree that was written and is not what its list says: the storage's fault, and tried again, but
 * where every chunk is right and only the list calls a file something else. */
static int
tree_blame(const char *path, const struct tree_list *list, const struct engine *g,
	const struct err *why, struct err *e)
{
	if (why->class != ERR_UNTRUSTED)
		return err_set(
			e, ERR_SYSTEM, "it reads back other than it was written: %s", why->text);
	if (tree_check_chunks(path, list, g, e) < 0)
		return -1;
	return err_set(e, ERR_MALFORMED,
		"the bundle contradicts itself: its chunks are all right, but %s", why->text);
}

static int
tree_write(struct intake *i, struct part *part, struct err *e)
{
	struct tree_list list = list_of(i->j.h, part->number);
	const char *path = part->class->path[i->j.target];
	struct tree_running running;
	char new_path[PATH_MAX];
	struct err why = ERR_INIT;
	bool same;

	if (part->same)
		return 0;
	if (tree_new_path(path, new_path, e) < 0 ||
		tree_build(path, tree_running(i, part, &running), &list, &part->engine, e) < 0)
		return -1;
	stored_forget(part->stored);
	if (tree_check(new_path, &list, i->j.keep_going, &same, &why, e) < 0)
		return -1;
	if (!same) {
		(void)tree_blame(path, &list, &part->engine, &why, e);
		return err_context(e, "slot %s %s", part->class->name, side_name(i->j.target));
	}
	return tree_swap_in(path, i->j.keep_going, e);
}

static int
part_look(struct intake *i, struct part *part, struct err *e)
{
	if (part_open(i, part, e) < 0)
		return -1;
	return part->p->kind == PAYLOAD_TREE ? tree_look(i, part, e) : image_look(i, part, e);
}

int
intake_look(const struct intake_job *j, struct intake **out, struct err *e)
{
	AUTO_INTAKE struct intake *i = calloc(1, sizeof(*i));

	if (!i)
		return err_sys(e, ENOMEM, "installing");
	i->j = *j;
	i->old = HEAD_INIT;
	while (i->count < j->h->manifest->payload_count) {
		struct part *part = &i->parts[i->count];

		part->number = i->count++;
		part->p = &j->h->manifest->payloads[part->number];
		part->class = conf_class(j->c, part->p->slot_class);
		part->slot = part->running = SLOT_INIT;
		if (part_look(i, part, e) < 0)
			return err_context(e, "payload %s", part->p->name);
	}
	*out = TAKE_PTR(i);
	return 0;
}

int
intake_write(struct intake *i, struct err *e)
{
	for (size_t n = 0; n < i->count; n++) {
		struct part *part = &i->parts[n];

		if ((part->p->kind == PAYLOAD_TREE ? tree_write(i, part, e)
						   : image_write(i, part, e)) < 0)
			return err_context(e, "payload %s", part->p->name);
	}
	return 0;
}
