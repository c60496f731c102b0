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
#include "common/format/index.h"
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

static void
put(const struct fixture *f, const char *name, const void *data, size_t len)
{
	char path[PATH_MAX];
	struct err e = ERR_INIT;

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	if (file_replace(path, 0644, span_of(data, len), &e) < 0)
		fail_msg("%s", e.text);
}

static void
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

static void
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

static void
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
static void
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

static int
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

static int
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
static int
verify(const struct fixture *f, struct manifest *out, struct err *e)
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;

	if (bundle_file_open_signed(f->bundle, &f->role, &b, e) < 0 ||
		bundle_file_check_members(&b, e) < 0 || bundle_file_check_content(&b, e) < 0)
		return -1;
	*out = *b.manifest;
	return 0;
}

static void
refuses(const struct fixture *f, const char *why)
{
	AUTO_FREE struct manifest *got = calloc(1, sizeof(*got));
	struct err e = ERR_INIT;

	assert_int_equal(verify(f, got, &e), -1);
	if (!strstr(e.text, why))
		fail_msg("'%s' lacks '%s'", e.text, why);
}

static void
a_signed_bundle_verifies(void **state)
{
	const struct fixture *f = *state;
	AUTO_FREE struct manifest *got = calloc(1, sizeof(*got));
	struct err e = ERR_INIT;

	if (verify(f, got, &e) < 0)
		fail_msg("%s", e.text);
	assert_memory_equal(got, f->manifest, sizeof(*got));
}

static void
other_keys_or_no_role_verify_nothing(void **state)
{
	struct fixture *f = *state;
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	AUTO_JSON json_t *nobody = json_array();
	struct err e = ERR_INIT;

	f->role.keyids = nobody;
	refuses(f, "0 of 1");
	f->role.keyids = f->keyids;
	f->role.threshold = 2;
	refuses(f, "1 of 2");
	f->role.threshold = 0;
	refuses(f, "");
	assert_int_equal(bundle_file_open_signed(f->bundle, NULL, &b, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(bundle_file_open(f->bundle, &b, &e), 0);
}

/* Changes what stands in a member, and its digest in the manifest with it: a signer that lies. */
static void
change_member(struct fixture *f, size_t i, enum member_role role, uint64_t offset, uint8_t flip)
{
	struct member *m = &f->manifest->payloads[i].members[role];
	uint8_t byte;

	assert_int_equal(file_pread_full(f->packed[i].fd[role], "m", &byte, 1, offset, NULL), 0);
	byte ^= flip;
	assert_int_equal(file_pwrite_full(f->packed[i].fd[role], "m", &byte, 1, offset, NULL), 0);
	assert_int_equal(digest_fd(f->packed[i].fd[role], "m", 0, m->size, &m->digest, NULL), 0);
	if (role == MEMBER_FILES)
		f->manifest->payloads[i].digest = m->digest;
	write_bundle(f);
}

static void
hints_that_are_not_the_blocks_are_refused(void **state)
{
	struct fixture *f = *state;

	change_member(f, 0, MEMBER_HINTS, 0, 1);
	refuses(f, "its hints are not its blocks'");
}

static void
hints_at_the_end_that_are_not_the_blocks_are_refused(void **state)
{
	struct fixture *f = *state;

	change_member(
		f, 0, MEMBER_HINTS, f->manifest->payloads[0].members[MEMBER_HINTS].size - 1, 1);
	refuses(f, "its hints are not its blocks'");
}

/* The image's entries: a run of two, a chunk of 16 blocks, and one of two. */
enum { RUN, WHOLE, SHORT, ENTRIES };

static void
cuts_or_seals_with_any_byte_flipped_are_refused(void **state)
{
	struct fixture *f = *state;
	const struct member *m = f->manifest->payloads[0].members;

	assert_int_equal(m[MEMBER_SEALS].size, ENTRIES * SEAL_BYTES);
	assert_int_equal(m[MEMBER_CUTS].size, ENTRIES * CUTS_BYTES);
	for (uint64_t at = 0; at < m[MEMBER_SEALS].size; at += 5) {
		change_member(f, 0, MEMBER_SEALS, at, 1);
		refuses(f, at < SEAL_BYTES ? "a run of zeros has cuts" : "those that were sealed");
		change_member(f, 0, MEMBER_SEALS, at, 1);
	}
	for (uint64_t at = 0; at < m[MEMBER_CUTS].size; at += 61) {
		change_member(f, 0, MEMBER_CUTS, at, 1);
		refuses(f, at < CUTS_BYTES ? "a run of zeros has cuts" : "those that were sealed");
		change_member(f, 0, MEMBER_CUTS, at, 1);
	}
}

/* Writes a record with its own seal: a signer that lies about both. */
static void
put_cuts(struct fixture *f, size_t entry, const uint8_t record[CUTS_BYTES])
{
	struct member *m = f->manifest->payloads[0].members;
	struct seal seal = cuts_record_seal(record);
	const int *fd = f->packed[0].fd;

	assert_int_equal(file_pwrite_full(fd[MEMBER_CUTS], "m", record, CUTS_BYTES,
				 entry * CUTS_BYTES, NULL),
		0);
	assert_int_equal(file_pwrite_full(fd[MEMBER_SEALS], "m", seal.b, SEAL_BYTES,
				 entry * SEAL_BYTES, NULL),
		0);
	for (int role = MEMBER_SEALS; role <= MEMBER_CUTS; role++)
		assert_int_equal(
			digest_fd(fd[role], "m", 0, m[role].size, &m[role].digest, NULL), 0);
	write_bundle(f);
}

static void
get_cuts(const struct fixture *f, size_t entry, uint8_t record[CUTS_BYTES])
{
	assert_int_equal(file_pread_full(f->packed[0].fd[MEMBER_CUTS], "m", record, CUTS_BYTES,
				 entry * CUTS_BYTES, NULL),
		0);
}

static void
cuts_that_are_sealed_and_lie_are_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t right[CUTS_BYTES], wrong[CUTS_BYTES];

	get_cuts(f, WHOLE, right);
	/* The digest of a block. */
	memcpy(wrong, right, sizeof(wrong));
	wrong[5 * CUT_BYTES + 2] ^= 1;
	put_cuts(f, WHOLE, wrong);
	refuses(f, "a block's stored bytes are not those that were sealed");
	/* One byte more of it. */
	memcpy(wrong, right, sizeof(wrong));
	wrong[5 * CUT_BYTES]++;
	put_cuts(f, WHOLE, wrong);
	refuses(f, "a chunk's blocks are");
	/* Another chunk's. */
	get_cuts(f, SHORT, wrong);
	put_cuts(f, WHOLE, wrong);
	refuses(f, "has 0 stored bytes");
	put_cuts(f, WHOLE, right);
	put_cuts(f, SHORT, right);
	refuses(f, "blocks that a chunk has not");
	put_cuts(f, SHORT, wrong);
	/* Of what has none. */
	put_cuts(f, RUN, right);
	refuses(f, "a run of zeros has cuts");
	memset(wrong, 0, sizeof(wrong));
	put_cuts(f, RUN, wrong);
	a_signed_bundle_verifies(state);
}

/* Every seal is right, and the cut is a byte beside the end of a block. */
static void
cuts_beside_the_ends_of_blocks_are_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t record[CUTS_BYTES], stored[CHUNK_STORED_MAX];
	uint16_t first, second;
	struct digest d;

	get_cuts(f, SHORT, record);
	first = (uint16_t)(num_get_le16(record) - 1);
	second = (uint16_t)(num_get_le16(record + CUT_BYTES) + 1);
	assert_int_equal(
		file_pread_full(f->packed[0].fd[MEMBER_DATA], "m", stored, first + second,
			f->manifest->payloads[0].members[MEMBER_DATA].size - first - second, NULL),
		0);
	d = digest_of(span_of(stored, first));
	num_put_le16(record, first);
	memcpy(record + 2, d.b, SEAL_BYTES);
	d = digest_of(span_of(stored + first, second));
	num_put_le16(record + CUT_BYTES, second);
	memcpy(record + CUT_BYTES + 2, d.b, SEAL_BYTES);
	put_cuts(f, SHORT, record);
	refuses(f, "a block's stream is damaged");
}

static void
a_bundle_without_cuts_and_seals_verifies_and_with_one_of_them_is_not_made(void **state)
{
	struct fixture *f = *state;
	struct member *m = f->manifest->payloads[0].members;
	AUTO_JSON json_t *body = NULL;
	struct err e = ERR_INIT;

	m[MEMBER_CUTS] = (struct member){0};
	assert_int_equal(manifest_build(f->manifest, &body, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	m[MEMBER_SEALS] = (struct member){0};
	write_bundle(f);
	a_signed_bundle_verifies(state);
}

static void
a_chunk_digest_that_is_not_the_chunks_is_refused(void **state)
{
	struct fixture *f = *state;

	/* The run of two, then the plain digest of the third chunk. */
	change_member(f, 0, MEMBER_INDEX, INDEX_HEADER_BYTES + INDEX_ENTRY_BYTES, 1);
	refuses(f, "plain bytes are not those of the index");
}

static void
stored_bytes_that_are_not_the_chunks_are_refused(void **state)
{
	struct fixture *f = *state;

	change_member(f, 0, MEMBER_DATA, 3, 1);
	refuses(f, "stored bytes are not those of the index");
}

static void
an_image_with_another_digest_is_refused(void **state)
{
	struct fixture *f = *state;

	f->manifest->payloads[0].digest.b[31] ^= 1;
	write_bundle(f);
	refuses(f, "the image has another digest");
}

/* Replaces the first occurrence of a text in the tree's list by one of the same length. */
static void
change_list(struct fixture *f, const char *from, const char *to)
{
	struct member *m = &f->manifest->payloads[1].members[MEMBER_FILES];
	AUTO_FREE char *text = calloc(1, m->size + 1);
	char *found;

	assert_int_equal(
		file_pread_full(f->packed[1].fd[MEMBER_FILES], "m", text, m->size, 0, NULL), 0);
	found = strstr(text, from);
	assert_non_null(found);
	for (size_t i = 0; from[i]; i++) {
		if (from[i] != to[i])
			change_member(f, 1, MEMBER_FILES, (uint64_t)(found - text) + i,
				(uint8_t)(from[i] ^ to[i]));
	}
}

static void
a_file_with_another_digest_is_refused(void **state)
{
	static const char one[] =
		"7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";

	change_list(
		*state, one, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ee");
	refuses(*state, "a is not what its list says");
}

static void
an_empty_file_with_another_digest_is_refused(void **state)
{
	change_list(*state, "e3b0c44298fc1c14", "e3b0c44298fc1c15");
	refuses(*state, "b is not what its list says");
}

static void
files_that_do_not_fit_their_chunks_are_refused(void **state)
{
	/* The sum stays, but the first file would end within the second chunk. */
	change_list(*state, "\"size\":3", "\"size\":4");
	change_list(*state, "\"size\":5", "\"size\":4");
	refuses(*state, "a chunk does not end with a");
}

/* Every byte, in two ways; what still verifies must say the same as before. */
static void
every_byte_flip_is_refused_or_means_the_same(void **state)
{
	const struct fixture *f = *state;
	AUTO_FREE struct manifest *got = calloc(1, sizeof(*got));
	AUTO_BUF struct buf whole = BUF_INIT(1 << 20);
	AUTO_CLOSE int fd = open(f->bundle, O_RDWR | O_CLOEXEC);
	struct err e = ERR_INIT;

	assert_int_equal(file_read(f->bundle, &whole, &e), 0);
	for (size_t i = 0; i < whole.len; i++) {
		const uint8_t flips[] = {(uint8_t)(1 << (i % 8)), 0xff};

		for (size_t k = 0; k < ARRAY_LEN(flips); k++) {
			uint8_t byte = whole.data[i] ^ flips[k];

			assert_int_equal(pwrite(fd, &byte, 1, (off_t)i), 1);
			if (verify(f, got, &e) == 0)
				assert_memory_equal(got, f->manifest, sizeof(*got));
		}
		assert_int_equal(pwrite(fd, whole.data + i, 1, (off_t)i), 1);
	}
	assert_int_equal(verify(f, got, &e), 0);
}

static void
every_prefix_is_refused(void **state)
{
	const struct fixture *f = *state;
	AUTO_FREE struct manifest *got = calloc(1, sizeof(*got));
	struct err e = ERR_INIT;
	struct stat s;

	assert_int_equal(stat(f->bundle, &s), 0);
	for (off_t len = s.st_size - 1; len >= 0; len--) {
		assert_int_equal(truncate(f->bundle, len), 0);
		assert_int_equal(verify(f, got, &e), -1);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_signed_bundle_verifies),
		TEST(other_keys_or_no_role_verify_nothing),
		TEST(hints_that_are_not_the_blocks_are_refused),
		TEST(hints_at_the_end_that_are_not_the_blocks_are_refused),
		TEST(cuts_or_seals_with_any_byte_flipped_are_refused),
		TEST(cuts_that_are_sealed_and_lie_are_refused),
		TEST(cuts_beside_the_ends_of_blocks_are_refused),
		TEST(a_bundle_without_cuts_and_seals_verifies_and_with_one_of_them_is_not_made),
		TEST(a_chunk_digest_that_is_not_the_chunks_is_refused),
		TEST(stored_bytes_that_are_not_the_chunks_are_refused),
		TEST(an_image_with_another_digest_is_refused),
		TEST(a_file_with_another_digest_is_refused),
		TEST(an_empty_file_with_another_digest_is_refused),
		TEST(files_that_do_not_fit_their_chunks_are_refused),
		TEST(every_byte_flip_is_refused_or_means_the_same),
		TEST(every_prefix_is_refused),
	};

	return cmocka_run_group_tests_name("bundle file", tests, NULL, NULL);
}
