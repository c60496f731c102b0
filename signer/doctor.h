/* What `sluice doctor` looks at, and what it finds: one report, which is printed for people or, as
 * it is, for programs (--json). Nothing in the workspace is changed. */
#ifndef SLUICE_SIGNER_DOCTOR_H
#define SLUICE_SIGNER_DOCTOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/tuf/document.h"
#include "signer/signing.h"
#include "signer/site.h"
#include "signer/workspace.h"

/* A key of this workspace: both halves, or one of them. */
struct doctor_key {
	char id[DIGEST_HEX_SIZE];
	char name[NAME_MAX + 1]; /* of the file, without its ending */
	char path[PATH_MAX];	 /* of the secret half; "" where it is elsewhere */
	bool encrypted, online;
};

/* What somebody who has enough keys of a role could do. */
enum doctor_power {
	POWER_ROOT = 1,
	POWER_TARGETS = 2,
	POWER_RELEASES = 4,
	POWER_ROLLOUTS = 8,
	POWER_GATES = 16,
	POWER_SNAPSHOT = 32,
	POWER_TIMESTAMP = 64,
	POWER_CERTIFICATES = 128, /* boxes' next ones, and the CAs that they connect by */
};

struct doctor_role {
	char name[ROLE_NAME_MAX + 1];
	unsigned power;
	uint64_t threshold, version; /* version 0: nothing is published of it yet */
	json_t *keyids;		     /* owned */
	json_t *paths;		     /* owned; NULL for those of root.json */
	struct document *document;   /* owned; NULL where it is not as its keys signed it */
	int64_t expires_s;
};

struct doctor {
	const struct workspace *w;
	int64_t now_s;
	uint64_t within_s;
	struct site site;
	bool site_is_open;
	struct doctor_key *keys;
	size_t key_count;
	struct doctor_role *roles;
	size_t role_count;
	json_t *report;
	bool failed; /* something is bad, not just to be thought about */
};

void doctor_free(struct doctor *d);
#define AUTO_DOCTOR CLEANUP(doctor_free)

int doctor_open(const struct workspace *w, uint64_t within_s, struct doctor *out, struct err *e);

/* Adds to the report's "problems": bad ones fail the examination. remedy says what to do. */
enum doctor_level { DOCTOR_BAD, DOCTOR_WARNING };
int doctor_problem(struct doctor *d, enum doctor_level level, const char *remedy, struct err *e,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The key of that id, or NULL. */
const struct doctor_key *doctor_key_find(const struct doctor *d, const char *id);

/* Whether some role below targets may speak for a path. */
bool doctor_speaks_for(const struct doctor *d, const char *path);

/* Its name, or the beginning of its id where nothing here is of it. out holds NAME_MAX + 1. */
const char *doctor_key_name(const struct doctor *d, const char *id, char *out);

/* "6 days", "23 h": out holds DOCTOR_SPAN_SIZE. */
enum { DOCTOR_SPAN_SIZE = 32 };
const char *doctor_span(int64_t seconds, char out[DOCTOR_SPAN_SIZE]);

/* The steps, in this order. Each adds to the report what it finds; errors are only what keeps it
 * from looking. */
int doctor_look_at_keys(struct doctor *d, struct err *e);
int doctor_look_at_roles(struct doctor *d, struct err *e);    /* "roles" */
int doctor_look_at_expiry(struct doctor *d, struct err *e);   /* "expiries" */
int doctor_look_at_renewal(struct doctor *d, struct err *e);  /* boxes' next certificates */
int doctor_look_at_site(struct doctor *d, struct err *e);     /* "site" */
int doctor_look_at_incoming(struct doctor *d, struct err *e); /* "incoming" */
int doctor_look_at_theft(struct doctor *d, struct err *e);    /* "stolen" */

/* "stop": signs a stop in a scratch copy of the workspace, with the gates key that o names, and
 * with those here that need no passphrase, unless o has one. */
int doctor_look_at_stop(struct doctor *d, struct signing *o, struct err *e);

/* Puts what is most urgent first: what is broken, then what expires next, then the rest. */
int doctor_sort(struct doctor *d, struct err *e);

/* Prints the report for people. */
void doctor_print(const struct doctor *d);

/* A folder of its own for scratch copies; removed with all in it. */
struct scratch {
	char dir[PATH_MAX];
};
void doctor_scratch_free(struct scratch *s);
#define AUTO_SCRATCH CLEANUP(doctor_scratch_free)
int doctor_scratch(struct scratch *out, struct err *e);

/* Checks a site with the TUF client as a box does that knows root.json of client_dir, where it
 * keeps what it takes. */
struct tuf_client;
struct tuf_fetcher;
struct tuf_fetcher doctor_fetcher(const struct site *s); /* from files; s is borrowed */
int doctor_client_refresh(struct doctor *d, const struct site *s, const char *client_dir,
	struct tuf_client **out, struct err *e);

#endif
