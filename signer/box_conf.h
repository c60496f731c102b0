/* The agent.conf that a new box is given, ready to be edited for its slots. */
#ifndef SLUICE_SIGNER_BOX_CONF_H
#define SLUICE_SIGNER_BOX_CONF_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "signer/workspace.h"

struct box_conf {
	const char *name, *compatible; /* compatible may be "": a line to be filled in then */
	const char *plan;	       /* the plan's name: "stable" */
	const char *etc, *state;       /* folders on the box, absolute */
	const json_t *tags;	       /* object of strings */
};

/* Appends the text to out. */
int box_conf_write(
	const struct workspace *w, const struct box_conf *c, struct buf *out, struct err *e);

#endif
