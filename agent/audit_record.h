/* What the last audit came to: audit.json in the state folder, for reports, `status`, and to know
 * when the next one is due. Lost or damaged, it is made again by that. */
#ifndef SLUICE_AGENT_AUDIT_RECORD_H
#define SLUICE_AGENT_AUDIT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/audit.h"
#include "agent/box.h"
#include "common/base/err.h"

struct audit_record {
	int64_t at_s; /* as audit_now_s() has it */
	enum authentic running, other;
	uint64_t differences; /* of what runs */
	char why[AUDIT_WHY_SIZE], other_why[AUDIT_WHY_SIZE];
	/* Of the manifests of what ran then: of the bootloader's slots, and of the link's; or "".
	 */
	char running_sha256[DIGEST_HEX_SIZE], linked_sha256[DIGEST_HEX_SIZE];
};

/* The wall clock, or the newest time that signed metadata has vouched for, where that is later: a
 * box without a clock wakes in 1970. */
int64_t audit_now_s(const struct state *s);

/* Makes the record of an audit that ended now, durably. */
int audit_record_save(const struct box *b, const struct audit *a, struct err *e);

enum audit_known {
	AUDIT_NEVER,	/* there is no record */
	AUDIT_OUTDATED, /* it is damaged, or of what ran before */
	AUDIT_KNOWN,	/* it is of what runs now */
};

/* *out is filled in for AUDIT_KNOWN only. */
enum audit_known audit_record_load(const struct box *b, struct audit_record *out);

/* What a box says of itself in reports. "unknown" until the first audit of what runs, where there
 * is to be one. why holds AUDIT_WHY_SIZE: for "no" the first difference, else "". */
enum authentic audit_record_answer(const struct box *b, char *why);

#endif
