#include "signer/standing.h"

#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/format/gate.h"
#include "common/limits.h"
#include "common/tuf/path.h"
#include "signer/metadata.h"
#include "signer/scope.h"

static const char GATES[] = "gates/";

static json_t *
targets_of(const struct document *d)
{
	return json_object_get(d->verified.body, "targets");
}

/* The content of a target, as it was signed: its digest tells which it is. */
static bool
content_read(const struct workspace *w, const struct site *s, const char *path, const json_t *entry,
	struct verified *out)
{
	struct digest sha256;
	uint64_t length;

	if (scope_entry(entry, &length, &sha256, NULL) < 0)
		return false;
	for (int staged = 0; staged < 2; staged++) {
		AUTO_BUF struct buf bytes = BUF_INIT(GATE_BYTES_MAX);
		char file[PATH_MAX];
		int rc = staged ? metadata_staged_as(w, path, &sha256, file, NULL)
				: site_target_path(s, path, &sha256, file, NULL);

		if (rc == 0 && file_read_regular(file, &bytes, NULL) == 0 &&
			verified_by_digest(buf_span(&bytes), path, length, &sha256, out, NULL) == 0)
			return true;
	}
	return false;
}

enum gate_state {
	GATE_NONE, /* there is none, or no box could make sense of it, and so it stopped nobody */
	GATE_LOST, /* its content is not here: nobody can tell what it stopped */
	GATE_READ,
};

static enum gate_state
gate_of(const struct workspace *w, const struct site *s, const struct document *d, const char *path,
	struct gate *out)
{
	AUTO_VERIFIED struct verified v = {0};
	const json_t *entry = json_object_get(targets_of(d), path);

	if (!entry)
		return GATE_NONE;
	if (!content_read(w, s, path, entry, &v))
		return GATE_LOST;
	return gate_parse(&v, out, NULL) == 0 ? GATE_READ : GATE_NONE;
}

static bool
gate_has(const struct gate *g, const char *id)
{
	for (size_t i = 0; i < g->stop_count; i++) {
		if (strcmp(g->stops[i].id, id) == 0)
			return true;
	}
	return false;
}

/* Whether the first published role that lists the plan of a gate lifts a stop of it. */
static bool
is_lifted(const struct site *s, const struct document *targets, const char *gate, const char *id)
{
	char plan[TUF_PATH_MAX + sizeof("rollouts/")], hex[DIGEST_HEX_SIZE];
	const json_t *each;
	struct digest digest;
	size_t i;

	(void)snprintf(plan, sizeof(plan), "rollouts/%s", gate + strlen(GATES));
	digest = digest_of(span_str(plan));
	(void)digest_hex(&digest, hex);
	json_array_foreach (document_delegations(targets), i, each) {
		const char *role = json_string_value(json_object_get(each, "name"));
		AUTO_DOCUMENT struct document *d = NULL;
		const json_t *entry = NULL;
		struct role_keys keys;
		uint64_t version;

		if (!path_is_delegated(each, plan, hex))
			continue;
		/* What it lifts, and what it lists, nobody can tell: boxes ask no other instead. */
		if (document_delegation_keys(targets, each, &keys, NULL) < 0 ||
			site_role(s, role, &keys, &version, &d, NULL, NULL) < 0)
			return false;
		if (d)
			entry = json_object_get(targets_of(d), plan);
		if (entry)
			return stop_is_lifted(id, scope_resumes(entry));
		if (json_is_true(json_object_get(each, "terminating")))
			return false;
	}
	return false;
}

static int
gate_check(const struct site *s, const struct document *targets, const struct gate *old,
	const struct gate *next, const char *path, struct err *e)
{
	for (size_t i = 0; i < old->stop_count; i++) {
		const struct stop *stop = &old->stops[i];

		if (!gate_has(next, stop->id) && !is_lifted(s, targets, path, stop->id))
			return err_set(e, ERR_REFUSED,
				"it takes stop %s of %s back (%s), which nobody has lifted: that "
				"is for `sluice resume` and the rollouts role",
				stop->id, path, stop->reason);
	}
	return 0;
}

/* Where the gate before it is lost: whoever takes its stops back has to leave one, which only the
 * rollouts role lifts. */
static int
lost_check(const struct site *s, const struct document *targets, const struct gate *next,
	const char *path, struct err *e)
{
	for (size_t i = 0; i < next->stop_count; i++) {
		if (!is_lifted(s, targets, path, next->stops[i].id))
			return 0;
	}
	return err_set(e, ERR_REFUSED,
		"the content of %s that is published cannot be read here, so nobody can tell which "
		"stops it would take back: restore it in site/targets from where it is served or "
		"from a backup, or publish one that stops, which `sluice resume` lifts then",
		path);
}

int
standing_check(const struct workspace *w, const struct site *s, const struct document *targets,
	const struct document *published, const struct document *next, struct err *e)
{
	json_t *before = published ? targets_of(published) : NULL, *entry;
	const char *path;

	json_object_foreach (before, path, entry) {
		struct gate old = {0}, new = {0};
		enum gate_state state;
		int rc;

		if (strncmp(path, GATES, strlen(GATES)) != 0 ||
			json_equal(entry, json_object_get(targets_of(next), path)))
			continue;
		state = gate_of(w, s, published, path, &old);
		if (state == GATE_NONE)
			continue;
		/* One that is gone, or makes no sense, has no stops. */
		if (gate_of(w, s, next, path, &new) != GATE_READ)
			new.stop_count = 0;
		rc = state == GATE_LOST ? lost_check(s, targets, &new, path, e)
					: gate_check(s, targets, &old, &new, path, e);
		if (rc < 0)
			return -1;
	}
	return 0;
}
