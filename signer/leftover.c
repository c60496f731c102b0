#include "signer/leftover.h"

#include <stdio.h>

void
leftover_say(const struct metadata *m)
{
	if (!metadata_has_leftover(m))
		return;
	(void)fprintf(stderr,
		"note: %s.json lay in incoming/ and could not be published; it is set aside there "
		"as %s.json.aside-*: %s\n",
		m->role, m->role, m->leftover.text);
}

int
leftover_say_all(const struct workspace *w, struct err *e)
{
	AUTO_METADATA struct metadata targets = {0};
	const json_t *delegation;
	size_t i;

	if (metadata_load_in_force(w, &targets, e) < 0)
		return -1;
	json_array_foreach (json_object_get(json_object_get(targets.body, "delegations"), "roles"),
		i, delegation) {
		AUTO_METADATA struct metadata m = {0};
		const char *name = json_string_value(json_object_get(delegation, "name"));

		if (!name || metadata_load(w, name, &m, NULL) < 0 || !metadata_has_leftover(&m))
			continue;
		(void)fprintf(stderr,
			"note: incoming/%s.json is passed over, for it could not be published: "
			"%s\n",
			name, m.leftover.text);
	}
	return 0;
}
