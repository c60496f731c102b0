/* What a plan means for one box: which wave, whether it may start now, and why or why not. */
#ifndef SLUICE_SIGNER_PLAN_BOX_H
#define SLUICE_SIGNER_PLAN_BOX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/format/plan.h"
#include "signer/fleet.h"
#include "signer/ledger.h"
#include "signer/publication.h"

enum { PLAN_BOX_TEXT_SIZE = 512 };

struct plan_box {
	bool in_wave;
	size_t wave;	   /* where it is in one */
	uint32_t offset_s; /* behind the window's opening, where there is a window */
	int64_t turn_s; /* from when on it may start by start and window; -1: its own clock says */
	bool may_start; /* nothing known here has it wait; its own clock, or memory, may */
	char member[PLAN_BOX_TEXT_SIZE];  /* why in that wave, or in none */
	char verdict[PLAN_BOX_TEXT_SIZE]; /* why it may start, or why not */
};

/* pub NULL: there is no workspace to ask. past NULL: what the box has been through is not known. */
void plan_box_find(const struct plan *p, const struct publication *pub,
	const struct fleet_member *m, const struct ledger_past *past, int64_t now_s,
	struct plan_box *out);

void plan_box_print(const struct plan *p, const struct fleet_member *m, const struct plan_box *b);

/* For programs. NULL without memory. */
json_t *plan_box_json(const struct plan *p, const struct fleet_member *m, const struct plan_box *b);

#endif
