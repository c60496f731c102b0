/* fleet.db: the boxes of a fleet and the certificates they were given. What boxes report is in
 * ledger.h, and how rollouts fare in following.h: both in the same file. */
#ifndef SLUICE_SIGNER_FLEET_H
#define SLUICE_SIGNER_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/x509.h"
#include "common/format/plan.h"
#include "common/limits.h"
#include "signer/workspace.h"

struct fleet;

void fleet_close(struct fleet **f);
#define AUTO_FLEET CLEANUP(fleet_close)

/* Opens the workspace's fleet.db, making it where there is none; one of an older program is brought
 * up to date, in one transaction. Errors: ERR_SYSTEM with SQLite's own words; ERR_REFUSED for a
 * file that a newer program has written. */
int fleet_open(const struct workspace *w, struct fleet **out, struct err *e);

/* The same for reading alone: nothing is made or changed. ERR_SYSTEM/ENOENT where there is none. */
int fleet_open_read(const struct workspace *w, struct fleet **out, struct err *e);

/* The database, for those who keep their own tables in it (fleet_schema.h). ERR_REFUSED where the
 * file was opened for reading and is of an older program that had no such tables. */
struct sql;
int fleet_sql(struct fleet *f, struct sql **out, struct err *e);

struct fleet_box {
	char name[NAME_BYTES_MAX + 1], compatible[NAME_BYTES_MAX + 1]; /* compatible may be "" */
	json_t *tags;	    /* object of strings; owned */
	json_t *report_key; /* TUF KEY object that the box's reports are signed with; owned */
	int64_t added_s, revoked_s; /* revoked_s 0: it is not */
};

void fleet_box_free(struct fleet_box *b);
#define AUTO_FLEET_BOX CLEANUP(fleet_box_free)

/* Adds a box with its first certificate (issuer: the SHA-256 of its CA's, in hexadecimal, and
 * authorities that of the CAs that it was made with, as it would report it), durably.
 * A box that was revoked comes back under a new certificate; the old ones stay revoked. ERR_REFUSED
 * for a box that is there. */
int fleet_add(struct fleet *f, const struct fleet_box *box, const struct x509_info *certificate,
	const char *issuer, const char *authorities, struct err *e);

/* *found false: no box of that name. */
int fleet_find(
	struct fleet *f, const char *name, bool *found, struct fleet_box *out, struct err *e);

/* Revokes a box and all of its certificates, durably. One revoked before keeps its date. ERR_USAGE
 * for a name that is not known. */
int fleet_revoke(struct fleet *f, const char *name, int64_t now_s, struct err *e);

/* How often something was revoked that may be on no CRL yet; 0: never. Who writes a CRL asks before
 * they read what is revoked, and gives that number to fleet_list() once it is in place: what was
 * revoked meanwhile stays unlisted. */
int fleet_unlisted(struct fleet *f, uint64_t *out, struct err *e);
int fleet_list(struct fleet *f, uint64_t unlisted, struct err *e);

/* The certificates revoked that have not run out, for a CRL. Owned. */
struct fleet_revoked {
	struct x509_revoked *list;
	size_t count;
};
void fleet_revoked_free(struct fleet_revoked *r);
#define AUTO_FLEET_REVOKED CLEANUP(fleet_revoked_free)
int fleet_revoked(struct fleet *f, int64_t now_s, struct fleet_revoked *out, struct err *e);

/* The boxes that are not revoked, by the certificate that each uses: the one that it last said, or,
 * where it said nothing, the newest that it was given. An answer that it has not taken (renewal.h)
 * keeps no box connected. */
struct fleet_census {
	uint64_t boxes, revoked; /* revoked ones are not among the boxes */
	uint64_t expired, due;	 /* of the boxes: at now_s, and until then or before soon_s */
	uint64_t unknown;	 /* of the boxes: show a certificate that fleet.db does not know */
	int64_t earliest_s;	 /* the first to run out of those known, even if it has; 0: none */
	char earliest[NAME_BYTES_MAX + 1], unknown_box[NAME_BYTES_MAX + 1];
};
int fleet_census(
	struct fleet *f, int64_t now_s, int64_t soon_s, struct fleet_census *out, struct err *e);

/* The number of the next CRL: higher than all before it. */
int fleet_crl_number(struct fleet *f, uint64_t *out, struct err *e);

/* The number of the last one; 0: there was none. */
int fleet_crl_last(struct fleet *f, uint64_t *out, struct err *e);

/* A box with what it says of itself; before its first report, with what it was added with. All
 * borrowed, until the next box. */
struct fleet_member {
	struct box_facts facts;
	const char
		*running; /* SHA-256 of the manifest of what runs, in hexadecimal; "" not known */
	const char
		*linked;  /* likewise, of the folders that a link switches; "" where it has none */
	int64_t row;	  /* in table box; 0 where the box is of no fleet */
	const char *plan; /* the path of the plan that it follows, or "" */
	int64_t heard_s;  /* 0: never */
	bool revoked;
};

/* Calls each for every box, revoked ones among them, in the order in which they were first added,
 * and ends at the first that returns other than 0, returning that. Memory does not grow with the
 * fleet. each must not write to the fleet. */
int fleet_each_box(struct fleet *f,
	int (*each)(void *arg, const struct fleet_member *m, struct err *e), void *arg,
	struct err *e);

#endif
