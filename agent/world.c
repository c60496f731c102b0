#include "agent/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world *
world_new(const char *plan_path)
{
	struct world *w = calloc(1, sizeof(*w));
	const char *name = plan_path ? strchr(plan_path, '/') : NULL;

	if (w && name)
		(void)snprintf(w->gate_path, sizeof(w->gate_path), "gates%s", name);
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
