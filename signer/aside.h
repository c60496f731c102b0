/* Files of the spool that are no reports: moved to spool/aside/, their reasons in fleet.db, of both
 * the newest ASIDE_MAX. In the transaction of who calls, but for aside_move(). */
#ifndef SLUICE_SIGNER_ASIDE_H
#define SLUICE_SIGNER_ASIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "signer/letter.h"
#include "signer/sql.h"

#define ASIDE_DIR "aside"

/* Writes down why. *fresh false: that was done already, and whoever did it was killed before the
 * file was moved. */
int aside_note(struct sql *s, const struct letter *l, int64_t now_s, const char *reason,
	bool *fresh, struct err *e);

/* Opens spool/aside/, and makes it. Never a link: the web server, which may put one there, would
 * have us move and delete files wherever it leads. */
int aside_open(int spool, int *out, struct err *e);

/* Moves a file out of the way, once its reason has lasted. One that is gone is no error. */
int aside_move(int spool, int aside, const char *file, struct err *e);

/* Deletes what is more than ASIDE_MAX. Files that cannot be deleted stay, and nothing names them
 * any more: *left is how many, and why it was with the first of them. */
int aside_prune(int spool, struct sql *s, uint64_t *left, struct err *why, struct err *e);

#endif
