/* Events of boxes, bounded: what happens to many at once is one event. */
#ifndef SLUICE_SIGNER_ALARM_H
#define SLUICE_SIGNER_ALARM_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/limits.h"
#include "signer/outbox.h"

enum { ALARMS_NAMED = 20 };

struct alarm {
	char box[NAME_BYTES_MAX + 1], version[VERSION_BYTES_MAX + 1];
	int64_t since_s; /* when the box was last heard */
	uint64_t seq;	 /* of its report then */
};

/* All zeros: none. */
struct alarms {
	uint64_t count;
	struct alarm list[ALARMS_NAMED]; /* the first of them */
};

void alarms_add(
	struct alarms *a, const char *box, const char *version, int64_t since_s, uint64_t seq);

/* Puts them into the outbox, each as an event; more than ALARMS_NAMED as one of all. In the
 * transaction of who calls. */
int alarms_put(struct sql *s, const struct workspace *w, enum webhook_kind kind,
	const struct alarms *a, int64_t now_s, struct err *e);

#endif
