/* How a plan's file stands to what is published under its name. */
#ifndef SLUICE_SIGNER_PUBLICATION_H
#define SLUICE_SIGNER_PUBLICATION_H

#include <stdbool.h>

#include "common/base/cleanup.h"
#include "signer/binding.h"
#include "signer/rollout.h"
#include "signer/scope.h"
#include "signer/workspace.h"

struct publication {
	bool known;	/* the workspace's metadata could be read */
	bool bound;	/* its bundles are released: binding is filled in */
	bool same;	/* what is published says what the file says */
	struct err why; /* why it is not known, or not bound */
	struct binding binding;
	struct scope_plan before;    /* before.listed: one is published */
	bool gate_binds;	     /* and its gate is of it */
	struct scope_gate gate, all; /* all: of every box */
	struct metadata all_plans;   /* the role that lifts stops of every box */
};

void publication_free(struct publication *p);
#define AUTO_PUBLICATION CLEANUP(publication_free)

/* Looks it up as far as it can be: never fails, for a plan is looked at before there is a site. */
void publication_find(const struct workspace *w, const struct rollout *r, struct publication *out);

/* Whether a wave of the file, as it is published, is open. */
bool publication_opens(const struct publication *p, const char *wave);

/* The stop that holds boxes which follow the plan, or NULL. */
const struct stop *publication_stop(const struct publication *p);

#endif
