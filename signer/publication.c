#include "signer/publication.h"

#include <string.h>

#include "common/format/gate.h"

void
publication_free(struct publication *p)
{
	scope_plan_free(&p->before);
	scope_gate_free(&p->gate);
	scope_gate_free(&p->all);
	metadata_free(&p->all_plans);
}

/* Whether the file would be published as what is there. */
static int
compare(const struct rollout *r, struct publication *p, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(PLAN_BYTES_MAX);

	return binding_plan(r, &p->binding, &p->before, &bytes, &p->same, e);
}

void
publication_find(const struct workspace *w, const struct rollout *r, struct publication *out)
{
	const char *differs;

	if (scope_plan_load(w, r->name, NULL, &out->before, &out->why) < 0 ||
		scope_gate_load(w, r->name, NULL, &out->gate, &out->why) < 0 ||
		scope_gate_load(w, "all", NULL, &out->all, &out->why) < 0 ||
		scope_role(w, PLAN_ALL_PATH, NULL, &out->all_plans, &out->why) < 0)
		return;
	out->known = true;
	out->gate_binds =
		out->before.listed && out->gate.listed &&
		gate_binds(&out->gate.gate, &out->before.plan, &out->before.sha256, &differs);
	out->bound = binding_find(w, r, &out->binding, &out->why) == 0 &&
		     compare(r, out, &out->why) == 0;
}

bool
publication_opens(const struct publication *p, const char *wave)
{
	return p->same && p->gate_binds && gate_is_open(&p->gate.gate, wave);
}

const struct stop *
publication_stop(const struct publication *p)
{
	const struct stop *all = gate_first_stop(
		&p->all.gate, scope_resumes(metadata_find(&p->all_plans, PLAN_ALL_PATH)));

	return all ? all : gate_first_stop(&p->gate.gate, scope_resumes(p->before.entry));
}
