/* What is known of the fleet and its rollouts, as one document: for `sluice status`. */
#ifndef SLUICE_SIGNER_OVERVIEW_H
#define SLUICE_SIGNER_OVERVIEW_H

#include "common/base/err.h"
#include "common/base/json.h"
#include "signer/workspace.h"

/* *out is owned:
 *
 *   {"at":TIME, "rollouts":[{"name","rollout","version","attempt","binds","paused",
 *        "stops":[{"id","reason","at","taken","boxes"}], "problem",
 *        "waves":[{"name","open","opened","boxes","seen","started","ok","failed","reverted",
 *                  "overdue","inconclusive"}]}],
 *    "withdrawn":[NAME], "planless":[{"name","stops":[...]}],
 *    "all":{"paused","stops":[...]}, "boxes":{"count","never","offline","offline_after_s"},
 *    "states":[{"what","boxes"}], "versions":[...], "failures":[...], "audits":[...],
 *    "expiries":[as doctor has them], "spool":{"reports","duplicates","clashes","aside"},
 *    "crl_unread":N}  (the number of the CRL that the web server was not told of yet, see reload.h;
 *    0: none)
 *
 * planless are gates with stops that stand though no plan goes by them any more, or not yet: boxes
 * keep those, and they hold the plan that comes next. A plan that nobody follows yet has waves
 * without counts. Without fleet.db there are no boxes. */
int overview_read(const struct workspace *w, json_t **out, struct err *e);

#endif
