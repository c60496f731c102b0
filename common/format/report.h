/* A report: what a box says of itself, signed with its report key (an envelope).
 *
 *   {"format":1, "box":"gw-000001", "seq":17, "at":"...", "boot_id":"...", "state":"confirmed",
 *    "outcome":"ok", "rollout":"gateway-2.4.0", "plan_version":3, "wave":"canary", "attempt":1,
 *    "bundle":"gateway-2.4.0.ota", "version":"2.4.0", "bundle_sha256":"...",
 * "running_sha256":"...", "rollback_floor":4, "tags":{...}, "compatible":"...", "source":"network",
 *    "class":"none", "detail":"...", "log":"...",
 *    "plan":"rollouts/stable.json", "linked_sha256":"...", "stops":["32 hex digits"],
 *    "certificate_serial":"...", "certificate_request":"...", "authorities_sha256":"...",
 *    "authentic":"yes",
 *    "haul":{"in_place":0, "zeros":0, "running":0, "inactive":0, "network":0, "fetch":0,
 *    "ranges":0, "delta":0, "records":0}}
 *
 * The last eight are left out where there is nothing to say, as older agents do, and so are delta
 * and records where no delta is used. */
#ifndef SLUICE_FORMAT_REPORT_H
#define SLUICE_FORMAT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/crypto/envelope.h"
#include "common/format/gate.h"
#include "common/limits.h"

/* Where a box is in its life. */
enum box_state {
	BOX_IDLE,	 /* nothing to do */
	BOX_STARTING,	 /* an update begins */
	BOX_INSTALLED,	 /* written, read back, activated; not rebooted yet */
	BOX_UNCONFIRMED, /* booted into the new system, not confirmed */
	BOX_CONFIRMED,	 /* what it was to run runs, whatever a gate says by now */
	BOX_HELD,	 /* would update, but a gate, stop or hook says no */
	BOX_STATES
};

/* How a step or an update came out. */
enum outcome {
	OUTCOME_NONE, /* nothing is decided by this report */
	OUTCOME_OK,
	OUTCOME_FAILED,	      /* not installed: refused, damaged, no room */
	OUTCOME_REVERTED,     /* installed, booted, went back: the release's fault */
	OUTCOME_INCONCLUSIVE, /* went back for lack of network or freshness */
	OUTCOME_STOPPED,      /* ended by a stop or a withdrawal */
	OUTCOMES
};

/* Whether what is installed is what was signed, as far as the box has looked. */
enum authentic {
	AUTHENTIC_UNSAID,
	AUTHENTIC_UNKNOWN, /* it could not tell */
	AUTHENTIC_YES,
	AUTHENTIC_NO,
	AUTHENTICS
};

/* Where an update's bytes come from, as it is planned before the first is fetched: those of its
 * payloads, but for fetch, ranges and records. */
struct report_haul {
	uint64_t in_place, zeros, running, inactive, network;
	/* As many are fetched for those of the network, and of a delta, in so many ranges. */
	uint64_t fetch, ranges;
	uint64_t delta, records; /* told by a delta, for which as many of fetch; 0: there is none */
};

struct report {
	char box[NAME_BYTES_MAX + 1];
	uint64_t seq;
	int64_t at_s;
	char boot_id[BOOT_ID_MAX + 1];
	enum box_state state;
	enum outcome outcome;
	char rollout[NAME_BYTES_MAX + 1]; /* "" where no rollout is concerned */
	uint64_t plan_version;
	char wave[NAME_BYTES_MAX + 1];
	uint64_t attempt;
	char bundle[NAME_BYTES_MAX + VERSION_BYTES_MAX + 8]; /* the bundle concerned, or "" */
	char version[VERSION_BYTES_MAX + 1];		     /* the running version, or "" */
	char bundle_sha256[DIGEST_HEX_SIZE];		     /* of the bundle's manifest, or "" */
	char running_sha256[DIGEST_HEX_SIZE];		     /* of the running manifest, or "" */
	uint64_t rollback_floor;
	char compatible[NAME_BYTES_MAX + 1];
	json_t *tags;	 /* object of strings; owned */
	char source[16]; /* "network", "local", or "" where no bundle is concerned */
	char class_[16]; /* err_class_name, "none" where nothing failed */
	char detail[REPORT_DETAIL_MAX + 1];
	char log[REPORT_LOG_MAX + 1]; /* the tail of the log where something failed */
	char plan[TUF_PATH_MAX + 1];  /* the path of the plan that the box follows, or "" */
	/* Of the manifest of what the folders hold that a link switches, or "". On a box whose
	 * slots the bootloader switches, running_sha256 and version are of those. */
	char linked_sha256[DIGEST_HEX_SIZE];
	size_t stop_count;
	char stops[STOPS_MAX][STOP_ID_SIZE]; /* that the box has taken, and no resume lifted */
	char certificate_serial[2 * X509_SERIAL_BYTES_MAX +
				1];		   /* that the box shows to servers, or "" */
	char certificate_request[CSR_PEM_MAX + 1]; /* for its next one, or "" */
	char authorities_sha256[DIGEST_HEX_SIZE];  /* of the CAs that were delivered,
						     else of those in agent.conf */
	enum authentic authentic;
	bool has_haul;
	struct report_haul haul;
};

void report_free(struct report *r);
#define AUTO_REPORT CLEANUP(report_free)

/* The "signed" object of a report, and back. Reading checks every field; after a failure *out may
 * hold anything, and owns nothing: a watch reads millions, and one is too large to be copied. */
int report_build(const struct report *r, json_t **out, struct err *e);
int report_parse(const struct verified *v, struct report *out, struct err *e);

/* The "haul" of a report alone, and back; 0 and what it reads is whole, or -1. */
json_t *report_haul_json(const struct report_haul *h);
int report_haul_parse(const json_t *j, struct report_haul *out, struct err *e);

const char *box_state_name(enum box_state s);
const char *outcome_name(enum outcome o);
const char *authentic_name(enum authentic a); /* "" for what is not said */

/* The same back; false, and *out as it was, for other texts. */
bool box_state_of(const char *name, enum box_state *out);
bool outcome_of(const char *name, enum outcome *out);

#endif
