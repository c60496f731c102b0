#include "signer/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/field.h"
#include "common/tuf/path.h"

static const json_t *
delegations(const struct metadata *targets)
{
	return json_object_get(json_object_get(targets->body, "delegations"), "roles");
}

static const char *
role_name(const json_t *delegation)
{
	const char *name = json_string_value(json_object_get(delegation, "name"));

	return name ? name : "";
}

/* The name of the role that boxes ask about path, as scope_role has it; "" where there is none. */
static const char *
role_for(const struct metadata *targets, const char *path, const char *wanted)
{
	struct digest digest = digest_of(span_str(path));
	char hex[DIGEST_HEX_SIZE];
	const json_t *each;
	size_t i;

	digest_hex(&digest, hex);
	json_array_foreach (delegations(targets), i, each) {
		if (!path_is_delegated(each, path, hex))
			continue;
		if (!wanted || strcmp(role_name(each), wanted) == 0)
			return role_name(each);
		if (json_is_true(json_object_get(each, "terminating")))
			break;
	}
	return "";
}

/* The same, from the targets.json in force; else from the one that waits, whose roles sign already
 * while its ceremony is under way. Borrowed from targets, which is filled in. */
static int
speaker_find(const struct workspace *w, const char *path, const char *wanted,
	struct metadata *targets, const char **name, struct err *e)
{
	if (metadata_load_in_force(w, targets, e) < 0)
		return -1;
	*name = role_for(targets, path, wanted);
	if (**name || *role_for(targets, path, NULL))
		return 0;
	metadata_free(targets);
	if (metadata_load(w, "targets", targets, e) < 0)
		return -1;
	*name = role_for(targets, path, wanted);
	return 0;
}

int
scope_role(const struct workspace *w, const char *path, const char *wanted, struct metadata *out,
	struct err *e)
{
	AUTO_METADATA struct metadata targets = {0};
	const char *name;

	if (speaker_find(w, path, wanted, &targets, &name, e) < 0)
		return -1;
	if (!*name && wanted && *role_for(&targets, path, NULL))
		return err_set(e, ERR_REFUSED,
			"boxes ask role %s about %s, not %s: leave --role out",
			role_for(&targets, path, NULL), path, wanted);
	if (!*name)
		return err_set(e, ERR_REFUSED,
			"no role may speak for %s; see `sluice role list`, `sluice role add`",
			path);
	return metadata_load(w, name, out, e);
}

static bool
is_under(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && path[len] == '/';
}

static int
role_each(const struct workspace *w, const struct metadata *targets, const char *role,
	const char *folder,
	int (*each)(void *arg, const struct metadata *m, const char *path, struct err *e),
	void *arg, struct err *e)
{
	AUTO_METADATA struct metadata m = {0};
	const char *path;
	json_t *entry;
	int rc = 0;

	if (metadata_load(w, role, &m, e) < 0)
		return err_context(e, "the role %s", role);
	json_object_foreach (json_object_get(m.body, "targets"), path, entry) {
		if (rc == 0 && is_under(path, folder) &&
			strcmp(role_for(targets, path, NULL), m.role) == 0)
			rc = each(arg, &m, path, e);
	}
	return rc;
}

int
scope_every(const struct workspace *w, const char *folder,
	int (*each)(void *arg, const struct metadata *m, const char *path, struct err *e),
	void *arg, struct err *e)
{
	AUTO_METADATA struct metadata targets = {0};
	struct err first = ERR_INIT;
	const json_t *delegation;
	size_t i;

	if (metadata_load_in_force(w, &targets, e) < 0)
		return -1;
	json_array_foreach (delegations(&targets), i, delegation) {
		struct err why = ERR_INIT;

		if (role_each(w, &targets, role_name(delegation), folder, each, arg, &why) < 0 &&
			first.class == ERR_NONE)
			first = why;
	}
	return first.class == ERR_NONE ? 0 : err_set(e, first.class, "%s", first.text);
}

int
scope_entry(const json_t *entry, uint64_t *length, struct digest *sha256, struct err *e)
{
	json_t *hashes;
	uint64_t n;

	if (json_get_uint(entry, "length", 0, FIELD_INT_MAX, &n, e) < 0 ||
		json_get_object(entry, "hashes", &hashes, e) < 0 ||
		field_sha256(hashes, "sha256", sha256, e) < 0)
		return -1;
	*length = n;
	return 0;
}

const json_t *
scope_resumes(const json_t *entry)
{
	return json_object_get(json_object_get(entry, "custom"), "resumes");
}

int
scope_path(const char *folder, const char *name, char out[TUF_PATH_MAX + 1], struct err *e)
{
	if (!name_is_plain(name) || strlen(name) > NAME_BYTES_MAX)
		return err_set(e, ERR_USAGE,
			"'%.80s' is not a plan's name: for rollouts/stable.json say stable", name);
	(void)snprintf(out, TUF_PATH_MAX + 1, "%s/%s.json", folder, name);
	return 0;
}

/* The content of a target that m lists, as a document. */
static int
target_read(const struct workspace *w, const struct metadata *m, const char *path, uint64_t max,
	struct verified *out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(max);
	struct digest sha256;
	uint64_t length;

	if (scope_entry(metadata_find(m, path), &length, &sha256, e) < 0)
		return err_context(e, "%s in role %s", path, m->role);
	if (metadata_read_target(w, m, path, max, &bytes, e) < 0)
		return -1;
	return verified_by_digest(buf_span(&bytes), path, length, &sha256, out, e);
}

void
scope_plan_free(struct scope_plan *p)
{
	metadata_free(&p->role);
	plan_free(&p->plan);
}

int
scope_plan_load(const struct workspace *w, const char *name, const char *wanted,
	struct scope_plan *out, struct err *e)
{
	AUTO_VERIFIED struct verified v = {0};
	char path[TUF_PATH_MAX + 1];
	uint64_t length;

	if (scope_path("rollouts", name, path, e) < 0 ||
		scope_role(w, path, wanted, &out->role, e) < 0)
		return -1;
	out->entry = metadata_find(&out->role, path);
	if (!out->entry)
		return 0;
	if (scope_entry(out->entry, &length, &out->sha256, e) < 0 ||
		target_read(w, &out->role, path, PLAN_BYTES_MAX, &v, e) < 0 ||
		plan_parse(&v, &out->plan, e) < 0)
		return err_context(e, "%s", path);
	out->withdrawn = plan_is_withdrawn(json_object_get(out->entry, "custom"));
	out->listed = !out->withdrawn;
	return 0;
}

void
scope_gate_free(struct scope_gate *g)
{
	metadata_free(&g->role);
}

int
scope_gate_read(const struct workspace *w, const struct metadata *m, const char *path,
	struct gate *out, struct err *e)
{
	AUTO_VERIFIED struct verified v = {0};

	if (target_read(w, m, path, GATE_BYTES_MAX, &v, e) < 0 || gate_parse(&v, out, e) < 0)
		return err_context(e, "%s", path);
	return 0;
}

int
scope_gate_load(const struct workspace *w, const char *name, const char *wanted,
	struct scope_gate *out, struct err *e)
{
	char path[TUF_PATH_MAX + 1];

	if (scope_path("gates", name, path, e) < 0 ||
		scope_role(w, path, wanted, &out->role, e) < 0)
		return -1;
	out->listed = metadata_find(&out->role, path) != NULL;
	if (out->listed)
		return scope_gate_read(w, &out->role, path, &out->gate, e);
	memcpy(out->gate.path, path, sizeof(path));
	return 0;
}

/* Stages canonical JSON as a target's content and lists it. */
static int
document_put(const struct workspace *w, struct metadata *m, const char *path, const json_t *doc,
	size_t max, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(max);
	struct metadata_target target;

	if (json_canonical(doc, &bytes, e) < 0 ||
		metadata_stage(w, path, buf_span(&bytes), &target, e) < 0)
		return -1;
	return metadata_put(m, &target, e);
}

static int
gate_put(const struct workspace *w, struct metadata *m, const struct gate *g, struct err *e)
{
	AUTO_JSON json_t *doc = NULL;

	if (gate_build(g, &doc, e) < 0)
		return -1;
	return document_put(w, m, g->path, doc, GATE_BYTES_MAX, e);
}

/* Whether m is who boxes ask about path, and does not list it. */
static int
is_missing(const struct workspace *w, const struct metadata *m, const char *path, bool *missing,
	struct err *e)
{
	AUTO_METADATA struct metadata targets = {0};
	const char *name;

	*missing = false;
	if (metadata_find(m, path))
		return 0;
	if (speaker_find(w, path, NULL, &targets, &name, e) < 0)
		return -1;
	*missing = strcmp(name, m->role) == 0;
	return 0;
}

int
scope_gate_put(const struct workspace *w, struct scope_gate *g, struct err *e)
{
	static const struct gate all = {.path = GATE_ALL_PATH};
	bool missing;

	if (gate_put(w, &g->role, &g->gate, e) < 0 ||
		is_missing(w, &g->role, GATE_ALL_PATH, &missing, e) < 0)
		return -1;
	return missing ? gate_put(w, &g->role, &all, e) : 0;
}

int
scope_all_put(const struct workspace *w, struct metadata *m, struct err *e)
{
	AUTO_JSON json_t *doc = json_pack("{s:i, s:s}", "format", 1, "path", PLAN_ALL_PATH);
	bool missing;

	if (is_missing(w, m, PLAN_ALL_PATH, &missing, e) < 0)
		return -1;
	return missing ? document_put(w, m, PLAN_ALL_PATH, doc, PLAN_BYTES_MAX, e) : 0;
}

int
scope_custom_put(struct metadata *m, const char *path, json_t *custom, struct err *e)
{
	struct metadata_target target = {.path = path, .custom = custom};

	if (scope_entry(metadata_find(m, path), &target.length, &target.sha256, e) < 0)
		return err_context(e, "%s", path);
	return metadata_put(m, &target, e);
}

void
scope_gate_bind(struct gate *g, const struct scope_plan *p)
{
	const char *why;

	if (gate_binds(g, &p->plan, &p->sha256, &why))
		return;
	g->has_plan = true;
	memcpy(g->plan_path, p->plan.path, sizeof(g->plan_path));
	memcpy(g->rollout, p->plan.rollout, sizeof(g->rollout));
	g->plan_version = p->plan.version;
	g->plan_sha256 = p->sha256;
	g->open_count = 0;
}
