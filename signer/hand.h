/* The keys that are at hand for a ceremony, several people's perhaps: each signs what it may. */
#ifndef SLUICE_SIGNER_HAND_H
#define SLUICE_SIGNER_HAND_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/limits.h"
#include "signer/metadata.h"
#include "signer/signing.h"
#include "signer/workspace.h"

struct hand {
	const char *path[HAND_KEYS_MAX], *sign_with[HAND_KEYS_MAX]; /* sign_with[i] may be NULL */
	struct opened_key key[HAND_KEYS_MAX];
	size_t count, opened;
};

void hand_close(struct hand *h);
#define AUTO_HAND CLEANUP(hand_close)

/* --key PATH, and --sign-with CMD for the --key right before it. The words are borrowed. */
int hand_add(struct hand *h, const char *path, struct err *e);
int hand_sign_with(struct hand *h, const char *command, struct err *e);

/* Opens all, asking pass for passphrases. */
int hand_open(struct hand *h, struct passphrase_source *pass, struct err *e);

/* ERR_REFUSED for a key that may sign none of these documents (b may be NULL). */
int hand_check(
	const struct hand *h, const struct metadata *a, const struct metadata *b, struct err *e);

/* metadata_sign by each key that may; where there is none it becomes a draft. */
int hand_sign(const struct hand *h, const struct workspace *w, struct metadata *m, struct err *e);

#endif
