#include "signer/course.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/format/listing.h"
#include "signer/binding.h"
#include "signer/site.h"

void
courses_free(struct courses *c)
{
	for (size_t i = 0; i < c->count; i++)
		scope_plan_free(&c->list[i].plan);
	free(c->list);
	json_decref(c->all_resumes);
	json_decref(c->withdrawn);
	*c = (struct courses){0};
}

const struct stop *
course_stop(const struct course *c)
{
	return gate_first_stop(&c->gate, scope_resumes(c->plan.entry));
}

const struct stop *
courses_stop(const struct courses *c)
{
	return gate_first_stop(&c->all, c->all_resumes);
}

static int
course_fill(const struct workspace *w, struct course *c, struct err *e)
{
	AUTO_SCOPE_GATE struct scope_gate gate = {0};
	struct rollout_bundle bundle;
	struct listing listing;
	const char *why = "";

	if (scope_plan_load(w, c->name, NULL, &c->plan, e) < 0 ||
		scope_gate_load(w, c->name, NULL, &gate, e) < 0)
		return -1;
	c->gate = gate.gate;
	c->binds = c->plan.listed && gate.listed &&
		   gate_binds(&c->gate, &c->plan.plan, &c->plan.sha256, &why);
	c->loose = c->binds ? "" : gate.listed ? why : "the plan has no gate yet";
	if (binding_bundle(w, c->plan.plan.bundle_path, &bundle, &listing, e) < 0)
		return -1;
	/* Under that name there may be another file by now, which no box takes. */
	if (!digest_equal(&bundle.sha256, &c->plan.plan.bundle_sha256))
		return err_set(e, ERR_REFUSED,
			"%s was released anew since %s was published, so no box takes it: "
			"publish the plan again",
			c->plan.plan.bundle_path, c->plan.plan.path);
	c->manifest = listing.manifest_sha256;
	return 0;
}

struct reading {
	const struct workspace *w;
	struct courses *out;
};

/* "rollouts/stable.json" into "stable"; false for a path that is no plan's. */
static bool
name_read(const char *path, char out[NAME_BYTES_MAX + 1])
{
	const char *name = path + strlen("rollouts/");
	size_t len = strlen(name);
	char again[TUF_PATH_MAX + 1];

	if (len <= strlen(".json") || len - strlen(".json") > NAME_BYTES_MAX)
		return false;
	(void)snprintf(out, NAME_BYTES_MAX + 1, "%.*s", (int)(len - strlen(".json")), name);
	return scope_path("rollouts", out, again, NULL) == 0 && strcmp(again, path) == 0;
}

static int
withdrawn_note(struct courses *c, const char *name, struct err *e)
{
	if (!c->withdrawn)
		c->withdrawn = json_array();
	return json_array_append_new(c->withdrawn, json_string(name)) < 0
		       ? err_sys(e, ENOMEM, "reading plans")
		       : 0;
}

static int
plan_take(void *arg, const struct metadata *m, const char *path, struct err *e)
{
	struct reading *r = arg;
	struct course *list, *c;
	char name[NAME_BYTES_MAX + 1];

	if (strcmp(path, PLAN_ALL_PATH) == 0 || !name_read(path, name))
		return 0;
	if (plan_is_withdrawn(json_object_get(metadata_find(m, path), "custom")))
		return withdrawn_note(r->out, name, e);
	list = reallocarray(r->out->list, r->out->count + 1, sizeof(*list));
	if (!list)
		return err_sys(e, ENOMEM, "reading plans");
	r->out->list = list;
	c = &list[r->out->count];
	*c = (struct course){.loose = ""};
	memcpy(c->name, name, sizeof(name));
	r->out->count++;
	(void)course_fill(r->w, c, &c->why);
	return 0;
}

static void
damage_note(struct courses *c, const struct err *why)
{
	if (c->damage.class == ERR_NONE)
		c->damage = *why;
}

static int
all_read(const struct workspace *w, struct courses *c, struct err *e)
{
	AUTO_SCOPE_GATE struct scope_gate gate = {0};
	AUTO_METADATA struct metadata rollouts = {0};
	struct err why = ERR_INIT;
	const json_t *resumes;

	/* Where nobody may speak for it, or what is there makes no sense, there is none: every box
	 * is shut, and plans are stopped as ever. */
	if (scope_gate_load(w, "all", NULL, &gate, &why) < 0) {
		if (why.class == ERR_SYSTEM)
			damage_note(c, &why);
		return 0;
	}
	c->has_all = gate.listed;
	c->all = gate.gate;
	if (scope_role(w, PLAN_ALL_PATH, NULL, &rollouts, NULL) < 0)
		return 0;
	resumes = scope_resumes(metadata_find(&rollouts, PLAN_ALL_PATH));
	c->all_resumes = resumes ? json_deep_copy(resumes) : NULL;
	return resumes && !c->all_resumes ? err_sys(e, ENOMEM, "reading gates") : 0;
}

int
courses_read(const struct workspace *w, struct courses *out, struct err *e)
{
	AUTO_COURSES struct courses c = {.damage = ERR_INIT};
	AUTO_SITE struct site s = {0};
	struct workspace seen = *w;
	struct reading r = {&seen, &c};
	struct err why = ERR_INIT;

	seen.published_only = true;
	if (site_open(w, &s, e) < 0)
		return -1;
	if (!s.timestamp)
		return 0;
	if (scope_every(&seen, "rollouts", plan_take, &r, &why) < 0)
		damage_note(&c, &why);
	if (all_read(&seen, &c, e) < 0)
		return -1;
	c.published = true;
	*out = c;
	c = (struct courses){0};
	return 0;
}

static bool
courses_have(const struct courses *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(c->list[i].name, name) == 0)
			return true;
	}
	return json_has_text(c->withdrawn, name);
}

int
courses_keep(struct courses *c, struct courses *before, struct err *e)
{
	struct course *list;

	if (c->damage.class == ERR_NONE || before->count == 0)
		return 0;
	list = reallocarray(c->list, c->count + before->count, sizeof(*list));
	if (!list)
		return err_sys(e, ENOMEM, "reading plans");
	c->list = list;
	for (size_t i = 0; i < before->count; i++) {
		struct course *x = &before->list[i];

		if (courses_have(c, x->name))
			continue;
		x->why = c->damage;
		list[c->count++] = *x;
		*x = (struct course){.loose = ""};
	}
	return 0;
}
