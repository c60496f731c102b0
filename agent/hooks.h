/* Programs of the box maker's that may say no, and are told what happens.
 *
 * All get SLUICE_BUNDLE, SLUICE_VERSION, SLUICE_SLOT ("A" or "B": where it goes) and SLUICE_STEP in
 * their environment, and run in the order of their names; the first that exits other than 0 ends
 * it: ERR_REFUSED naming it and its last line. They may take minutes, so keep_going is asked while
 * they run, and ends them (process.h). */
#ifndef SLUICE_AGENT_HOOKS_H
#define SLUICE_AGENT_HOOKS_H

#include "agent/conf.h"
#include "agent/state.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"

enum hook {
	HOOK_INHIBIT_INSTALL, /* [inhibit] dir: not now */
	HOOK_INHIBIT_REBOOT,  /* the same folder, before switching and rebooting */
	HOOK_PRE,	      /* [hooks] dir/pre.d: before the first change */
	HOOK_POST,	      /* post.d: all written and read back, not activated yet */
	HOOKS
};

int hooks_run(const struct conf *c, enum hook hook, const struct release *release, enum side target,
	const struct keep_going *keep_going, struct err *e);

#endif
