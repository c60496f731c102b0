/* A signed bundle on the host's disk, and signers that lie. */
#ifndef SLUICE_TESTS_UNIT_LYING_SCENE_H
#define SLUICE_TESTS_UNIT_LYING_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "common/format/codec.h"
#include "common/format/cuts.h"
#include "common/format/index.h"
#include "common/format/pages.h"
#include "signer/bundle_file.h"
#include "signer/packer.h"
#include "tests/unit/folder.h"

/* A bundle with an image and a tree, signed by a key that role trusts. */
struct fixture {
	void *folder;
	char dir[8], bundle[16];
	struct packed packed[2];
	struct manifest *manifest;
	struct seckey *secret;
	json_t *public, *keys, *keyids;
	struct signer signer;
	struct role_keys role;
};

static inline void
put(const struct fixture *f, const char *name, const void *data, size_t len)
{
	char path[PATH_MAX];
	struct err e = ERR_INIT;

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	if (file_replace(path, 0644, span_of(data, len), &e) < 0)
		fail_msg("%s", e.text);
}

static inline void
make_sources(const struct fixture *f)
{
	AUTO_FREE uint8_t *image = calloc(4, CHUNK_BYTES);
	char path[PATH_MAX];

	for (size_t i = 0; i < 3000; i++)
		image[2 * CHUNK_BYTES + i] = (uint8_t)(i / 30);
	put(f, "image", image, 3 * CHUNK_BYTES + 5000);
	(void)snprintf(path, sizeof(path), "%s/tree", f->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	put(f, "tree/a", "one", 3);
	put(f, "tree/b", "", 0);
	put(f, "tree/c", "three", 5);
}

static inline void
make_key(struct fixture *f)
{
	uint8_t raw[32];

	assert_int_equal(seckey_new(&f->secret, NULL), 0);
	seckey_public(f->secret, raw);
	assert_int_equal(pubkey_json_ed25519(raw, &f->public, NULL), 0);
	f->signer = (struct signer){.seckey = f->secret, .key = f->public};
	assert_int_equal(pubkey_id(f->public, f->signer.keyid, NULL), 0);
	f->keys = json_pack("{s:O}", f->signer.keyid, f->public);
	f->keyids = json_pack("[s]", f->signer.keyid);
	f->role = (struct role_keys){f->keys, f->keyids, 1};
}

static inline void
pack_one(struct fixture *f, size_t i, const char *name, enum payload_kind kind)
{
	struct recipe_payload source = {.kind = kind};
	struct err e = ERR_INIT;

	(void)snprintf(source.name, sizeof(source.name), "%s", name);
	(void)snprintf(source.slot_class, sizeof(source.slot_class), "%s", name);
	(void)snprintf(source.source, sizeof(source.source), "%s/%s", f->dir, name);
	if (payload_pack(&source, 6, 2, f->dir, &f->packed[i], &e) < 0)
		fail_msg("%s", e.text);
	f->manifest->payloads[i] = f->packed[i].payload;
	f->manifest->payload_count = i + 1;
}

/* Writes the manifest, as it is now, and the members into the bundle, with a good signature. */
static inline void
write_bundle(struct fixture *f)
{
	struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES] = {0};
	AUTO_JSON json_t *body = NULL;
	AUTO_JSON json_t *envelope = NULL;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < 2; i++) {
		for (int role = 0; role < MEMBER_ROLES; role++)
			parts[i][role].fd = f->packed[i].fd[role];
	}
	if (manifest_build(f->manifest, &body, &e) < 0)
		fail_msg("%s", e.text);
	envelope = envelope_new(body);
	assert_int_equal(envelope_sign(envelope, &f->signer, &e), 0);
	if (bundle_file_write(f->bundle, f->manifest, envelope, parts, &e) < 0)
		fail_msg("%s", e.text);
}

static inline int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(folder_enter(&f->folder), 0);
	(void)strcpy(f->dir, ".");
	(void)strcpy(f->bundle, "x.ota");
	f->manifest = calloc(1, sizeof(*f->manifest));
	*f->manifest = (struct manifest){.format = 1,
		.name = "gateway",
		.version = "2.4.0",
		.rollback_index = 4,
		.compatible_count = 1,
		.compatible = {"acme"},
		.zlib_version = "1.2.13",
		.zlib_level = 6};
	make_sources(f);
	make_key(f);
	pack_one(f, 0, "image", PAYLOAD_IMAGE);
	pack_one(f, 1, "tree", PAYLOAD_TREE);
	write_bundle(f);
	*state = f;
	return 0;
}

static inline int
teardown(void **state)
{
	struct fixture *f = *state;
	int result = folder_leave(&f->folder);

	packed_free(&f->packed[0]);
	packed_free(&f->packed[1]);
	json_decref(f->public);
	json_decref(f->keys);
	json_decref(f->keyids);
	seckey_free(&f->secret);
	free(f->manifest);
	free(f);
	return result;
}

/* What `sluice verify` does. */
static inline int
verify(const struct fixture *f, struct manifest *out, struct err *e)
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;

	if (bundle_file_open_signed(f->bundle, &f->role, &b, e) < 0 ||
		bundle_file_check_members(&b, e) < 0 || bundle_file_check_content(&b, e) < 0)
		return -1;
	*out = *b.manifest;
	return 0;
}

static inline void
refuses(const struct fixture *f, const char *why)
{
	AUTO_FREE struct manifest *got = calloc(1, sizeof(*got));
	struct err e = ERR_INIT;

	assert_int_equal(verify(f, got, &e), -1);
	if (!strstr(e.text, why))
		fail_msg("'%s' lacks '%s'", e.text, why);
}

static inline void
a_signed_bundle_verifies(void **state)
{
	const struct fixture *f = *state;
	AUTO_FREE struct manifest *got = calloc(1, sizeof(*got));
	struct err e = ERR_INIT;

	if (verify(f, got, &e) < 0)
		fail_msg("%s", e.text);
	assert_memory_equal(got, f->manifest, sizeof(*got));
}

static inline void
sign_member(struct fixture *f, size_t i, enum member_role role)
{
	struct member *m = &f->manifest->payloads[i].members[role];

	assert_int_equal(digest_fd(f->packed[i].fd[role], "m", 0, m->size, &m->digest, NULL), 0);
	if (role == MEMBER_FILES)
		f->manifest->payloads[i].digest = m->digest;
}

static inline void
flip(const struct fixture *f, size_t i, enum member_role role, uint64_t offset, uint8_t flip)
{
	uint8_t byte;

	assert_int_equal(file_pread_full(f->packed[i].fd[role], "m", &byte, 1, offset, NULL), 0);
	byte ^= flip;
	assert_int_equal(file_pwrite_full(f->packed[i].fd[role], "m", &byte, 1, offset, NULL), 0);
}

/* Changes what stands in a member, and its digest in the manifest with it: a signer that lies. */
static inline void
change_member(struct fixture *f, size_t i, enum member_role role, uint64_t offset, uint8_t by)
{
	flip(f, i, role, offset, by);
	sign_member(f, i, role);
	write_bundle(f);
}

/* The one page of a member, from there on. */
static inline void
seal_page(struct fixture *f, size_t i, enum member_role role, uint64_t from, uint64_t page)
{
	uint64_t size = f->manifest->payloads[i].members[role].size - from;
	uint8_t bytes[STORED_PAGE_BYTES];
	struct seal seal;

	assert_true(size <= sizeof(bytes));
	assert_int_equal(
		file_pread_full(f->packed[i].fd[role], "m", bytes, (size_t)size, from, NULL), 0);
	seal = seal_of(span_of(bytes, (size_t)size));
	assert_int_equal(file_pwrite_full(f->packed[i].fd[MEMBER_SEALS], "m", seal.b, SEAL_BYTES,
				 page * SEAL_BYTES, NULL),
		0);
}

/* The same for what has seals: they are changed, too. */
static inline void
seal_all(struct fixture *f, size_t i)
{
	seal_page(f, i, MEMBER_INDEX, INDEX_HEADER_BYTES, 0);
	seal_page(f, i, MEMBER_STORED, 0, 1);
	for (int role = 0; role < MEMBER_ROLES; role++) {
		if (f->manifest->payloads[i].members[role].present)
			sign_member(f, i, (enum member_role)role);
	}
	write_bundle(f);
}

static inline void
change_sealed(struct fixture *f, size_t i, enum member_role role, uint64_t offset, uint8_t by)
{
	flip(f, i, role, offset, by);
	seal_all(f, i);
}

#endif
