/* The boxes of a fleet as a CSV file has them:
 *
 *     name,compatible,version,running_sha256,site,ring
 *     gw-000001,acme-gw3,2.3.9,,lyon,a
 *
 * name and compatible are a must, version (what runs; may be empty) and running_sha256 (its
 * manifest) are not. Any other column is a tag; a box where it is empty has not got that tag. */
#ifndef SLUICE_SIGNER_INVENTORY_H
#define SLUICE_SIGNER_INVENTORY_H

#include "signer/fleet.h"

/* Calls each for every box, as fleet_each_box does. ERR_MALFORMED and ERR_LIMIT say "FILE:LINE:
 * ...". */
int inventory_each(const char *path,
	int (*each)(void *arg, const struct fleet_member *m, struct err *e), void *arg,
	struct err *e);

#endif
