/* What a tree need not fetch: files that run under the same paths, by their chunks. */
#include "agent/beneath.h"
#include "agent/reuse.h"
#include "agent/tree.h"
#include "common/base/cleanup.h"

/* A folder that may not be there. */
struct old_tree {
	int root;
	struct tree_place *files;
	struct place place;
};

static void
old_tree_close(struct old_tree *o)
{
	tree_place_close(&o->files);
	cleanup_fd(&o->root);
}

static int
old_tree_open(const char *path, const struct tree_list *list, struct old_tree *out, struct err *e)
{
	if (tree_folder_open(path, &out->root, NULL) < 0)
		out->root = -1;
	if (tree_place_open_old(out->root, list, &out->files, e) < 0)
		return -1;
	out->place = tree_place_of(out->files);
	return 0;
}

static int
look(const struct old_tree *running, const struct tree_list *list, const struct engine *g,
	const struct wants *wrong, struct reuse **out, struct err *e)
{
	return reuse_look(&(struct reuse_job){.g = g,
				  .wrong = wrong,
				  .running = &running->place,
				  .running_bytes = list->payload->size,
				  .image_bytes = list->payload->size},
		out, e);
}

int
tree_take(const char *running, const struct tree_list *list, const struct engine *g,
	struct wants *wrong, struct err *e)
{
	CLEANUP(old_tree_close) struct old_tree old = {.root = -1};
	AUTO_REUSE struct reuse *found = NULL;

	if (old_tree_open(running, list, &old, e) < 0 || look(&old, list, g, wrong, &found, e) < 0)
		return -1;
	return reuse_write(found, wrong, e);
}

int
tree_haul(const char *path, const char *running, const struct tree_list *list,
	const struct engine *g, struct haul *h, struct err *e)
{
	CLEANUP(old_tree_close) struct old_tree here = {.root = -1};
	CLEANUP(old_tree_close) struct old_tree old = {.root = -1};
	AUTO_WANTS struct wants *wrong = NULL;
	AUTO_REUSE struct reuse *found = NULL;
	struct install_stats uncounted = {0};
	struct engine own = *g;
	char new_path[PATH_MAX];

	own.stats = &uncounted;
	if (tree_new_path(path, new_path, e) < 0 || old_tree_open(new_path, list, &here, e) < 0)
		return -1;
	own.place = &here.place;
	if (engine_compare(&own, &wrong, e) < 0)
		return err_context(e, "%s", new_path);
	if (running && (old_tree_open(running, list, &old, e) < 0 ||
			       look(&old, list, &own, wrong, &found, e) < 0))
		return -1;
	if (reuse_stored(&own, wrong, found, e) < 0)
		return -1;
	return haul_add(h, &(struct haul_part){own.index, own.stored, wrong, found, NULL}, e);
}
