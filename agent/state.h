/* What the agent remembers across power cuts: state.json in the state folder.
 *
 * Only what no other place can tell: the boot environment knows what boots, the slots know what is
 * in them. Replaced as a whole (file_replace), so it is always readable, old or new; and written
 * twice, with a digest inside, since flash rots in ten years. A box that went back runs an older
 * agent over a newer one's state: keys it does not know are passed over. */
#ifndef SLUICE_AGENT_STATE_H
#define SLUICE_AGENT_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/conf.h"
#include "agent/engine.h"
#include "agent/haul.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/format/gate.h"
#include "common/format/report.h"
#include "common/tuf/tuf.h"

/* A release, by what release engineers signed: the digest of the canonical "signed" part of its
 * manifest, so that a signature more or less does not make it another one. */
struct release {
	bool known;
	char name[NAME_BYTES_MAX + 1], version[VERSION_BYTES_MAX + 1];
	uint64_t rollback_index;
	struct digest manifest;
	uint64_t attempt; /* of the plan that brought it; 0: from a file */
};

enum phase {
	PHASE_NONE,
	PHASE_INSTALLING, /* the target may hold anything, and is marked not bootable */
	PHASE_ACTIVATED,  /* read back right; the boot variables were (being) switched to it */
	PHASE_REVERTING,  /* given up; the boot variables were (being) switched back */
	PHASES
};

/* An update under way. */
struct pending {
	enum phase phase;
	enum side target;
	bool tree_only; /* no boot switch: one rename of the `current` link (boot_links) */
	struct release release;
	bool local; /* from a file: no plan, gate or freshness asked */
	char rollout[NAME_BYTES_MAX + 1], wave[NAME_BYTES_MAX + 1];
	uint64_t plan_version, attempt;
	uint64_t deadline_s; /* from the first boot to confirmed */
	/* Of the boot that activated it; PHASE_REVERTING: that gave it up; PHASE_NONE: in which a
	 * person rolled back, and left what runs. */
	char boot_id[BOOT_ID_MAX + 1];
	int64_t first_seen_boot_ms; /* boot clock when this boot of it was first seen; 0: not yet */
	char seen_boot_id[BOOT_ID_MAX + 1]; /* which boot that was */
	uint64_t boots;			    /* how many boots of it were seen */
	bool switched;			    /* the boot variables were switched for certain */
	bool answered;			    /* a server answered the new system in its trial */
	bool in_order;	/* in its trial it was healthy and what was signed: only the server's word
			 * was missing */
	bool cancelled; /* PHASE_REVERTING: by a stop or a withdrawal, and held against nobody */
	bool unreached; /* PHASE_REVERTING: for lack of network, */
	bool in_doubt;	/* and no server ever answered (doubt.h) */
	bool stale;	/* PHASE_REVERTING: for lack of freshness */
	bool told;	/* PHASE_REVERTING: the bootloader was told to go back; PHASE_NONE: it was,
			 * and started target all the same */
};

/* How an update ended, until its report is in the spool: written together with the end itself, so
 * that no power cut comes between them. */
struct ended {
	enum outcome outcome; /* OUTCOME_NONE: nothing waits to be told */
	enum err_class class;
	struct pending update;
	char detail[REPORT_DETAIL_MAX + 1];
	uint64_t seq;  /* of its report; 0: it has none yet */
	bool in_doubt; /* not to be told yet: the old system finds out what it was (doubt.h) */
	char doubt_boot_id[BOOT_ID_MAX + 1]; /* in which boot it began to, */
	int64_t doubt_since_boot_ms;	     /* and when */
};

/* A release that failed here is not tried again until a plan says a higher attempt. */
struct failed {
	struct digest manifest;
	uint64_t attempt;
	bool inconclusive; /* not held against the release: retried, a bounded number of times */
	uint64_t tries;
	int64_t not_before_s;
	char reason[REPORT_DETAIL_MAX + 1];
};

/* A stop that this box has seen and that no resume has lifted. */
struct sticky_stop {
	char id[STOP_ID_SIZE];
	char gate[TUF_PATH_MAX + 1]; /* gates/all.json, or the gate of a plan */
	char reason[STOP_REASON_MAX + 1];
};

/* What was fetched of a release under a plan's byte budget (budget.h). */
struct spending {
	struct digest manifest;
	uint64_t attempt, bytes;
	uint64_t
		wants_bytes; /* what it takes at least, where the budget did not allow it; else 0 */
	uint64_t wasted_bytes; /* of heads that did not come as they were signed; not in bytes */
};

/* What the last install was to take, and what it took; all 0 as long as it has not come to its end.
 */
struct intake_record {
	struct digest manifest; /* of its release */
	struct haul haul;
	struct install_stats stats;
};

struct state {
	/* What each side holds, as far as this agent installed it: of the slots that the bootloader
	 * switches, and of those that the link switches. */
	struct release running[SIDES], linked[SIDES];
	uint64_t rollback_floor;
	struct pending pending;
	struct ended ended;
	size_t failed_count;
	struct failed failed[FAILED_MAX]; /* newest last; the oldest goes when full */
	size_t stop_count;
	struct sticky_stop stops[STOPS_MAX];
	struct spending spent;
	struct intake_record intake;
	uint64_t next_seq;	  /* of the next report; starts at 1 */
	int64_t floor_s;	  /* signed_at of the newest timestamp, 0: none */
	uint64_t floor_version;	  /* that timestamp's version */
	struct digest floor_keys; /* tuf_timestamp_keys() that vouched for it */
	struct tuf_floor seen;	  /* versions of metadata, where the disk has lost the metadata */
	char last_result[REPORT_DETAIL_MAX + 1]; /* for `status` */
};

/* Reads state.json of the folder, or state.copy.json with a warning where that cannot be read; a
 * fresh state where there is neither. Two damaged files are ERR_MALFORMED: nobody guesses a
 * rollback floor. *out is large: allocate it. */
int state_load(const char *dir, struct state *out, struct err *e);

/* Both files; durable when it returns 0. The next one mends what is damaged. */
int state_save(const char *dir, const struct state *s, struct err *e);

/* The lock that makes one agent of a state folder (file_lock). */
int state_lock(const char *dir, int *fd, struct err *e);

/* Nothing is under way any more, and how that came is to be told: update is the one that ended
 * (s->pending, or one that did not get that far). detail is borrowed, and may lie in s. */
void state_end(struct state *s, const struct pending *update, enum outcome outcome,
	enum err_class class, const char *detail);

/* "none", "installing", "activated", "reverting". */
const char *phase_name(enum phase p);

/* Whether what this side holds was given up and runs all the same: the other does not start. */
bool state_is_stranded(const struct state *s, enum side current);

/* Finds what failed with this release, or NULL. */
const struct failed *state_failed(const struct state *s, const struct digest *manifest);

/* Remembers a failure, replacing an older one of the same release. */
void state_remember_failed(struct state *s, const struct failed *f);

#endif
