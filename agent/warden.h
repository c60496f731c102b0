/* Who the network child is to the rest of the box, and what is known of how it is confined
 * (agent/net/cage.h does it). */
#ifndef SLUICE_AGENT_WARDEN_H
#define SLUICE_AGENT_WARDEN_H

#include <stdint.h>
#include <sys/types.h>

#include "agent/conf.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"

/* Who it is to become: [site] run_as, as /etc/passwd has it; nobody where that user is missing.
 * Both 0: it stays what the agent is, which is not root, or finds neither user, or may not change
 * users or could not end a child that has changed (CAP_SETUID, CAP_SETGID, CAP_KILL). */
void warden_user(const struct conf *c, uid_t *uid, gid_t *gid);

/* Logs what a child, maybe one of the service manager's, says is in force (enum wire_layer): all of
 * it as a detail, and louder what a box should have and has not. */
void warden_tell(const struct conf *c, bool is_service, uint32_t layers);

/* What would be in force for a child that this process started now, as far as it can tell. */
int warden_json(const struct conf *c, json_t **out, struct err *e);
int warden_text(const struct conf *c, struct buf *out, struct err *e);

#endif
