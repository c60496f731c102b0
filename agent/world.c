#include "agent/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
gate_path_of(const char *plan_path, char out[TUF_PATH_MAX + 1])
{
	const char *name = plan_path ? strchr(plan_path, '/') : NULL;

	(void)snprintf(out, TUF_PATH_MAX + 1, "%s%s", name ? "gates" : "", name ? name : "");
}

struct world *
world_new(const char *plan_path)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w)
		gate_path_of(plan_path, w->gate_path);
	return w;
}

void
world_free(struct world **w)
{
	if (!*w)
		return;
	plan_free(&(*w)->plan);
	json_decref((*w)->plan_resumes);
	json_decref((*w)->all_resumes);
	free((*w)->bundle_url);
	free(*w);
	*w = NULL;
}
