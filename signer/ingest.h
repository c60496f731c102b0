/* Reports from the spool into fleet.db.
 *
 * nginx has put each under BOX@SEQ.json, for the box whose certificate it saw (nginx.c). A batch is
 * one transaction, and its files go only once that has lasted: who is killed in between finds them
 * again, and each is a duplicate then, by (box, seq). What is no report of that box under that
 * number, signed with the key that the fleet has of it, is moved to spool/aside/, and its reason is
 * in fleet.db; the newest ASIDE_MAX of these are kept. */
#ifndef SLUICE_SIGNER_INGEST_H
#define SLUICE_SIGNER_INGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "signer/fleet.h"
#include "signer/workspace.h"

/* Borrows the workspace and the fleet. */
struct ingest;

void ingest_close(struct ingest **i);
#define AUTO_INGEST CLEANUP(ingest_close)

/* threads 0: one a processor. ERR_REFUSED where another process is at it. */
int ingest_open(const struct workspace *w, struct fleet *f, unsigned threads, struct ingest **out,
	struct err *e);

struct ingest_stats {
	uint64_t taken, duplicates, clashes, aside; /* as in struct ledger_totals */
	uint64_t alarms; /* boxes that say, as they did not before, that what is installed is
			    not what was signed; each is in the outbox */
	char alarm[NAME_BYTES_MAX + 1]; /* the first of these */
	/* Folders, and what could not be opened (the web server's group or mode) or put away: they
	 * stay where they are, are looked at in each round, and hold up nothing. */
	uint64_t left;
	char why[ERR_TEXT_SIZE]; /* of the first of these */
	uint64_t unread;	 /* those of them that could not be opened or read: a box may have
				    spoken, and was not heard */
	/* Of the first row in fleet.db that makes no sense, and for which reports do not count; ""
	 */
	char damage[ERR_TEXT_SIZE];
};

/* Takes the next batch; *out is what became of it. *more is false at the end of the folder: what
 * came meanwhile is for the next round, which the next call begins. All of it lasts when this
 * returns 0. now_s is the latest that a report can have come. */
int ingest_batch(
	struct ingest *i, int64_t now_s, struct ingest_stats *out, bool *more, struct err *e);

/* Files that were set aside, newest first, and why. */
int ingest_each_aside(struct fleet *f,
	int (*each)(void *arg, const char *file, int64_t at_s, const char *reason, struct err *e),
	void *arg, struct err *e);

#endif
