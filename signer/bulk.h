/* The lane of large content: bundles on their way into the site, and to where that is served,
 * beside whatever else is published meanwhile. A stop does not wait for it. */
#ifndef SLUICE_SIGNER_BULK_H
#define SLUICE_SIGNER_BULK_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "signer/incoming.h"

/* Takes the lane's lock. ERR_REFUSED while another publisher has it, at once or, if waits, after
 * BULK_WAIT_MS. The lock lives as long as *lock is open. */
int bulk_lock(const struct workspace *w, bool waits, int *lock, struct err *e);

/* Places, then pushes, the large content of all roles that `in` has judged to be deferred. What was
 * done is added to carried: see struct incoming. Errors where the push fails, or the workspace
 * itself; what is wrong with one content is told in carried. */
int bulk_carry(const struct incoming *in, json_t *carried, struct err *e);

/* One run of the lane by itself, for who holds no key: carries what is deferred in incoming/, and
 * where nothing is, pushes what is published once more (push_listed_bulk). *carried (owned) is of
 * what was carried. Waits for the lock as above. */
int bulk_run(const struct workspace *w, json_t **carried, struct err *e);

#endif
