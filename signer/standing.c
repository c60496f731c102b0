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

/* The content of a target, where there is any: its digest tells which it is. */
static bool
content_read(const struct workspace *w, const struct site *s, const char *path,
	const struct digest *sha256, struct buf *out)
{
	char file[PATH_MAX];

	if (site_target_path(s, path, sha256, file, NULL) == 0 &&
		file_read_regular(file, out, NULL) == 0)
		return true;
	return metadata_staged_path(w, path, file, NULL) == 0 &&
	       file_read_regular(file, out, NULL) == 0;
}

/* The gate that d lists under path, where it can be read. */
static bool
gate_of(const struct workspace *w, const struct site *s, const struct document *d, const char *path,
	struct gate *out)
{
	AUTO_BUF struct buf bytes = BUF_INIT(GATE_BYTES_MAX);
	AUTO_VERIFIED struct verified v = {0};
	const json_t *entry = json_object_get(targets_of(d), path);
	struct digest sha256;
	uint64_t length;

	return entry && scope_entry(entry, &length, &sha256, NULL) == 0 &&
	       content_read(w, s, path, &sha256, &bytes) &&
	       verified_by_digest(buf_span(&bytes), path, length, &sha256, &v, NULL) == 0 &&
	       gate_parse(&v, out, NULL) == 0;
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
		if (document_delegation_keys(targets, each, &keys, NULL) == 0 &&
			site_role(s, role, &keys, &version, &d, NULL, NULL) == 0 && d)
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

int
standing_check(const struct workspace *w, const struct site *s, const struct document *targets,
	const struct document *published, const struct document *next, struct err *e)
{
	json_t *before = published ? targets_of(published) : NULL, *entry;
	const char *path;

	json_object_foreach (before, path, entry) {
		struct gate old = {0}, new = {0};

		if (strncmp(path, GATES, strlen(GATES)) != 0 ||
			json_equal(entry, json_object_get(targets_of(next), path)) ||
			!gate_of(w, s, published, path, &old))
			continue;
		/* One that is gone, or makes no sense, has no stops. */
		if (!gate_of(w, s, next, path, &new))
			new.stop_count = 0;
		if (gate_check(s, targets, &old, &new, path, e) < 0)
			return -1;
	}
	return 0;
}
