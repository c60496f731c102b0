/* A file of the spool, BOX@SEQ.json: who may have put it there, and what is in it. */
#ifndef SLUICE_SIGNER_LETTER_H
#define SLUICE_SIGNER_LETTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/format/report.h"
#include "common/limits.h"

struct letter {
	char file[FILE_NAME_MAX + 1];
	char box[NAME_BYTES_MAX + 1]; /* "" where the name is none of a report */
	uint64_t seq;
	uint64_t inode; /* 0: it was not looked at yet */
	bool is_folder;
	int64_t came_s; /* when it was put there */
};

/* Takes the name apart; no file is looked at. False for a name that is no report's. */
bool letter_address(const char *file, struct letter *out);

/* What it is of: inode, kind and time. ERR_SYSTEM. */
int letter_look(int spool, struct letter *l, struct err *e);

/* Opens it in the folder spool (a link is not followed, a pipe not waited for), looks at it, and
 * takes what it says: the report of that box, under that number, signed with report_key (a KEY
 * object as text).
 * ERR_SYSTEM where it cannot be read; ERR_REFUSED where it is no file, ERR_LIMIT, ERR_MALFORMED or
 * ERR_UNTRUSTED for what is no such report. Any thread may. After a failure *out may hold anything,
 * and owns nothing: it is too large to be copied for each. */
int letter_open(
	int spool, struct letter *l, const char *report_key, struct report *out, struct err *e);

#endif
