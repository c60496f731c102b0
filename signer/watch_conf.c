#include "signer/watch_conf.h"

#include <limits.h>
#include <stdlib.h>

#include "common/base/text.h"
#include "signer/setting.h"
#include "signer/workspace.h"
#include "signer/yaml.h"

#define YEAR_S ((uint64_t)366 * 86400)

void
watch_conf_free(struct watch_conf *c)
{
	free(c->gates);
	free(c->sign_with);
	free(c->certificates);
	free(c->passphrase_file);
	*c = (struct watch_conf){0};
}

static int
keys_read(const struct workspace *w, const struct yaml *y, const struct yaml_node *map,
	struct watch_conf *c, struct err *e)
{
	const struct yaml_node *command = yaml_get(map, "sign_with");
	bool public;

	if (setting_path(w, y, map, "gates", &c->gates, e) < 0 ||
		setting_path(w, y, map, "certificates", &c->certificates, e) < 0 ||
		setting_path(w, y, map, "passphrase_file", &c->passphrase_file, e) < 0 ||
		(command && setting_text(y, command, PATH_MAX, &c->sign_with, e) < 0))
		return -1;
	public = c->gates && text_ends_with(c->gates, ".pub");
	if (command && !public)
		return yaml_error(y, command, e,
			"'sign_with' needs the public half of its key beside it: gates: "
			"keys/gates.pub");
	if (public && !command)
		return yaml_error(y, yaml_get(map, "gates"), e,
			"a public key signs nothing: name the secret one, or what signs for it in "
			"'sign_with'");
	return 0;
}

static int
duration_read(const struct yaml *y, const struct yaml_node *map, const char *key, uint64_t max_s,
	uint64_t *out, struct err *e)
{
	const struct yaml_node *n = yaml_get(map, key);

	if (n && yaml_duration(y, n, max_s, out, e) < 0)
		return -1;
	return 0;
}

static int
limits_read(const struct yaml *y, const struct yaml_node *map, struct watch_conf *c, struct err *e)
{
	const struct yaml_node *first = yaml_get(map, "first_wave_max");

	if (duration_read(y, map, "every", WATCH_EVERY_MAX_S, &c->every_s, e) < 0 ||
		duration_read(y, map, "offline_after", YEAR_S, &c->offline_after_s, e) < 0 ||
		duration_read(y, map, "soak_min", YEAR_S, &c->limits.soak_min_s, e) < 0)
		return -1;
	if (c->every_s == 0)
		return yaml_error(
			y, yaml_get(map, "every"), e, "'every' has to be a second at least");
	if (first && yaml_uint(y, first, 1, TALLY_MAX, &c->limits.first_wave_max, e) < 0)
		return -1;
	return 0;
}

int
watch_conf_read(const struct workspace *w, const struct yaml *y, const struct yaml_node *map,
	struct watch_conf *out, struct err *e)
{
	static const char *const known[] = {"gates", "sign_with", "certificates", "passphrase_file",
		"every", "soak_min", "first_wave_max", "offline_after", NULL};

	*out = (struct watch_conf){.every_s = 60, .offline_after_s = 86400};
	if (map && yaml_only(y, map, known, e) < 0)
		return -1;
	return keys_read(w, y, map, out, e) < 0 || limits_read(y, map, out, e) < 0 ? -1 : 0;
}
