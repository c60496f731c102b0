/* The heads of what is installed, one for each side, kept in the state folder: the signed manifest
 * as it came, the index of every payload and the lists of trees. They say what every byte of a side
 * has to be when the bundle is long gone.
 *
 * What is kept may be lost or rot, and may be of another release than the side holds: an older
 * agent keeps none, and leaves those that there are. So nothing that boots, confirms or goes back
 * asks for it, and it counts only as far as it is the one whose manifest the state remembers. */
#ifndef SLUICE_AGENT_SHELF_H
#define SLUICE_AGENT_SHELF_H

#include "agent/conf.h"
#include "agent/head.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"

/* "head.A" and so on, in the state folder; tree_only: of what the link switches. out holds
 * PATH_MAX.
 */
int shelf_path(const struct conf *c, bool tree_only, enum side side, char *out, struct err *e);

/* Once a side is written, before it is switched to. Durable when it returns 0; cut off anywhere, it
 * leaves none or a whole one. Fails where SHELF_SPARE_BYTES, and as much again, would not be left
 * beside it. */
int shelf_keep(
	const struct conf *c, bool tree_only, enum side side, const struct head *h, struct err *e);

/* The head of the release with this manifest. e->errnum ENOENT: none was kept. Whatever is wrong
 * with it is this box's own disk's fault: ERR_SYSTEM. */
int shelf_take(const struct conf *c, bool tree_only, enum side side, const struct digest *manifest,
	struct head *out, struct err *e);

/* Gives up what is kept where less than bytes and SHELF_SPARE_BYTES are left in state_dir: an
 * update comes before an audit. */
void shelf_make_room(const char *state_dir, uint64_t bytes);

#endif
