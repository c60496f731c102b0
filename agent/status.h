/* What a box knows of itself, for people and programs. */
#ifndef SLUICE_AGENT_STATUS_H
#define SLUICE_AGENT_STATUS_H

#include "agent/box.h"
#include "common/base/buf.h"
#include "common/base/json.h"

/* {"box", "compatible", "boot": status_boot_json(), "running": {"A": RELEASE or null, "B": ...},
 * "linked": the same, "pending": null or {...}, "rollback_floor", "failed": [...], "stops": [...],
 * "audit": null or {"authentic", "why", "differences", "other", "other_why", "at"},
 * "intake": state_intake_json(), "last_result"}. The caller owns *out. */
int status_json(const struct box *b, json_t **out, struct err *e);

/* {"backend", "current", "primary", "boot_id", "sides": {"A": {"bootable", "confirmed",
 * "tries_left"}, "B": ...}}. The caller owns *out. */
int status_boot_json(const struct box *b, json_t **out, struct err *e);

/* The same in words. */
int status_text(const struct box *b, struct buf *out, struct err *e);
int status_boot_text(const struct box *b, struct buf *out, struct err *e);

#endif
