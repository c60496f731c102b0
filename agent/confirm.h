/* Confirming the new system: is it healthy, is it what was signed, and then for good. */
#ifndef SLUICE_AGENT_CONFIRM_H
#define SLUICE_AGENT_CONFIRM_H

#include <stdbool.h>

#include "agent/boot.h"
#include "agent/conf.h"
#include "agent/state.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"

/* Whether the new system runs and the health checks of agent.conf say yes. ERR_REFUSED: it does
 * not, or they do not; ERR_STOPPED by keep_going (or NULL). */
int confirm_health(const struct conf *c, const struct boot_backend *boot, const struct state *s,
	const struct keep_going *keep_going, struct err *e);

/* The digest of each running slot that is mounted read-only, which takes seconds for a large one.
 * ERR_UNTRUSTED: not what was signed; ERR_SYSTEM: it could not be read, which says nothing of the
 * release; ERR_STOPPED by keep_going (or NULL). (Fresh metadata is the caller's to see to, where
 * the update came over the network.) */
int confirm_digests(const struct conf *c, const struct state *s,
	const struct keep_going *keep_going, struct err *e);

/* The bootloader first, then in one write what runs, the rollback floor, and that nothing is
 * pending: settle() completes it if the power goes in between. */
int confirm_commit(
	const struct conf *c, const struct boot_backend *boot, struct state *s, struct err *e);

/* Whether the new system has had its time, or its boots where no bootloader counts them: go back.
 */
bool confirm_is_overdue(const struct conf *c, const struct state *s);

/* How long the new system has. */
int64_t confirm_deadline_ms(const struct conf *c, const struct state *s);

/* Milliseconds until then; 0 when overdue. */
int64_t confirm_left_ms(const struct conf *c, const struct state *s);

#endif
