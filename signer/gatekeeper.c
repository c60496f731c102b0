#include "signer/gatekeeper.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "signer/halt.h"
#include "signer/metadata.h"
#include "signer/scope.h"

static int
gate_load(const struct gatekeeper *k, const struct course *c, struct scope_gate *g, struct err *e)
{
	if (scope_gate_load(k->w, c->name, NULL, g, e) < 0)
		return -1;
	return metadata_check_signer(&g->role, k->signer, e);
}

static int
gate_sign(const struct gatekeeper *k, struct scope_gate *g, struct err *e)
{
	if (scope_gate_put(k->w, g, e) < 0)
		return -1;
	return metadata_sign(k->w, &g->role, k->signer, e);
}

static bool
may_open(const struct gate *g, const struct course *c, size_t wave)
{
	const struct plan *p = &c->plan.plan;
	const char *why;

	if (wave == 0 || wave >= p->wave_count || g->paused ||
		gate_first_stop(g, scope_resumes(c->plan.entry)) ||
		!gate_binds(g, p, &c->plan.sha256, &why))
		return false;
	for (size_t i = 0; i < wave; i++) {
		if (!gate_is_open(g, p->waves[i].name))
			return false;
	}
	return true;
}

int
gatekeeper_open(const struct gatekeeper *k, const struct course *c, size_t wave, enum kept *out,
	struct err *e)
{
	AUTO_SCOPE_GATE struct scope_gate g = {0};
	const char *name;

	if (gate_load(k, c, &g, e) < 0)
		return -1;
	*out = KEPT_BARRED;
	if (!may_open(&g.gate, c, wave))
		return 0;
	name = c->plan.plan.waves[wave].name;
	*out = KEPT_ALREADY;
	if (gate_is_open(&g.gate, name))
		return 0;
	if (gate_open_wave(&g.gate, &c->plan.plan, wave, e) < 0)
		return -1;
	if (gate_sign(k, &g, e) < 0)
		return -1;
	*out = KEPT_SIGNED;
	return 0;
}

int
gatekeeper_stop(const struct gatekeeper *k, const struct course *c, const char *reason,
	int64_t now_s, char id[STOP_ID_SIZE], enum kept *out, struct err *e)
{
	AUTO_SCOPE_GATE struct scope_gate g = {0};
	const struct stop *s;
	enum kept kept = KEPT_ALREADY;

	if (gate_load(k, c, &g, e) < 0)
		return -1;
	s = gate_first_stop(&g.gate, scope_resumes(c->plan.entry));
	if (!s) {
		if (!g.listed)
			scope_gate_bind(&g.gate, &c->plan);
		if (halt_add(&g.gate, scope_resumes(c->plan.entry), reason, now_s, &s, e) < 0 ||
			gate_sign(k, &g, e) < 0)
			return -1;
		kept = KEPT_SIGNED;
	}
	memcpy(id, s->id, STOP_ID_SIZE);
	*out = kept;
	return 0;
}

struct renewal {
	const struct gatekeeper *by;
	int64_t now_s;
	char *renewed;
	size_t size;
};

static bool
is_due(const struct workspace *w, const struct metadata *m, int64_t now_s)
{
	const char *text = json_text(m->body, "expires");
	int64_t expires_s;

	return m->published > 0 && text && clock_parse(text, &expires_s, NULL) == 0 &&
	       expires_s - now_s < (int64_t)(w->gates_life_s / 2);
}

static int
gate_renew(void *arg, const struct metadata *seen, const char *path, struct err *e)
{
	struct renewal *r = arg;
	AUTO_METADATA struct metadata m = {0};
	size_t len = strlen(r->renewed);

	(void)path;
	/* What waits is newer than it anyway. */
	if (seen->waiting || !is_due(r->by->w, seen, r->now_s) ||
		metadata_check_signer(seen, r->by->signer, NULL) < 0)
		return 0;
	if (metadata_load(r->by->w, seen->role, &m, e) < 0)
		return -1;
	if (m.waiting)
		return 0;
	if (metadata_sign(r->by->w, &m, r->by->signer, e) < 0)
		return err_context(e, "renewing %s", m.role);
	(void)snprintf(r->renewed + len, r->size - len, "%s%s", len ? ", " : "", m.role);
	return 0;
}

int
gatekeeper_renew(
	const struct gatekeeper *k, int64_t now_s, char *renewed, size_t size, struct err *e)
{
	struct renewal r = {k, now_s, renewed, size};

	renewed[0] = '\0';
	return scope_every(k->w, "gates", gate_renew, &r, e);
}
