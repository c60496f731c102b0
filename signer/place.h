/* Content of targets on its way from incoming/targets/PATH to site/targets, under its digest. */
#ifndef SLUICE_SIGNER_PLACE_H
#define SLUICE_SIGNER_PLACE_H

#include <limits.h>
#include <stdbool.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/tuf/document.h"
#include "signer/site.h"
#include "signer/workspace.h"

/* Sees to it that every target that d lists and published (or NULL) does not list so is in the
 * site, whole and durable. ERR_REFUSED naming the first whose content is not as listed. Only the
 * publisher calls this, under its lock. */
int place_targets(const struct workspace *w, const struct site *s, const struct document *d,
	const struct document *published, struct err *e);

/* The same for who only looks: nothing is copied, and content that still lies in incoming/targets
 * will do. */
int place_look(const struct workspace *w, const struct site *s, const struct document *d,
	const struct document *published, struct err *e);

/* A new target that is so large that it is placed and pushed in a lane of its own (bulk.h). */
bool place_is_bulk(const json_t *entry);

/* Calls each() for every target that d lists and published (or NULL) does not list so. Stops at the
 * first that returns other than 0, returning it. */
int place_each_new(const struct document *d, const struct document *published,
	int (*each)(void *arg, const char *path, const json_t *entry, struct err *e), void *arg,
	struct err *e);

/* Sees to it that one target is in the site. Only under the publisher's lock or, for a large one,
 * that of the bulk lane. */
int place_target(const struct workspace *w, const struct site *s, const char *path,
	const json_t *entry, struct err *e);

/* "targets/.../DIGEST.NAME", relative to site/, and whether the file is there, whole. */
int place_site_name(const struct site *s, const char *path, const json_t *entry, char out[PATH_MAX],
	bool *there, struct err *e);

/* Removes from incoming/targets what d lists. Other content under the same path stays. */
int place_clear(const struct workspace *w, const struct document *d, struct err *e);

#endif
