/* What a tree need not fetch: files that run under the same paths, by their chunks; and what a
 * delta tells of the others. */
#include "agent/delta_use.h"
#include "agent/reuse.h"
#include "agent/tree.h"
#include "agent/tree_old.h"
#include "common/base/cleanup.h"
#include "common/base/log.h"

static int
same_paths_look(const struct place *running, const struct tree_list *list, const struct engine *g,
	const struct wants *wrong, struct reuse **out, struct err *e)
{
	return reuse_look(&(struct reuse_job){.g = g,
				  .wrong = wrong,
				  .running = running,
				  .running_bytes = list->payload->size,
				  .image_bytes = list->payload->size},
		out, e);
}

/* What a delta has for chunks that are wrong, and that no file of the same path has. */
struct told {
	struct tree_old *files;
	struct place running;
	struct wants *left;
	struct delta_use *use; /* NULL: nothing */
};

static void
told_free(struct told *t)
{
	delta_use_free(&t->use);
	wants_free(&t->left);
	tree_old_close(&t->files);
}

static int
left_find(const struct engine *g, const struct wants *wrong, const struct reuse *found,
	struct wants **out, struct err *e)
{
	if (wants_copy(wrong, out, e) < 0)
		return -1;
	for (uint64_t entry = 0; found && entry < index_entries(g->index); entry++) {
		if (reuse_of(found, entry) != REUSE_NOWHERE)
			wants_drop(*out, entry);
	}
	return 0;
}

/* A delta that is of no use is done without. */
static int
told_look(const struct tree_running *running, const struct tree_list *list, const struct engine *g,
	const struct wants *wrong, const struct reuse *found, struct told *t, struct err *e)
{
	struct delta_use_job j = {.g = g, .payload = list->payload, .running = &t->running};
	struct err why;

	if (left_find(g, wrong, found, &t->left, e) < 0)
		return -1;
	if (!running || !running->delta || wants_count(t->left) == 0)
		return 0;
	if (tree_old_open(running->path, &running->list, &t->files, e) < 0)
		return -1;
	t->running = tree_old_place(t->files);
	j.wrong = t->left;
	j.delta = running->delta;
	j.part = running->part;
	j.source = running->source;
	if (delta_use_look(&j, &t->use, &why) < 0)
		log_warning("payload %s does without the delta: %s", list->payload->name, why.text);
	return 0;
}

static int
same_paths_take(const struct tree_running *running, const struct tree_list *list,
	const struct engine *g, struct wants *wrong, struct err *e)
{
	AUTO_TREE_OLD struct tree_old *old = NULL;
	AUTO_REUSE struct reuse *found = NULL;
	struct place place;

	if (tree_old_open(running->path, list, &old, e) < 0)
		return -1;
	place = tree_old_place(old);
	if (same_paths_look(&place, list, g, wrong, &found, e) < 0)
		return -1;
	return reuse_write(found, wrong, e);
}

/* What runs is not what the delta was made from, or its records cannot be had. */
static int
plan_again(const struct tree_list *list, const struct engine *g, const struct wants *wrong,
	struct err *e)
{
	struct haul_part p = {g->index, g->stored, wrong, NULL, NULL};
	struct haul haul = {0};
	char text[HAUL_TEXT_SIZE];

	if (wants_count(wrong) == 0)
		return 0;
	if (reuse_stored(g, wrong, NULL, e) < 0 || haul_add(&haul, &p, e) < 0)
		return -1;
	log_notice("payload %s: planned again: %s", list->payload->name, haul_text(&haul, text));
	return 0;
}

int
tree_take(const struct tree_running *running, const struct tree_list *list, const struct engine *g,
	struct wants *wrong, struct err *e)
{
	CLEANUP(told_free) struct told told = {0};
	bool hopeless;

	if (same_paths_take(running, list, g, wrong, e) < 0 ||
		told_look(running, list, g, wrong, NULL, &told, e) < 0)
		return -1;
	if (!told.use)
		return 0;
	if (delta_use_write(told.use, wrong, &hopeless, e) < 0)
		return -1;
	return hopeless ? plan_again(list, g, wrong, e) : 0;
}

/* Of the folder that runs; then h is told. */
static int
haul_running(const struct tree_running *running, const struct tree_list *list,
	const struct engine *g, const struct wants *wrong, struct haul *h, struct err *e)
{
	AUTO_TREE_OLD struct tree_old *old = NULL;
	CLEANUP(told_free) struct told told = {0};
	AUTO_WANTS struct wants *lacking = NULL;
	AUTO_REUSE struct reuse *found = NULL;
	struct place place;

	if (running) {
		if (tree_old_open(running->path, list, &old, e) < 0)
			return -1;
		place = tree_old_place(old);
		if (same_paths_look(&place, list, g, wrong, &found, e) < 0)
			return -1;
	}
	if (told_look(running, list, g, wrong, found, &told, e) < 0 ||
		(told.use && delta_use_lacking(told.use, &lacking, e) < 0) ||
		reuse_stored(g, lacking ? lacking : told.left, NULL, e) < 0)
		return -1;
	return haul_add(h, &(struct haul_part){g->index, g->stored, wrong, found, told.use}, e);
}

/* All that it says is checked before anybody reads here and there. */
static int
list_walk(const struct tree_list *list, const struct keep_going *keep_going, struct err *e)
{
	AUTO_FILES struct files_reader *files = NULL;
	const struct tree_entry *t;
	bool more = true;

	if (files_open(list->fd, list->name, list->offset, list->payload, &files, e) < 0)
		return -1;
	while (more) {
		if (keep_going_ask(keep_going, e) < 0 || files_next(files, &t, &more, e) < 0)
			return -1;
	}
	return 0;
}

int
tree_haul(const char *path, const struct tree_running *running, const struct tree_list *list,
	const struct engine *g, struct haul *h, struct err *e)
{
	AUTO_TREE_OLD struct tree_old *here = NULL;
	AUTO_WANTS struct wants *wrong = NULL;
	struct install_stats uncounted = {0};
	struct engine own = *g;
	char new_path[PATH_MAX];
	struct place place;

	own.stats = &uncounted;
	if (tree_new_path(path, new_path, e) < 0 || list_walk(list, g->keep_going, e) < 0 ||
		tree_old_open(new_path, list, &here, e) < 0)
		return -1;
	place = tree_old_place(here);
	own.place = &place;
	if (engine_compare(&own, &wrong, e) < 0)
		return err_context(e, "%s", new_path);
	return haul_running(running, list, &own, wrong, h, e);
}
