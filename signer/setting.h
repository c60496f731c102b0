/* Settings of workspace.yaml that are kept as texts. */
#ifndef SLUICE_SIGNER_SETTING_H
#define SLUICE_SIGNER_SETTING_H

#include "common/base/err.h"
#include "signer/workspace.h"
#include "signer/yaml.h"

/* A copy of a node's text in place of *out, which is freed. "" is refused. */
int setting_text(
	const struct yaml *y, const struct yaml_node *n, size_t max, char **out, struct err *e);

/* The same of map's member, a path, made absolute from the workspace's folder; *out stays where
 * there is none. */
int setting_path(const struct workspace *w, const struct yaml *y, const struct yaml_node *map,
	const char *key, char **out, struct err *e);

#endif
