/* What is not published yet: as the publisher would judge it, and whose signatures it lacks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/limits.h"
#include "signer/doctor.h"
#include "signer/incoming.h"

static const char *const state_names[] = {
	[INCOMING_UNSEEN] = "not judged",
	[INCOMING_WAITING] = "waiting",
	[INCOMING_REFUSED] = "refused",
	[INCOMING_ACCEPTED] = "ready",
	[INCOMING_DEFERRED] = "ready but large",
	[INCOMING_PUBLISHED] = "published",
};

/* The id of the key that this host publishes with, or NULL: then any will do. */
static const char *
online_id(const struct doctor *d, const char *path)
{
	for (size_t i = 0; i < d->key_count; i++) {
		if (d->keys[i].online && strcmp(d->keys[i].path, path) == 0)
			return d->keys[i].id;
	}
	return NULL;
}

static int
name_add(const struct doctor *d, json_t *list, const char *id, struct err *e)
{
	char name[NAME_MAX + 1];

	if (json_array_append_new(list, json_string(doctor_key_name(d, id, name))) < 0)
		return err_sys(e, ENOMEM, "doctor");
	return 0;
}

/* Who of some keys has signed and, below their threshold, who might still. */
static int
signatures_add(const struct doctor *d, json_t *row, const char *of, const struct role_keys *keys,
	const json_t *envelope, struct err *e)
{
	AUTO_JSON json_t *ids = json_texts(keys->keyids), *good = NULL, *by = json_array(),
			 *missing = json_array();
	const json_t *id;
	size_t i;

	if (envelope_good_signers(envelope, keys, &good, NULL) < 0)
		return 0;
	json_array_foreach (ids, i, id) {
		const char *text = json_string_value(id);
		bool signed_ = json_has_text(good, text);

		if (signed_ || json_array_size(good) < keys->threshold)
			if (name_add(d, signed_ ? by : missing, text, e) < 0)
				return -1;
	}
	if (json_array_append_new(json_object_get(row, "signatures"),
		    json_pack("{s:s, s:I, s:O, s:O}", "keys", of, "needs",
			    (json_int_t)keys->threshold, "by", by, "missing", missing)) < 0)
		return err_sys(e, ENOMEM, "doctor");
	return 0;
}

/* A root needs those of the one before, and its own. */
static int
root_signatures(const struct doctor *d, const struct incoming *in, const json_t *envelope,
	json_t *row, struct err *e)
{
	const json_t *body = json_object_get(envelope, "signed"),
		     *role = json_object_get(json_object_get(body, "roles"), "root");
	struct role_keys keys, own = {.keys = json_object_get(body, "keys"),
				       .keyids = json_object_get(role, "keyids")};

	if (document_root_role(in->site->root, "root", &keys, e) < 0 ||
		signatures_add(d, row, "root's", &keys, envelope, e) < 0)
		return -1;
	if (json_get_uint(role, "threshold", 1, TUF_KEYS_MAX, &own.threshold, NULL) < 0)
		return 0;
	return signatures_add(d, row, "its own", &own, envelope, e);
}

static int
signatures_find(const struct doctor *d, const struct incoming *in, const struct incoming_role *r,
	json_t *row, struct err *e)
{
	AUTO_JSON json_t *envelope = NULL;
	const json_t *delegation;
	struct role_keys keys;
	uint64_t version;

	if (json_parse(buf_span(&r->bytes), r->role, &envelope, NULL) < 0)
		return 0;
	if (json_get_uint(json_object_get(envelope, "signed"), "version", 1, INT64_MAX, &version,
		    NULL) == 0 &&
		json_object_set_new(row, "version", json_integer((json_int_t)version)) < 0)
		return err_sys(e, ENOMEM, "doctor");
	if (strcmp(r->role, "root") == 0)
		return root_signatures(d, in, envelope, row, e);
	if (strcmp(r->role, "targets") == 0) {
		if (document_root_role(in->root, "targets", &keys, e) < 0)
			return -1;
	} else {
		delegation = in->targets
				     ? delegation_find(document_delegations(in->targets), r->role)
				     : NULL;
		if (!delegation)
			return 0;
		if (document_delegation_keys(in->targets, delegation, &keys, e) < 0)
			return -1;
	}
	return signatures_add(d, row, "its role's", &keys, envelope, e);
}

static int
role_add(struct doctor *d, const struct incoming *in, const struct incoming_role *r, struct err *e)
{
	AUTO_JSON json_t *row = json_pack("{s:s, s:s, s:s, s:[]}", "role", r->role, "state",
		state_names[r->state], "why", r->why.text, "signatures");

	if (!row)
		return err_sys(e, ENOMEM, "doctor");
	if (signatures_find(d, in, r, row, e) < 0)
		return -1;
	if (json_array_append(json_object_get(d->report, "incoming"), row) < 0)
		return err_sys(e, ENOMEM, "doctor");
	if (r->state == INCOMING_REFUSED)
		return doctor_problem(d, DOCTOR_WARNING,
			"take it away, and let its signers sign the next version", e,
			"%s is refused: %s", r->path, r->why.text);
	return 0;
}

/* Roles that somebody drafted and nobody has signed so far. */
static int
draft_add(void *arg, const char *name, struct err *e)
{
	struct doctor *d = arg;
	const json_t *row;
	size_t i, len = strlen(name), end = strlen(".json");
	char role[ROLE_NAME_MAX + 1];

	if (!name_is_plain(name) || len <= end || len - end > ROLE_NAME_MAX ||
		strcmp(name + len - end, ".json") != 0)
		return 0;
	(void)snprintf(role, sizeof(role), "%.*s", (int)(len - end), name);
	json_array_foreach (json_object_get(d->report, "incoming"), i, row) {
		if (strcmp(json_text(row, "role"), role) == 0)
			return 0;
	}
	if (json_array_append_new(json_object_get(d->report, "incoming"),
		    json_pack("{s:s, s:s, s:s, s:[]}", "role", role, "state", "draft", "why",
			    "nobody has signed it yet", "signatures")) < 0)
		return err_sys(e, ENOMEM, "doctor");
	return 0;
}

static int
look(struct doctor *d, struct err *e)
{
	AUTO_INCOMING struct incoming in = {0};
	char drafts[PATH_MAX];

	if (incoming_read(d->w, &d->site, &in, e) < 0)
		return -1;
	in.only_looks = true;
	in.online_snapshot = online_id(d, d->w->online_snapshot);
	in.online_timestamp = online_id(d, d->w->online_timestamp);
	if (incoming_judge(&in, d->now_s, e) < 0)
		return -1;
	for (size_t i = 0; i < in.count; i++) {
		if (role_add(d, &in, &in.roles[i], e) < 0)
			return -1;
	}
	if (workspace_path(d->w, "drafts", drafts, e) < 0)
		return -1;
	return file_exists(drafts) ? dir_each(drafts, INCOMING_ENTRIES_MAX, draft_add, d, e) : 0;
}

int
doctor_look_at_incoming(struct doctor *d, struct err *e)
{
	struct err why = ERR_INIT;
	char dir[PATH_MAX];

	if (workspace_path(d->w, "incoming", dir, e) < 0)
		return -1;
	if (!d->site_is_open || !file_exists(dir) || look(d, &why) == 0)
		return 0;
	return doctor_problem(d, DOCTOR_WARNING, "put incoming/ and drafts/ in order", e,
		"what waits to be published cannot be told: %s", why.text);
}
