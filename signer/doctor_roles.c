/* Which keys there are, and which roles they are of. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/text.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "common/limits.h"
#include "common/tuf/path.h"
#include "signer/doctor.h"
#include "signer/online_key.h"

/* Adds a key or, where it is known, what is new of it. */
static struct doctor_key *
key_add(struct doctor *d, const char *id, const char *name)
{
	for (size_t i = 0; i < d->key_count; i++) {
		if (strcmp(d->keys[i].id, id) == 0)
			return &d->keys[i];
	}
	if (d->key_count == KEY_FILES_MAX)
		return NULL;
	(void)snprintf(d->keys[d->key_count].id, DIGEST_HEX_SIZE, "%s", id);
	(void)snprintf(d->keys[d->key_count].name, NAME_MAX + 1, "%s", name);
	text_clean(d->keys[d->key_count].name);
	return &d->keys[d->key_count++];
}

static int
secret_add(struct doctor *d, const char *path, bool online, struct err *e)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	char id[DIGEST_HEX_SIZE], name[NAME_MAX + 1];
	struct err why = ERR_INIT;
	struct doctor_key *k;
	bool encrypted;

	if (seckey_is_encrypted(path, &encrypted, &why) < 0 || online_key_id(path, id, &why) < 0)
		return doctor_problem(
			d, DOCTOR_WARNING, "put it in order or take it away", e, "%s", why.text);
	(void)snprintf(name, sizeof(name), "%.*s",
		(int)(strlen(base) - (text_ends_with(base, ".key") ? strlen(".key") : 0)), base);
	k = key_add(d, id, name);
	if (!k || (k->path[0] && !online))
		return 0;
	(void)snprintf(k->path, sizeof(k->path), "%s", path);
	k->encrypted = encrypted;
	k->online = k->online || online;
	return 0;
}

struct key_folder {
	struct doctor *d;
	const char *dir;
};

static int
key_file(void *arg, const char *name, struct err *e)
{
	const struct key_folder *f = arg;
	AUTO_JSON json_t *public = NULL;
	AUTO_CLOSE int regular = -1; /* a pipe would keep us waiting for good */
	char path[PATH_MAX], id[DIGEST_HEX_SIZE], stem[NAME_MAX + 1];
	struct err why = ERR_INIT;

	if (!text_ends_with(name, ".key") && !text_ends_with(name, ".pub"))
		return 0;
	if (path_join(path, sizeof(path), f->dir, name, e) < 0)
		return -1;
	if (file_open_regular(path, &regular, &why) < 0)
		return doctor_problem(
			f->d, DOCTOR_WARNING, "put it in order or take it away", e, "%s", why.text);
	if (text_ends_with(name, ".key"))
		return secret_add(f->d, path, false, e);
	if (pubkey_file_load(path, &public, &why) < 0 || pubkey_id(public, id, &why) < 0)
		return doctor_problem(
			f->d, DOCTOR_WARNING, "put it in order or take it away", e, "%s", why.text);
	(void)snprintf(stem, sizeof(stem), "%.*s", (int)(strlen(name) - strlen(".pub")), name);
	(void)key_add(f->d, id, stem);
	return 0;
}

int
doctor_look_at_keys(struct doctor *d, struct err *e)
{
	const char *const online[] = {d->w->online_snapshot, d->w->online_timestamp};
	char dir[PATH_MAX];
	struct key_folder f = {d, dir};
	struct err why = ERR_INIT;

	if (workspace_path(d->w, "keys", dir, e) < 0)
		return -1;
	if (file_exists(dir) && dir_each(dir, KEY_FILES_MAX, key_file, &f, &why) < 0 &&
		doctor_problem(d, DOCTOR_BAD, "keep keys there, and nothing else", e,
			"what keys there are is not known: %s", why.text) < 0)
		return -1;
	for (size_t i = 0; i < 2; i++) {
		if (file_exists(online[i]) && secret_add(d, online[i], true, e) < 0)
			return -1;
	}
	return 0;
}

/* By the folders that a delegation's patterns may reach into. */
static unsigned
power_of(const json_t *paths)
{
	static const struct {
		const char *folder;
		unsigned power;
	} scopes[] = {{"bundles", POWER_RELEASES}, {"rollouts", POWER_ROLLOUTS},
		{"gates", POWER_GATES}, {"certificates", POWER_CERTIFICATES},
		{"authorities", POWER_CERTIFICATES}};
	const json_t *each;
	unsigned power = 0;
	size_t i;

	json_array_foreach (paths, i, each) {
		char first[TUF_PATH_MAX + 1];
		const char *pattern = json_string_value(each);

		(void)snprintf(first, sizeof(first), "%.*s",
			(int)(pattern ? strcspn(pattern, "/") : 0), pattern ? pattern : "");
		for (size_t k = 0; k < ARRAY_LEN(scopes); k++) {
			if (path_matches(first, scopes[k].folder))
				power |= scopes[k].power;
		}
	}
	return power;
}

bool
doctor_speaks_for(const struct doctor *d, const char *path)
{
	for (size_t i = 0; i < d->role_count; i++) {
		const json_t *pattern;
		size_t k;

		json_array_foreach (d->roles[i].paths, k, pattern) {
			if (path_matches(json_string_value(pattern), path))
				return true;
		}
	}
	return false;
}

static struct doctor_role *
role_find(const struct doctor *d, const char *name)
{
	for (size_t i = 0; i < d->role_count; i++) {
		if (strcmp(d->roles[i].name, name) == 0)
			return &d->roles[i];
	}
	return NULL;
}

static int
role_new(struct doctor *d, const char *name, const struct role_keys *keys, struct doctor_role **out,
	struct err *e)
{
	struct doctor_role *r = &d->roles[d->role_count];

	if (d->role_count == DOCTOR_ROLES_MAX)
		return err_set(e, ERR_LIMIT, "there are more than %d roles", DOCTOR_ROLES_MAX);
	(void)snprintf(r->name, sizeof(r->name), "%s", name);
	r->threshold = keys->threshold;
	r->keyids = json_texts(keys->keyids); /* one that is listed twice is one key */
	d->role_count++;
	*out = r;
	return r->keyids ? 0 : err_sys(e, ENOMEM, "doctor");
}

/* Reads what is published of a role. */
static int
role_read(struct doctor *d, struct doctor_role *r, const struct role_keys *keys, struct err *e)
{
	struct err why = ERR_INIT;

	if (site_role(&d->site, r->name, keys, &r->version, &r->document, NULL, &why) < 0)
		return doctor_problem(d, DOCTOR_BAD, "restore site/ from where it is served", e,
			"the site fails verification: role %s: %s", r->name, why.text);
	if (r->version > 0 && !r->document)
		return doctor_problem(d, DOCTOR_BAD, "sluice metadata renew ROLE --key K...", e,
			"role %s, version %" PRIu64
			", is not signed by its present keys: boxes refuse what it says",
			r->name, r->version);
	r->expires_s = r->document ? r->document->expires_s : 0;
	return 0;
}

static int
top_role(struct doctor *d, const char *name, unsigned power, const struct document *open,
	struct err *e)
{
	struct doctor_role *r;
	struct role_keys keys;

	if (document_root_role(d->site.root, name, &keys, e) < 0 ||
		role_new(d, name, &keys, &r, e) < 0)
		return -1;
	r->power = power;
	if (!open)
		return role_read(d, r, &keys, e);
	r->version = open->version;
	r->expires_s = open->expires_s;
	return 0;
}

/* Those that a role delegates to, and those that they do; each once. */
static int
delegated_roles(struct doctor *d, const struct document *by, struct err *e)
{
	const json_t *each;
	size_t i;

	json_array_foreach (document_delegations(by), i, each) {
		const char *name = json_string_value(json_object_get(each, "name"));
		const json_t *paths = json_object_get(each, "paths");
		struct doctor_role *r;
		struct role_keys keys;

		if (!name || role_find(d, name))
			continue;
		if (document_delegation_keys(by, each, &keys, e) < 0 ||
			role_new(d, name, &keys, &r, e) < 0)
			return -1;
		/* Hashed prefixes may cover anything. */
		r->power = paths ? power_of(paths) : POWER_RELEASES | POWER_ROLLOUTS | POWER_GATES;
		r->paths = paths ? json_deep_copy(paths) : json_pack("[s]", "*/*");
		if (role_read(d, r, &keys, e) < 0)
			return -1;
		if (r->document && delegated_roles(d, r->document, e) < 0)
			return -1;
	}
	return 0;
}

static json_t *
keys_json(const struct doctor *d, const struct doctor_role *r)
{
	json_t *out = json_array();
	const json_t *id;
	size_t i;

	json_array_foreach (r->keyids, i, id) {
		const struct doctor_key *k = doctor_key_find(d, json_string_value(id));
		char name[NAME_MAX + 1];

		(void)json_array_append_new(
			out, json_pack("{s:s, s:s, s:s}", "id", json_string_value(id), "name",
				     doctor_key_name(d, json_string_value(id), name), "secret",
				     !k || !k->path[0] ? "elsewhere"
				     : k->encrypted    ? "here, with a passphrase"
						       : "here"));
	}
	return out;
}

static const char *
may_text(const struct doctor_role *r)
{
	static const struct {
		unsigned power;
		const char *text;
	} words[] = {
		{POWER_ROOT, "say who holds which role"},
		{POWER_TARGETS, "say who speaks for which paths"},
		{POWER_SNAPSHOT, "say which versions belong together"},
		{POWER_TIMESTAMP, "say what is newest"},
		{POWER_RELEASES, "say what may run at all"},
		{POWER_ROLLOUTS, "choose boxes and waves; lift stops"},
		{POWER_GATES, "open the next wave; stop"},
		{POWER_CERTIFICATES, "hand boxes certificates of the fleet's CA"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (r->power == words[i].power)
			return words[i].text;
	}
	return r->power ? "several of these at once" : "speak for paths that no box asks about";
}

static int
role_report(struct doctor *d, const struct doctor_role *r, struct err *e)
{
	json_t *row = json_pack("{s:s, s:I, s:o, s:s, s:I}", "name", r->name, "threshold",
		(json_int_t)r->threshold, "keys", keys_json(d, r), "may", may_text(r), "version",
		(json_int_t)r->version);

	if (!row || (r->paths && json_object_set(row, "paths", r->paths) < 0) ||
		json_array_append_new(json_object_get(d->report, "roles"), row) < 0)
		return err_sys(e, ENOMEM, "doctor");
	if (r->threshold > json_array_size(r->keyids))
		return doctor_problem(d, DOCTOR_BAD, "give it more keys, or a lower threshold", e,
			"role %s needs %" PRIu64 " signatures and has %zu keys", r->name,
			r->threshold, json_array_size(r->keyids));
	return 0;
}

int
doctor_look_at_roles(struct doctor *d, struct err *e)
{
	const struct doctor_role *targets;

	if (!d->site_is_open)
		return 0;
	if (top_role(d, "root", POWER_ROOT, d->site.root, e) < 0 ||
		top_role(d, "targets", POWER_TARGETS, NULL, e) < 0 ||
		top_role(d, "snapshot", POWER_SNAPSHOT, d->site.snapshot, e) < 0 ||
		top_role(d, "timestamp", POWER_TIMESTAMP, d->site.timestamp, e) < 0)
		return -1;
	targets = role_find(d, "targets");
	if (targets->document && delegated_roles(d, targets->document, e) < 0)
		return -1;
	for (size_t i = 0; i < d->role_count; i++) {
		if (role_report(d, &d->roles[i], e) < 0)
			return -1;
	}
	return 0;
}
