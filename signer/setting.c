#include "signer/setting.h"

#include <errno.h>
#include <string.h>

int
setting_text(const struct yaml *y, const struct yaml_node *n, size_t max, char **out, struct err *e)
{
	const char *text;
	char *copy;

	if (yaml_text(y, n, max, &text, e) < 0)
		return -1;
	if (!*text)
		return yaml_error(y, n, e, "a text is expected here, not \"\"");
	copy = strdup(text);
	if (!copy)
		return err_sys(e, ENOMEM, "workspace");
	free(*out);
	*out = copy;
	return 0;
}

int
setting_path(const struct workspace *w, const struct yaml *y, const struct yaml_node *map,
	const char *key, char **out, struct err *e)
{
	const struct yaml_node *n = yaml_get(map, key);
	char path[PATH_MAX];

	if (!n)
		return 0;
	if (setting_text(y, n, PATH_MAX - 1, out, e) < 0)
		return -1;
	if (workspace_path(w, *out, path, e) < 0)
		return -1;
	free(*out);
	*out = strdup(path);
	return *out ? 0 : err_sys(e, ENOMEM, "workspace");
}
