/* Who holds the four roles of root.json: what `root init` and `root rotate` are told. */
#ifndef SLUICE_SIGNER_ROSTER_H
#define SLUICE_SIGNER_ROSTER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/limits.h"
#include "signer/hand.h"
#include "signer/signing.h"

enum { ROSTER_ROOT, ROSTER_TARGETS, ROSTER_SNAPSHOT, ROSTER_TIMESTAMP, ROSTER_ROLES };

extern const char *const roster_names[ROSTER_ROLES];

/* The key files of one role, and what is in them. count 0: the role was not named. */
struct holders {
	const char *path[ROLE_KEYS_MAX]; /* borrowed */
	json_t *key[ROLE_KEYS_MAX];
	size_t count;
	uint64_t threshold; /* 0: not said */
};

struct roster {
	struct holders roles[ROSTER_ROLES];
};

void roster_free(struct roster *r);
#define AUTO_ROSTER CLEANUP(roster_free)

/* For getopt_long: --root, --threshold, --targets, --targets-threshold, --snapshot, --timestamp. */
enum { OPT_ROSTER = 2000 };
/* clang-format off */
#define ROSTER_LONG {"root", required_argument, NULL, OPT_ROSTER}, \
	{"targets", required_argument, NULL, OPT_ROSTER + 1}, \
	{"snapshot", required_argument, NULL, OPT_ROSTER + 2}, \
	{"timestamp", required_argument, NULL, OPT_ROSTER + 3}, \
	{"threshold", required_argument, NULL, OPT_ROSTER + 4}, \
	{"targets-threshold", required_argument, NULL, OPT_ROSTER + 5}
/* clang-format on */

/* Takes one of them. *mine false: it is another option. */
int roster_option(struct roster *r, int option, const char *argument, bool *mine, struct err *e);

/* Reads the key files. Secret keys of root and targets go to the hand, to sign; those of the online
 * roles are opened for their public half only. */
int roster_load(struct roster *r, struct hand *h, struct passphrase_source *pass, struct err *e);

/* Gives the roles that were named their keys and thresholds in a root's "signed", and takes out
 * keys that no role names any more. A role that exists keeps its threshold, and its keys where only
 * the threshold is named. ERR_USAGE for a threshold that cannot be reached, and a key given twice.
 */
int roster_apply(const struct roster *r, json_t *body, struct err *e);

/* Takes keys that no role of a root's or targets' "signed" (or "delegations") names out of it. */
void roster_drop_unused(json_t *keys, const json_t *roles);

#endif
