/* A TUF repository in memory, with real keys: what tests serve to a client. */
#ifndef SLUICE_TESTS_REPO_FIXTURE_H
#define SLUICE_TESTS_REPO_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/crypto/envelope.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "common/tuf/tuf.h"

enum { REPO_KEYS = 12, REPO_FILES = 512, REPO_ROLES = 80, REPO_ROLE_KEYS = 6 };

#define REPO_NOW_S 1800000000 /* 2027-01-15 */
#define REPO_EXPIRES "2030-01-01T00:00:00Z"

struct repo_key {
	struct seckey *secret;
	json_t *public;
	struct signer signer;
};

struct repo_file {
	char name[256];
	uint8_t *data;
	size_t len;
};

struct repo_files {
	struct repo_file file[REPO_FILES];
	size_t count;
};

struct repo_role {
	char name[65];
	json_t *body;
	int keys[REPO_ROLE_KEYS]; /* that sign it; ends with -1 */
};

/* A list of keys for the functions below. */
#define KEYS(...) ((const int[]){__VA_ARGS__, -1})

/* Keys by index: 0 root, 1 timestamp, 2 snapshot, 3 targets, others free. */
struct repo {
	struct repo_key keys[REPO_KEYS];
	struct repo_role roles[REPO_ROLES];
	size_t role_count;
	struct repo_files metadata, targets; /* what is served */
	struct repo_files store;	     /* what the client keeps */
	bool hashes;			     /* list lengths and digests of metadata */
	int save_fails_after;		     /* saves and drops that still succeed; -1: all */
	bool dies_late;			     /* the first one that fails is done all the same */
	int saves;			     /* saves and drops asked for */
	const char *unreadable; /* the role whose file the store cannot read, or NULL, */
	int unreadable_errno;	/* and why */
	char asked[4096];	/* metadata paths, each with a blank behind it */
	size_t targets_asked;
	int offline_status; /* where not 0, all fetches fail with it */
	struct tuf_fetcher fetcher;
	struct tuf_store tuf_store;
};

static inline struct repo_file *
repo_file(struct repo_files *files, const char *name)
{
	for (size_t i = 0; i < files->count; i++) {
		if (strcmp(files->file[i].name, name) == 0)
			return &files->file[i];
	}
	return NULL;
}

static inline void
repo_file_put(struct repo_files *files, const char *name, const void *data, size_t len)
{
	struct repo_file *f = repo_file(files, name);

	if (!f) {
		assert_in_range(files->count, 0, REPO_FILES - 1);
		f = &files->file[files->count++];
		(void)snprintf(f->name, sizeof(f->name), "%s", name);
	}
	free(f->data);
	f->data = malloc(len + 1);
	assert_non_null(f->data);
	memcpy(f->data, data, len);
	f->data[len] = '\0';
	f->len = len;
}

static inline void
repo_file_drop(struct repo_files *files, const char *name)
{
	struct repo_file *f = repo_file(files, name);

	if (!f)
		return;
	free(f->data);
	*f = files->file[--files->count];
	files->file[files->count] = (struct repo_file){0};
}

static inline int
repo_fetch(struct repo *r, struct repo_files *files, const char *path, uint64_t max,
	struct buf *out, struct err *e)
{
	const struct repo_file *f = repo_file(files, path);

	if (r->offline_status || !f) {
		(void)err_set(e, ERR_NETWORK, "no answer for %s", path);
		e->errnum = r->offline_status ? r->offline_status : 404;
		return -1;
	}
	if (f->len > max)
		return err_set(e, ERR_LIMIT, "%s is over its limit", path);
	return buf_append(out, f->data, f->len, e);
}

static inline int
repo_metadata(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	struct repo *r = arg;
	size_t used = strlen(r->asked);

	(void)snprintf(r->asked + used, sizeof(r->asked) - used, "%s ", path);
	return repo_fetch(r, &r->metadata, path, max, out, e);
}

static inline int
repo_target_file(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	struct repo *r = arg;

	r->targets_asked++;
	return repo_fetch(r, &r->targets, path, max, out, e);
}

static inline int
repo_load(void *arg, const char *role, struct buf *out, struct err *e)
{
	struct repo *r = arg;
	const struct repo_file *f = repo_file(&r->store, role);

	if (r->unreadable && strcmp(r->unreadable, role) == 0)
		return err_sys(e, r->unreadable_errno, "%s", role);
	if (!f)
		return err_sys(e, ENOENT, "%s", role);
	return buf_append(out, f->data, f->len, e);
}

/* Whether the store still works; *done: whether it does what it was asked for. A client that is
 * told of a failure gives up, as a process that was killed would. */
static inline int
repo_power(struct repo *r, bool *done, struct err *e)
{
	r->saves++;
	*done = r->save_fails_after != 0;
	if (!*done) {
		*done = r->dies_late;
		r->dies_late = false;
		return err_sys(e, EIO, "the store");
	}
	if (r->save_fails_after > 0)
		r->save_fails_after--;
	return 0;
}

static inline int
repo_save(void *arg, const char *role, struct span bytes, struct err *e)
{
	struct repo *r = arg;
	bool done;
	int rc = repo_power(r, &done, e);

	if (done)
		repo_file_put(&r->store, role, bytes.data, bytes.len);
	return rc;
}

static inline int
repo_drop(void *arg, const char *role, struct err *e)
{
	struct repo *r = arg;
	bool done;
	int rc;

	if (!repo_file(&r->store, role))
		return 0;
	rc = repo_power(r, &done, e);
	if (done)
		repo_file_drop(&r->store, role);
	return rc;
}

static inline void
repo_key_new(struct repo_key *k)
{
	struct err e = ERR_INIT;
	uint8_t raw[32];

	assert_int_equal(seckey_new(&k->secret, &e), 0);
	seckey_public(k->secret, raw);
	assert_int_equal(pubkey_json_ed25519(raw, &k->public, &e), 0);
	k->signer = (struct signer){.seckey = k->secret, .key = k->public};
	assert_int_equal(pubkey_id(k->public, k->signer.keyid, &e), 0);
}

static inline struct repo_role *
repo_role(struct repo *r, const char *name)
{
	for (size_t i = 0; i < r->role_count; i++) {
		if (strcmp(r->roles[i].name, name) == 0)
			return &r->roles[i];
	}
	fail_msg("no role %s", name);
	return NULL;
}

static inline json_t *
repo_body(struct repo *r, const char *role)
{
	return repo_role(r, role)->body;
}

/* Signs body with keys (ends with -1) and serves it as a metadata file. */
static inline void
repo_serve(struct repo *r, const char *file, json_t *body, const int *keys)
{
	AUTO_JSON json_t *envelope = envelope_new(body);
	struct err e = ERR_INIT;
	char *text;

	assert_non_null(envelope);
	for (; *keys >= 0; keys++)
		assert_int_equal(envelope_sign(envelope, &r->keys[*keys].signer, &e), 0);
	text = json_dumps(envelope, JSON_COMPACT);
	assert_non_null(text);
	repo_file_put(&r->metadata, file, text, strlen(text));
	free(text);
}

static inline void
repo_file_name(struct repo *r, const char *role, char out[256])
{
	long long version = json_integer_value(json_object_get(repo_body(r, role), "version"));
	bool versioned =
		strcmp(role, "root") == 0 ||
		(strcmp(role, "timestamp") != 0 &&
			json_is_true(json_object_get(repo_body(r, "root"), "consistent_snapshot")));

	if (versioned)
		(void)snprintf(out, 256, "%lld.%s.json", version, role);
	else
		(void)snprintf(out, 256, "%s.json", role);
}

static inline json_t *
repo_hashes(const void *data, size_t len)
{
	struct digest d = digest_of(span_of(data, len));
	char hex[DIGEST_HEX_SIZE];

	return json_pack("{s:s}", "sha256", digest_hex(&d, hex));
}

/* Serves a role as its body now is, and lists it in snapshot or timestamp. */
static inline void
repo_write(struct repo *r, const char *role)
{
	struct repo_role *which = repo_role(r, role);
	const char *lister = strcmp(role, "snapshot") == 0 ? "timestamp" : "snapshot";
	char file[256], listed[80];
	json_t *entry;

	repo_file_name(r, role, file);
	repo_serve(r, file, which->body, which->keys);
	if (strcmp(role, "root") == 0 || strcmp(role, "timestamp") == 0)
		return;
	entry = json_pack("{s:O}", "version", json_object_get(which->body, "version"));
	if (r->hashes) {
		const struct repo_file *f = repo_file(&r->metadata, file);

		json_object_set_new(entry, "length", json_integer((json_int_t)f->len));
		json_object_set_new(entry, "hashes", repo_hashes(f->data, f->len));
	}
	(void)snprintf(listed, sizeof(listed), "%s.json", role);
	json_object_set_new(json_object_get(repo_body(r, lister), "meta"), listed, entry);
}

static inline void
repo_set_version(struct repo *r, const char *role, json_int_t version)
{
	json_object_set_new(repo_body(r, role), "version", json_integer(version));
}

/* The next version of a role. */
static inline void
repo_bump(struct repo *r, const char *role)
{
	json_int_t v = json_integer_value(json_object_get(repo_body(r, role), "version"));

	repo_set_version(r, role, v + 1);
	repo_write(r, role);
}

static inline void
repo_expire(struct repo *r, const char *role, const char *text)
{
	json_object_set_new(repo_body(r, role), "expires", json_string(text));
}
#define PAST "2026-01-01T00:00:00Z"

/* The next version of a role, signed by somebody else's key. */
static inline void
repo_forge(struct repo *r, const char *role)
{
	char file[256];

	repo_bump(r, role);
	repo_file_name(r, role, file);
	repo_serve(r, file, repo_body(r, role), KEYS(11));
}

/* The next version of a targets role (or NULL), of snapshot and of timestamp. */
static inline void
repo_release(struct repo *r, const char *role)
{
	if (role)
		repo_bump(r, role);
	repo_bump(r, "snapshot");
	repo_bump(r, "timestamp");
}

static inline void
repo_role_new(struct repo *r, const char *name, const char *type, int key)
{
	struct repo_role *role = &r->roles[r->role_count++];

	assert_in_range(r->role_count, 1, REPO_ROLES);
	(void)snprintf(role->name, sizeof(role->name), "%s", name);
	role->keys[0] = key;
	role->keys[1] = -1;
	role->body = json_pack("{s:s, s:s, s:i, s:s}", "_type", type, "spec_version", "1.0.34",
		"version", 1, "expires", REPO_EXPIRES);
	assert_non_null(role->body);
	if (strcmp(type, "targets") == 0)
		json_object_set_new(role->body, "targets", json_object());
	else if (strcmp(type, "root") != 0)
		json_object_set_new(role->body, "meta", json_object());
}

static inline json_t *
repo_root_role(struct repo *r, const char *role)
{
	return json_object_get(json_object_get(repo_body(r, "root"), "roles"), role);
}

/* Gives a top-level role these keys (ends with -1) and threshold, and lets them sign. */
static inline void
repo_set_keys(struct repo *r, const char *role, const int *keys, int threshold)
{
	json_t *root = repo_body(r, "root"), *ids = json_array();
	struct repo_role *which = repo_role(r, role);

	for (size_t i = 0;; i++) {
		which->keys[i] = keys[i];
		if (keys[i] < 0)
			break;
		json_array_append_new(ids, json_string(r->keys[keys[i]].signer.keyid));
		json_object_set(json_object_get(root, "keys"), r->keys[keys[i]].signer.keyid,
			r->keys[keys[i]].public);
	}
	json_object_set_new(json_object_get(root, "roles"), role,
		json_pack("{s:o, s:i}", "keyids", ids, "threshold", threshold));
}

/* Adds a delegation at the end of delegator's list; makes the role where it is new. */
static inline json_t *
repo_delegate(struct repo *r, const char *delegator, const char *name, int key, const char *pattern,
	bool terminating)
{
	json_t *body = repo_body(r, delegator);
	json_t *delegations = json_object_get(body, "delegations"), *entry;
	bool known = false;

	if (!delegations) {
		delegations = json_pack("{s:{}, s:[]}", "keys", "roles");
		json_object_set_new(body, "delegations", delegations);
	}
	for (size_t i = 0; i < r->role_count; i++)
		known = known || strcmp(r->roles[i].name, name) == 0;
	if (!known)
		repo_role_new(r, name, "targets", key);
	json_object_set(json_object_get(delegations, "keys"), r->keys[key].signer.keyid,
		r->keys[key].public);
	entry = json_pack("{s:s, s:[s], s:i, s:[s], s:b}", "name", name, "keyids",
		r->keys[key].signer.keyid, "threshold", 1, "paths", pattern, "terminating",
		terminating);
	assert_non_null(entry);
	json_array_append_new(json_object_get(delegations, "roles"), entry);
	return entry;
}

/* Lists a target in a role and serves it under its digest. */
static inline void
repo_target(struct repo *r, const char *role, const char *path, const char *content)
{
	json_t *hashes = repo_hashes(content, strlen(content));
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash - path + 1) : 0;
	char file[256];

	(void)snprintf(file, sizeof(file), "%.*s%s.%s", folder, path,
		json_string_value(json_object_get(hashes, "sha256")), path + folder);
	repo_file_put(&r->targets, file, content, strlen(content));
	json_object_set_new(json_object_get(repo_body(r, role), "targets"), path,
		json_pack("{s:i, s:o}", "length", (int)strlen(content), "hashes", hashes));
}

/* A client that starts from what is in the store. */
static inline struct tuf_client *
repo_client(struct repo *r)
{
	struct tuf_client *c = NULL;
	struct err e = ERR_INIT;

	if (tuf_open(&r->tuf_store, &c, &e) < 0)
		fail_msg("%s", e.text);
	return c;
}

/* A refresh by a new client, as after a reboot. Returns the error's class; ERR_NONE for success. */
static inline enum err_class
repo_refresh_at(struct repo *r, int64_t now_s)
{
	AUTO_TUF struct tuf_client *c = NULL;
	struct err e = ERR_INIT;

	r->asked[0] = '\0';
	if (tuf_open(&r->tuf_store, &c, &e) < 0)
		return e.class;
	return tuf_refresh(c, &r->fetcher, now_s, &e) < 0 ? e.class : ERR_NONE;
}

static inline enum err_class
repo_refresh(struct repo *r)
{
	return repo_refresh_at(r, REPO_NOW_S);
}

/* The version of a role in the client's store; 0 where there is none. */
static inline long long
repo_stored(struct repo *r, const char *role)
{
	const struct repo_file *f = repo_file(&r->store, role);
	AUTO_JSON json_t *j = NULL;

	if (!f)
		return 0;
	j = json_loadb((const char *)f->data, f->len, 0, NULL);
	return json_integer_value(json_object_get(json_object_get(j, "signed"), "version"));
}

/* A repository whose four top-level roles are at version 1, and a client that has only its root. */
static inline struct repo *
repo_new(void)
{
	struct repo *r = calloc(1, sizeof(*r));
	const struct repo_file *f;

	assert_non_null(r);
	for (size_t i = 0; i < REPO_KEYS; i++)
		repo_key_new(&r->keys[i]);
	r->save_fails_after = -1;
	r->fetcher = (struct tuf_fetcher){repo_metadata, repo_target_file, r};
	r->tuf_store = (struct tuf_store){repo_load, repo_save, repo_drop, r};
	repo_role_new(r, "root", "root", 0);
	repo_role_new(r, "timestamp", "timestamp", 1);
	repo_role_new(r, "snapshot", "snapshot", 2);
	repo_role_new(r, "targets", "targets", 3);
	json_object_update_new(repo_body(r, "root"),
		json_pack("{s:b, s:{}, s:{}}", "consistent_snapshot", 1, "keys", "roles"));
	repo_set_keys(r, "root", KEYS(0), 1);
	repo_set_keys(r, "timestamp", KEYS(1), 1);
	repo_set_keys(r, "snapshot", KEYS(2), 1);
	repo_set_keys(r, "targets", KEYS(3), 1);
	repo_write(r, "root");
	repo_write(r, "targets");
	repo_write(r, "snapshot");
	repo_write(r, "timestamp");
	f = repo_file(&r->metadata, "1.root.json");
	repo_file_put(&r->store, "root", f->data, f->len);
	return r;
}

static inline void
repo_files_free(struct repo_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->file[i].data);
}

static inline void
repo_free(struct repo *r)
{
	for (size_t i = 0; i < REPO_KEYS; i++) {
		seckey_free(&r->keys[i].secret);
		json_decref(r->keys[i].public);
	}
	for (size_t i = 0; i < r->role_count; i++)
		json_decref(r->roles[i].body);
	repo_files_free(&r->metadata);
	repo_files_free(&r->targets);
	repo_files_free(&r->store);
	free(r);
}

/* A copy of what a store holds, and back. */
static inline void
repo_files_copy(const struct repo_files *from, struct repo_files *to)
{
	repo_files_free(to);
	*to = (struct repo_files){0};
	for (size_t i = 0; i < from->count; i++)
		repo_file_put(to, from->file[i].name, from->file[i].data, from->file[i].len);
}

/* Whether a file is in both, or in neither, with the same bytes. */
static inline bool
repo_file_same(struct repo_files *a, struct repo_files *b, const char *name)
{
	const struct repo_file *fa = repo_file(a, name), *fb = repo_file(b, name);

	if (!fa || !fb)
		return fa == fb;
	return fa->len == fb->len && memcmp(fa->data, fb->data, fa->len) == 0;
}

/* For cmocka: *state is the repository. */
static inline int
repo_setup(void **state)
{
	*state = repo_new();
	return 0;
}

static inline int
repo_teardown(void **state)
{
	repo_free(*state);
	return 0;
}
#define repo_test(f) cmocka_unit_test_setup_teardown(f, repo_setup, repo_teardown)

#endif
