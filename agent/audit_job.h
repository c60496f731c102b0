/* One payload of one side under audit: what audit_image.c and audit_tree.c are given. */
#ifndef SLUICE_AGENT_AUDIT_JOB_H
#define SLUICE_AGENT_AUDIT_JOB_H

#include "agent/audit.h"
#include "agent/head.h"
#include "common/format/index.h"

struct audit_job {
	const struct audit_ears *ears;
	struct audit_side *side;
	const struct slot_class *class;
	char slot[NAME_BYTES_MAX + 8]; /* "rootfs A" */
	const struct head *head;
	size_t payload;
	struct index_reader *index;
	uint64_t done, total; /* bytes of the side */
};

static inline const struct payload *
audit_payload(const struct audit_job *j)
{
	return &j->head->manifest->payloads[j->payload];
}

/* Counts a difference and says so. path NULL, or text as it is on the disk. */
void audit_tell(struct audit_job *j, const char *path, const char *what);
void audit_tell_chunk(
	struct audit_job *j, const char *path, uint64_t offset, uint64_t length, const char *what);

/* So many bytes more were looked at. */
void audit_looked(struct audit_job *j, uint64_t bytes);

/* Whether data is what chunk c says of it. */
bool audit_piece_is_right(const struct chunk *c, const uint8_t *data, size_t len);

/* Each goes over its payload to the end. -1 with e: nobody can say, or told to stop. What the disk
 * does not give is a difference. */
int audit_image(struct audit_job *j, struct err *e);
int audit_tree(struct audit_job *j, struct err *e);

#endif
