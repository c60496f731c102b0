/* The `watch` section of workspace.yaml: what `sluice watch` holds and how far it may go. */
#ifndef SLUICE_SIGNER_WATCH_CONF_H
#define SLUICE_SIGNER_WATCH_CONF_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/format/judgement.h"

struct watch_conf {
	char *gates;	 /* key file, absolute; NULL: it opens and stops nothing */
	char *sign_with; /* or NULL; else gates is the public half of what this command signs with
			  */
	char *certificates;    /* key file of the roles that give boxes certificates, absolute; or
				* NULL */
	char *passphrase_file; /* of all of its keys, absolute; or NULL */
	uint64_t every_s, offline_after_s;
	struct local_limits limits;
};

void watch_conf_free(struct watch_conf *c);

struct workspace;
struct yaml;
struct yaml_node;

/* map may be NULL: all is at its default. */
int watch_conf_read(const struct workspace *w, const struct yaml *y, const struct yaml_node *map,
	struct watch_conf *out, struct err *e);

#endif
