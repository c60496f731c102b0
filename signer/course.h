/* Plans as boxes find them published, each with its gate and the release that it brings. */
#ifndef SLUICE_SIGNER_COURSE_H
#define SLUICE_SIGNER_COURSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/format/gate.h"
#include "signer/scope.h"
#include "signer/workspace.h"

struct course {
	char name[NAME_BYTES_MAX + 1]; /* "stable" for rollouts/stable.json */
	struct scope_plan plan;
	struct gate gate;  /* all zeros where there is none */
	bool binds;	   /* the gate speaks of exactly this plan */
	const char *loose; /* why it does not bind, or "" */
	struct digest manifest;
	struct err why;	   /* why it cannot be followed: class ERR_NONE where it can */
	int64_t following; /* 0 until whoever follows it says so */
};

/* Of the gate of every box: nothing that is shut there opens by a plan's gate. */
struct courses {
	struct course *list;
	size_t count;
	bool published; /* false: nothing is, and so nothing can be said to be withdrawn */
	/* A role that could not be read, the first of them: its plans are not here, and nobody can
	 * say which are withdrawn. Class ERR_NONE where all could be. */
	struct err damage;
	bool has_all; /* false, too, where it cannot be read */
	struct gate all;
	json_t *all_resumes; /* owned, or NULL */
	json_t *withdrawn;   /* names of plans, which are not in list; owned, or NULL */
};

void courses_free(struct courses *c);
#define AUTO_COURSES CLEANUP(courses_free)

/* Reads them all from the site, whatever waits in incoming/. What is wrong with one plan or gate
 * stands in its `why`, and what is wrong with a role in `damage`; neither holds up any other.
 * Nothing is published yet: there are none. */
int courses_read(const struct workspace *w, struct courses *out, struct err *e);

/* Where a role could not be read, what is missing in c stays as it was before, to be stopped if it
 * has to be; `why` says that it is followed no further. It moves from before to c. */
int courses_keep(struct courses *c, struct courses *before, struct err *e);

/* The first stop of a gate that nobody has lifted, or NULL. */
const struct stop *course_stop(const struct course *c);
const struct stop *courses_stop(const struct courses *c);

#endif
