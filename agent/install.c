#include "agent/install.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "agent/shelf.h"
#include "agent/slot.h"
#include "agent/tree.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"

bool
install_is_tree_only(const struct conf *c, const struct manifest *m)
{
	const struct slot_class *class = conf_class(c, m->payloads[0].slot_class);

	return class && class->current;
}

static const struct payload *
payload_for(const struct manifest *m, const char *class_name)
{
	for (size_t i = 0; i < m->payload_count; i++) {
		if (strcmp(m->payloads[i].slot_class, class_name) == 0)
			return &m->payloads[i];
	}
	return NULL;
}

/* Each payload has a slot of the right type; manifest_parse() saw that no two have the same. */
static int
payloads_check(const struct conf *c, const struct manifest *m, struct err *e)
{
	for (size_t i = 0; i < m->payload_count; i++) {
		const struct payload *p = &m->payloads[i];
		const struct slot_class *class = conf_class(c, p->slot_class);

		if (!class)
			return err_set(e, ERR_REFUSED,
				"payload %s is for slot %s, and this box has none of that name",
				p->name, p->slot_class);
		if ((p->kind == PAYLOAD_TREE) != (class->type == SLOT_DIR))
			return err_set(e, ERR_REFUSED, "payload %s is %s, and slot %s is %s folder",
				p->name, p->kind == PAYLOAD_TREE ? "a tree" : "an image",
				class->name, class->type == SLOT_DIR ? "a" : "no");
	}
	return 0;
}

/* Slots of one kind, and all of that kind. */
static int
classes_check(const struct conf *c, const struct manifest *m, struct err *e)
{
	bool tree_only = install_is_tree_only(c, m);

	for (size_t i = 0; i < c->class_count; i++) {
		const struct slot_class *class = &c->classes[i];
		const struct payload *p = payload_for(m, class->name);
		bool same_kind = !class->current == !tree_only;

		if (p && !same_kind)
			return err_set(e, ERR_REFUSED,
				"the bundle has payloads for slots that the bootloader switches "
				"and for slot %s, which is switched by its current link: two "
				"switches are no one commit point; leave out one, or remove "
				"current from agent.conf",
				class->name);
		if (!p && same_kind)
			return err_set(e, ERR_REFUSED,
				"the bundle has nothing for slot %s, which is switched together "
				"with the others and would be left with an older release; add it "
				"to the bundle (what is in place costs nothing)",
				class->name);
	}
	return 0;
}

/* Room for a new folder beside the one that is used. What an interrupted attempt has left is part
 * of the room, so it is not counted twice. */
static int
tree_room_check(
	const struct slot_class *class, enum side target, const struct payload *p, struct err *e)
{
	char new_path[PATH_MAX], parent[PATH_MAX], *slash;
	struct statvfs fs;
	uint64_t room;

	if (tree_new_path(class->path[target], new_path, e) < 0)
		return -1;
	(void)snprintf(parent, sizeof(parent), "%s", class->path[target]);
	slash = strrchr(parent, '/');
	slash[slash == parent] = 0;
	if (statvfs(parent, &fs) < 0)
		return err_sys(e, errno, "slot %s %s: %s", class->name, side_name(target), parent);
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (!file_exists(new_path) && room < p->size)
		return err_set(e, ERR_REFUSED,
			"slot %s %s: the payload needs %llu bytes, and %s has room for %llu",
			class->name, side_name(target), (unsigned long long)p->size, parent,
			(unsigned long long)room);
	return 0;
}

static int
image_room_check(
	const struct slot_class *class, enum side target, const struct payload *p, struct err *e)
{
	AUTO_SLOT struct slot slot = SLOT_INIT;

	/* As for writing: one that is mounted is refused here, before anything has changed. */
	if (slot_check_apart(class, e) < 0 || slot_open(class, target, true, &slot, e) < 0)
		return -1;
	if (slot.size < p->size)
		return err_set(e, ERR_REFUSED,
			"slot %s holds %llu bytes, and the payload needs %llu", slot.name,
			(unsigned long long)slot.size, (unsigned long long)p->size);
	return 0;
}

static int
rooms_check(const struct conf *c, enum side target, const struct manifest *m, struct err *e)
{
	for (size_t i = 0; i < m->payload_count; i++) {
		const struct payload *p = &m->payloads[i];
		const struct slot_class *class = conf_class(c, p->slot_class);

		if ((p->kind == PAYLOAD_TREE ? tree_room_check(class, target, p, e)
					     : image_room_check(class, target, p, e)) < 0)
			return -1;
	}
	return 0;
}

static int
confirmed_check(const struct state *s, bool tree_only, enum side current, struct err *e)
{
	const struct pending *p = &s->pending;

	if (p->phase != PHASE_NONE && p->phase != PHASE_INSTALLING && p->tree_only != tree_only)
		return err_set(e, ERR_REFUSED,
			"another update, %s %s, is not confirmed yet; confirm it or roll it back "
			"first",
			p->release.name, p->release.version);
	if ((p->phase == PHASE_ACTIVATED || p->phase == PHASE_REVERTING) && p->target == current)
		return err_set(e, ERR_REFUSED,
			"the running system, %s %s, is not confirmed yet, and the other side is "
			"what it would go back to; confirm it or roll it back first",
			p->release.name, p->release.version);
	return 0;
}

/* Where the running side will not boot again: in this boot a person rolled back, or it is a try of
 * an update that the state knows nothing of. Then the other side is all there is to boot, and stays
 * as it is. *lost: or the bootloader came to a side that is off, or was given up, for the other did
 * not start. The next boot ends here, too, and writing the other side anew is what helps. */
static int
current_check(const struct conf *c, const struct boot_backend *own, const struct state *s,
	enum side current, bool *lost, struct err *e)
{
	char boot_id[BOOT_ID_MAX + 1];
	struct boot_side here, there;

	if (own->look(own, c, current, &here, e) < 0 ||
		own->look(own, c, side_other(current), &there, e) < 0 ||
		own->boot_id(own, c, boot_id, e) < 0)
		return -1;
	*lost = false;
	if (boot_side_may_boot(&here) &&
		(here.confirmed || s->running[current].known || !boot_side_may_boot(&there)))
		return 0;
	*lost = !boot_side_may_boot(&there) || ((!here.bootable || state_is_stranded(s, current)) &&
						       strcmp(s->pending.boot_id, boot_id) != 0);
	if (!*lost)
		return err_set(e, ERR_REFUSED,
			"side %s runs and will not boot again, or not for long, and the other side "
			"is all that would; reboot first",
			side_name(current));
	return 0;
}

int
install_check(const struct conf *c, const struct state *s, const struct head *h, struct err *e)
{
	const struct manifest *m = h->manifest;
	const struct boot_backend *boot, *own;
	bool tree_only = install_is_tree_only(c, m);
	enum side current;

	if (!manifest_is_for(m, c->compatible))
		return err_set(e, ERR_REFUSED,
			"%s is not for %s: its list of compatible boxes "
			"starts with %s",
			h->name, c->compatible, m->compatible[0]);
	if (m->rollback_index < s->rollback_floor)
		return err_set(e, ERR_REFUSED,
			"%s has rollback index %llu, and this box takes %llu and above", h->name,
			(unsigned long long)m->rollback_index,
			(unsigned long long)s->rollback_floor);
	if (payloads_check(c, m, e) < 0 || classes_check(c, m, e) < 0 ||
		boot_backend_find(c, &boot, e) < 0)
		return -1;
	own = boot_for(boot, tree_only);
	if (boot_check(own, c, e) < 0)
		return -1;
	if (own->current(own, c, &current, e) < 0 || confirmed_check(s, tree_only, current, e) < 0)
		return -1;
	return rooms_check(c, side_other(current), m, e);
}

/* What runs is what boots, from now on, where the environment has it otherwise. */
static int
disable_and_look(const struct conf *c, const struct boot_backend *boot, enum side target, bool lost,
	struct err *e)
{
	enum side primary;

	if (lost)
		log_warning("side %s runs, though it is not to: the other does not start, and is "
			    "written anew",
			side_name(side_other(target)));
	if ((lost ? boot->adopt(boot, c, side_other(target), e)
		  : boot->disable(boot, c, target, e)) < 0 ||
		boot->primary(boot, c, &primary, e) < 0)
		return -1;
	if (primary == target)
		return err_set(e, ERR_SYSTEM,
			"side %s was marked not bootable and is still next to boot",
			side_name(target));
	return 0;
}

static int
target_find(const struct conf *c, const struct boot_backend *own, const struct state *s,
	bool tree_only, enum side *out, bool *lost, struct err *e)
{
	enum side current;

	*lost = false;
	if (own->current(own, c, &current, e) < 0 ||
		(!tree_only && current_check(c, own, s, current, lost, e) < 0))
		return -1;
	*out = side_other(current);
	return 0;
}

int
install_target(const struct conf *c, const struct boot_backend *boot, const struct state *s,
	const struct manifest *m, enum side *out, struct err *e)
{
	bool tree_only = install_is_tree_only(c, m), lost;

	return target_find(c, boot_for(boot, tree_only), s, tree_only, out, &lost, e);
}

/* The target is off before anything is written to it, and stays off until install_activate(). */
static int
install_begin(const struct conf *c, const struct boot_backend *boot, struct state *s,
	const struct head *h, const struct pending *p, struct err *e)
{
	bool tree_only = install_is_tree_only(c, h->manifest);
	const struct boot_backend *own = boot_for(boot, tree_only);
	struct release *there = tree_only ? s->linked : s->running;
	enum side target;
	bool lost;

	if (target_find(c, own, s, tree_only, &target, &lost, e) < 0 ||
		disable_and_look(c, own, target, lost, e) < 0)
		return -1;
	s->pending = *p;
	s->pending.phase = PHASE_INSTALLING;
	s->pending.target = target;
	s->pending.tree_only = tree_only;
	s->pending.release = h->release;
	s->pending.release.attempt = p->attempt;
	s->pending.boots = 0;
	s->pending.switched = false;
	s->pending.first_seen_boot_ms = 0;
	s->pending.seen_boot_id[0] = 0;
	if (boot->boot_id(boot, c, s->pending.boot_id, e) < 0)
		return -1;
	there[target] = (struct release){0};
	return state_save(c->state_dir, s, e);
}

int
install_manifest_path(
	const struct conf *c, bool tree_only, enum side side, char *out, struct err *e)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "manifest.%s%s.json", tree_only ? "link." : "",
		side_name(side));
	return path_join(out, PATH_MAX, c->state_dir, name, e);
}

/* What is to be known of the new side later. The manifest is what confirming asks for; a head that
 * cannot be kept costs an audit, and is no reason to go without an update. */
static int
papers_keep(const struct conf *c, const struct pending *p, const struct head *h, struct err *e)
{
	char path[PATH_MAX];
	struct err lost;

	if (shelf_keep(c, p->tree_only, p->target, h, &lost) < 0)
		log_warning("what is installed cannot be audited: %s", lost.text);
	if (install_manifest_path(c, p->tree_only, p->target, path, e) < 0)
		return -1;
	return file_replace(path, 0600, buf_span(&h->body), e);
}

/* Tells what it will take, and whether that is more than may be. */
static int
haul_tell(struct state *s, const struct intake *i, struct err *e)
{
	const struct intake_job *j = intake_job_of(i);
	const struct release *r = &j->h->release;
	const struct haul *haul = intake_haul(i);
	bool again = digest_equal(&s->intake.manifest, &r->manifest);
	char text[HAUL_TEXT_SIZE];

	s->intake = (struct intake_record){.manifest = r->manifest, .haul = *haul};
	log_notice("%s %s: %s: %s", r->name, r->version, again ? "planned again" : "planned",
		haul_text(haul, text));
	return j->source->foresee ? j->source->foresee(j->source->arg, haul->stored, e) : 0;
}

int
install_look(const struct conf *c, const struct boot_backend *boot, struct state *s,
	const struct intake_job *job, struct intake **out, struct err *e)
{
	bool tree_only = install_is_tree_only(c, job->h->manifest), lost;
	AUTO_INTAKE struct intake *i = NULL;
	struct intake_job j = *job;

	if (target_find(c, boot_for(boot, tree_only), s, tree_only, &j.target, &lost, e) < 0 ||
		intake_look(&j, &i, e) < 0 || haul_tell(s, i, e) < 0)
		return -1;
	*out = TAKE_PTR(i);
	return 0;
}

int
install_write(const struct conf *c, const struct boot_backend *boot, struct state *s,
	struct intake *i, const struct pending *p, struct err *e)
{
	const struct intake_job *j = intake_job_of(i);

	if (install_begin(c, boot, s, j->h, p, e) < 0)
		return -1;
	if (s->pending.target != j->target)
		return err_set(e, ERR_SYSTEM, "side %s was looked at, and side %s is to be written",
			side_name(j->target), side_name(s->pending.target));
	if (intake_write(i, e) < 0)
		return -1;
	s->intake.stats = *j->stats;
	return papers_keep(c, &s->pending, j->h, e);
}

int
install_activate(
	const struct conf *c, const struct boot_backend *boot, struct state *s, struct err *e)
{
	const struct boot_backend *own = boot_for(boot, s->pending.tree_only);
	enum side target = s->pending.target, primary;

	if (s->pending.phase != PHASE_INSTALLING)
		return err_set(e, ERR_REFUSED, "nothing is installed to be activated");
	s->pending.phase = PHASE_ACTIVATED;
	if (boot->boot_id(boot, c, s->pending.boot_id, e) < 0 ||
		state_save(c->state_dir, s, e) < 0 ||
		own->activate(own, c, target, c->boot_tries, e) < 0 ||
		own->primary(own, c, &primary, e) < 0)
		return -1;
	if (primary != target)
		return err_set(e, ERR_SYSTEM, "side %s was activated and is not next to boot",
			side_name(target));
	if (!own->forgets_tries)
		return 0;
	s->pending.switched = true;
	return state_save(c->state_dir, s, e);
}

int
install_abandon(const struct conf *c, struct state *s, const struct release *r, struct err *e)
{
	(void)snprintf(s->last_result, sizeof(s->last_result), "%s %s: not installed: %.768s",
		r->name, r->version, e->text);
	/* Where the target could not be taken, what was under way before still is. */
	if (s->pending.phase == PHASE_INSTALLING)
		s->pending = (struct pending){0};
	/* What is on disk otherwise says "installing", which settle() ends likewise. */
	if (state_save(c->state_dir, s, NULL) < 0)
		log_warning("the state was not saved");
	return -1;
}

const char *
install_text(const struct install_stats *stats, char out[INSTALL_TEXT_SIZE])
{
	char fetched[NUM_HUMAN_SIZE], kept[NUM_HUMAN_SIZE], written[NUM_HUMAN_SIZE],
		running[NUM_HUMAN_SIZE], inactive[NUM_HUMAN_SIZE], told[NUM_HUMAN_SIZE],
		delta[64] = "";

	if (stats->bytes_delta > 0)
		(void)snprintf(delta, sizeof(delta), "%s told by a delta, ",
			num_human_size(stats->bytes_delta, told));
	(void)snprintf(out, INSTALL_TEXT_SIZE,
		"%s fetched, %s in place already, %s from the running side, %s%s from elsewhere in "
		"the inactive one, %s written",
		num_human_size(stats->bytes_fetched, fetched),
		num_human_size(stats->bytes_in_place, kept),
		num_human_size(stats->bytes_running, running), delta,
		num_human_size(stats->bytes_inactive, inactive),
		num_human_size(stats->bytes_written, written));
	return out;
}
