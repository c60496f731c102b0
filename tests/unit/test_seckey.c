#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/process.h"
#include "common/crypto/minisign.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "common/crypto/secret.h"
#include "common/limits.h"

/* A folder of our own for each test, and the files that most of them use. */
static char dir[64], key_path[128], pub_path[128], file_path[128];

static int
dir_new(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/sluice-seckey-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(key_path, sizeof(key_path), "%s/k.key", dir);
	(void)snprintf(pub_path, sizeof(pub_path), "%s/k.pub", dir);
	(void)snprintf(file_path, sizeof(file_path), "%s/message", dir);
	return file_create(file_path, 0600, span_str("message"), NULL);
}

/* Runs argv with this on its standard input; returns its exit status. */
static int
run(const char *const *argv, const char *input)
{
	AUTO_BUF struct buf out = BUF_INIT(1 << 16);
	int status = -1;

	assert_int_equal(process_run(&(struct process){.argv = argv,
					     .input = span_str(input),
					     .output = &out,
					     .timeout_ms = 120000},
				 &status, NULL),
		0);
	return status;
}

static int
dir_drop(void **state)
{
	(void)state;
	return run((const char *const[]){"rm", "-rf", dir, NULL}, "");
}

/* A seckey_ask_fn that knows one passphrase and counts how often it is asked. */
struct asked {
	const char *pass;
	int times;
};

static int
answer(void *arg, const char *path, char *pass, struct err *e)
{
	struct asked *a = arg;

	assert_string_equal(path, key_path);
	a->times++;
	if (!a->pass)
		return err_set(e, ERR_USAGE, "nobody is here");
	(void)snprintf(pass, PASSPHRASE_MAX + 1, "%s", a->pass);
	return 0;
}

static void
assert_same_key(const struct seckey *a, const struct seckey *b)
{
	assert_int_equal(seckey_minisign_id(a), seckey_minisign_id(b));
	assert_memory_equal(a->sk, b->sk, sizeof(a->sk));
}

/* Loading must fail with this class and leave nothing. */
static void
expect_refused(const char *pass, enum err_class class)
{
	struct asked a = {.pass = pass};
	struct seckey *k = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(seckey_load(key_path, answer, &a, &k, &e), -1);
	assert_int_equal(e.class, class);
	assert_non_null(strstr(e.text, class == ERR_USAGE ? "nobody" : key_path));
	assert_null(k);
}

static void
a_saved_key_is_read_back(void **state)
{
	static const char *const passes[] = {NULL, "correct horse"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(passes); i++) {
		AUTO_SECKEY struct seckey *k = NULL, *again = NULL;
		struct asked a = {.pass = passes[i]};
		struct stat st;

		assert_int_equal(seckey_new(&k, NULL), 0);
		assert_int_equal(seckey_save(k, key_path, passes[i], NULL), 0);
		assert_int_equal(stat(key_path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(seckey_load(key_path, answer, &a, &again, NULL), 0);
		assert_int_equal(a.times, passes[i] ? 1 : 0);
		assert_same_key(k, again);
		assert_int_equal(unlink(key_path), 0);
	}
}

static void
two_new_keys_differ(void **state)
{
	AUTO_SECKEY struct seckey *a = NULL, *b = NULL;

	(void)state;
	assert_int_equal(seckey_new(&a, NULL), 0);
	assert_int_equal(seckey_new(&b, NULL), 0);
	assert_int_not_equal(seckey_minisign_id(a), seckey_minisign_id(b));
	assert_memory_not_equal(a->sk, b->sk, sizeof(a->sk));
}

static void
a_key_file_is_never_written_over(void **state)
{
	AUTO_SECKEY struct seckey *k = NULL;

	(void)state;
	assert_int_equal(seckey_new(&k, NULL), 0);
	assert_int_equal(seckey_save(k, key_path, NULL, NULL), 0);
	assert_int_equal(seckey_save(k, key_path, NULL, NULL), -1);
	assert_int_equal(seckey_save_public(k, pub_path, NULL), 0);
	assert_int_equal(seckey_save_public(k, pub_path, NULL), -1);
}

static void
a_wrong_passphrase_is_refused_and_nobody_home_is_said(void **state)
{
	AUTO_SECKEY struct seckey *k = NULL;

	(void)state;
	assert_int_equal(seckey_new(&k, NULL), 0);
	assert_int_equal(seckey_save(k, key_path, "right", NULL), 0);
	expect_refused("wrong", ERR_REFUSED);
	expect_refused("", ERR_REFUSED);
	expect_refused(NULL, ERR_USAGE);
}

static void
a_key_that_others_may_read_is_refused(void **state)
{
	AUTO_SECKEY struct seckey *k = NULL;
	static const mode_t modes[] = {0604, 0640, 0660, 0602};

	(void)state;
	assert_int_equal(seckey_new(&k, NULL), 0);
	assert_int_equal(seckey_save(k, key_path, NULL, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		assert_int_equal(chmod(key_path, modes[i]), 0);
		expect_refused(NULL, ERR_REFUSED);
	}
}

static void
a_folder_is_no_key_and_nobody_is_told_to_chmod_it(void **state)
{
	AUTO_SECKEY struct seckey *k = NULL;
	struct err e = ERR_INIT;
	static const mode_t modes[] = {0755, 0700};

	(void)state;
	(void)unlink(key_path);
	assert_int_equal(mkdir(key_path, 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		assert_int_equal(chmod(key_path, modes[i]), 0);
		assert_int_equal(seckey_load(key_path, NULL, NULL, &k, &e), -1);
		assert_null(strstr(e.text, "chmod"));
		assert_non_null(strstr(e.text, "is a folder"));
	}
	assert_int_equal(rmdir(key_path), 0);
}

/* The record of a new key, for tests that change it: encrypted is only marked so. */
static void
write_record(const struct minisign_record *r)
{
	char text[MINISIGN_TEXT_SIZE];

	minisign_record_text(r, text);
	(void)unlink(key_path);
	assert_int_equal(file_create(key_path, 0600, span_str(text), NULL), 0);
}

static void
kdf_limits_over_minisigns_own_are_refused_before_asking(void **state)
{
	AUTO_SECKEY struct seckey *k = NULL;
	struct minisign_record r;

	(void)state;
	assert_int_equal(seckey_new(&k, NULL), 0);
	assert_int_equal(minisign_record_seal(k, "x", &r, NULL), 0);
	num_put_le64(r.b + 38, 33554433);
	write_record(&r);
	expect_refused(NULL, ERR_LIMIT);
	num_put_le64(r.b + 38, 33554432);
	num_put_le64(r.b + 46, (1ULL << 30) + 1);
	write_record(&r);
	expect_refused(NULL, ERR_LIMIT);
	num_put_le64(r.b + 46, UINT64_MAX);
	write_record(&r);
	expect_refused(NULL, ERR_LIMIT);
}

static void
a_key_in_the_clear_has_its_checksum_and_zeros_will_do(void **state)
{
	AUTO_SECKEY struct seckey *k = NULL, *again = NULL;
	struct minisign_record r;
	static const uint8_t zeros[32];

	(void)state;
	assert_int_equal(seckey_new(&k, NULL), 0);
	assert_int_equal(minisign_record_seal(k, NULL, &r, NULL), 0);
	assert_memory_not_equal(r.b + 126, zeros, sizeof(zeros));
	r.b[126] ^= 1;
	write_record(&r);
	expect_refused(NULL, ERR_MALFORMED);
	memset(r.b + 126, 0, 32);
	write_record(&r);
	assert_int_equal(seckey_load(key_path, NULL, NULL, &again, NULL), 0);
	assert_same_key(k, again);
}

static void
halves_that_do_not_belong_together_are_refused(void **state)
{
	AUTO_SECKEY struct seckey *k = NULL;
	struct minisign_record r;

	(void)state;
	assert_int_equal(seckey_new(&k, NULL), 0);
	k->sk[63] ^= 1;
	/* With a checksum that fits. */
	assert_int_equal(minisign_record_seal(k, NULL, &r, NULL), 0);
	write_record(&r);
	expect_refused(NULL, ERR_MALFORMED);
}

static void
every_prefix_and_flip_of_a_key_file_is_refused_or_the_same_key(void **state)
{
	AUTO_SECKEY struct seckey *k = NULL;
	struct minisign_record r, read;
	char text[MINISIGN_TEXT_SIZE], copy[MINISIGN_TEXT_SIZE];

	(void)state;
	assert_int_equal(seckey_new(&k, NULL), 0);
	assert_int_equal(minisign_record_seal(k, NULL, &r, NULL), 0);
	minisign_record_text(&r, text);
	for (size_t i = 0; i < strlen(text); i++) {
		AUTO_SECRET void *memory = NULL;

		assert_int_equal(secret_new(sizeof(struct seckey), &memory, NULL), 0);
		memcpy(copy, text, sizeof(copy));
		copy[i] = 0;
		if (minisign_record_parse(copy, &read, NULL) == 0)
			assert_int_equal(i, strlen(text) - 1);
		for (int bit = 0; bit < 8; bit++) {
			copy[i] = (char)(text[i] ^ (1 << bit));
			if (minisign_record_parse(copy, &read, NULL) < 0 ||
				minisign_record_encrypted(&read))
				continue;
			if (minisign_record_open(&read, NULL, memory, NULL) == 0)
				assert_same_key(memory, k);
		}
	}
}

static void
files_that_are_no_keys_are_refused(void **state)
{
	AUTO_FREE char *large = calloc(1, KEY_FILE_MAX + 2);
	struct err e = ERR_INIT;
	json_t *j = NULL;

	(void)state;
	memset(large, 'a', KEY_FILE_MAX + 1);
	expect_refused(NULL, ERR_SYSTEM);
	assert_int_equal(file_create(key_path, 0600, span_str(large), NULL), 0);
	expect_refused(NULL, ERR_LIMIT);
	assert_int_equal(pubkey_file_load(key_path, &j, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(file_replace(key_path, 0600, span_str(""), NULL), 0);
	expect_refused(NULL, ERR_MALFORMED);
	assert_int_equal(pubkey_file_load(key_path, &j, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(file_replace(key_path, 0600, span_of("a\0b", 3), NULL), 0);
	expect_refused(NULL, ERR_MALFORMED);
	assert_int_equal(pubkey_file_load(key_path, &j, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_null(j);
}

static void
a_secret_key_file_is_not_taken_for_a_public_one(void **state)
{
	AUTO_SECKEY struct seckey *k = NULL;
	struct err e = ERR_INIT;
	json_t *j = NULL;

	(void)state;
	assert_int_equal(seckey_new(&k, NULL), 0);
	assert_int_equal(seckey_save(k, key_path, NULL, NULL), 0);
	assert_int_equal(seckey_save_public(k, pub_path, NULL), 0);
	assert_int_equal(pubkey_file_load(key_path, &j, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(chmod(pub_path, 0600), 0);
	(void)snprintf(key_path, sizeof(key_path), "%s", pub_path);
	expect_refused(NULL, ERR_MALFORMED);
}

/* Our key signs with minisign -S, and minisign -V finds it good under our public key file. */
static void
minisign_signs_with_our_keys(void **state)
{
	static const char *const passes[] = {NULL, "correct horse"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(passes); i++) {
		AUTO_SECKEY struct seckey *k = NULL;
		char input[64] = "";

		assert_int_equal(seckey_new(&k, NULL), 0);
		assert_int_equal(seckey_save(k, key_path, passes[i], NULL), 0);
		assert_int_equal(seckey_save_public(k, pub_path, NULL), 0);
		if (passes[i])
			(void)snprintf(input, sizeof(input), "%s\n", passes[i]);
		assert_int_equal(run((const char *const[]){"minisign", "-S", "-s", key_path, "-m",
					     file_path, NULL},
					 input),
			0);
		assert_int_equal(run((const char *const[]){"minisign", "-V", "-p", pub_path, "-m",
					     file_path, NULL},
					 ""),
			0);
		assert_int_equal(unlink(key_path), 0);
		assert_int_equal(unlink(pub_path), 0);
	}
}

/* A key from minisign signs here, and its public key file verifies it. */
static void
check_minisign_key(const char *pass)
{
	AUTO_SECKEY struct seckey *k = NULL;
	AUTO_JSON json_t *j = NULL;
	AUTO_PUBKEY struct pubkey *public = NULL;
	struct asked a = {.pass = pass};
	struct err e = ERR_INIT;
	uint8_t signature[64];

	assert_int_equal(seckey_load(key_path, answer, &a, &k, &e), 0);
	assert_int_equal(a.times, pass ? 1 : 0);
	assert_int_equal(pubkey_file_load(pub_path, &j, &e), 0);
	assert_int_equal(pubkey_parse(j, &public, &e), 0);
	assert_int_equal(seckey_sign(k, span_str("message"), signature, &e), 0);
	assert_int_equal(pubkey_verify(public, span_str("message"), span_of(signature, 64), &e), 0);
}

static void
a_key_by_minisign_in_the_clear_signs_here(void **state)
{
	(void)state;
	assert_int_equal(run((const char *const[]){"minisign", "-G", "-W", "-p", pub_path, "-s",
				     key_path, NULL},
				 ""),
		0);
	check_minisign_key(NULL);
}

/* This one takes minisign's full gigabyte, twice. */
static void
a_key_by_minisign_with_a_passphrase_signs_here(void **state)
{
	(void)state;
	assert_int_equal(
		run((const char *const[]){"minisign", "-G", "-p", pub_path, "-s", key_path, NULL},
			"battery staple\nbattery staple\n"),
		0);
	check_minisign_key("battery staple");
}

static void
pem_public_key_files_are_read_too(void **state)
{
	AUTO_JSON json_t *j = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(run((const char *const[]){"openssl", "genpkey", "-algorithm", "EC",
				     "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key_path, NULL},
				 ""),
		0);
	assert_int_equal(run((const char *const[]){"openssl", "pkey", "-in", key_path, "-pubout",
				     "-out", pub_path, NULL},
				 ""),
		0);
	assert_int_equal(pubkey_file_load(pub_path, &j, &e), 0);
	assert_string_equal(json_string_value(json_object_get(j, "keytype")), "ecdsa");
}

/* --sign-with, by a program that holds the key: openssl reads the exact bytes and answers with DER.
 */
static void
a_command_signs_and_its_answer_is_verified(void **state)
{
	AUTO_JSON json_t *j = NULL;
	AUTO_BUF struct buf out = BUF_INIT(SIGNATURE_BYTES_MAX);
	AUTO_PUBKEY struct pubkey *k = NULL;
	char command[256];
	struct signer s = {.command = command, .keyid = "abc"};
	struct err e = ERR_INIT;

	pem_public_key_files_are_read_too(state);
	assert_int_equal(pubkey_file_load(pub_path, &j, NULL), 0);
	assert_int_equal(pubkey_parse(j, &k, NULL), 0);
	s.key = j;
	(void)snprintf(command, sizeof(command), "openssl dgst  -sha256 -sign %s", key_path);
	assert_int_equal(signer_sign(&s, span_str("exact\nbytes"), &out, &e), 0);
	assert_int_equal(pubkey_verify(k, span_str("exact\nbytes"), buf_span(&out), NULL), 0);

	buf_clear(&out);
	(void)snprintf(command, sizeof(command), "echo nonsense");
	assert_int_equal(signer_sign(&s, span_str("m"), &out, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	(void)snprintf(command, sizeof(command), "false");
	assert_int_equal(signer_sign(&s, span_str("m"), &out, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	(void)snprintf(command, sizeof(command), "head -c 5000 /dev/zero");
	assert_int_equal(signer_sign(&s, span_str("m"), &out, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	(void)snprintf(command, sizeof(command), "  ");
	assert_int_equal(signer_sign(&s, span_str("m"), &out, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	assert_int_equal(out.len, 0);
}

static void
a_signer_whose_halves_differ_is_refused(void **state)
{
	AUTO_SECKEY struct seckey *a = NULL, *b = NULL;
	AUTO_JSON json_t *j = NULL;
	AUTO_BUF struct buf out = BUF_INIT(SIGNATURE_BYTES_MAX);
	struct signer s = {.keyid = "abc"};
	struct err e = ERR_INIT;
	uint8_t raw[32];

	(void)state;
	assert_int_equal(seckey_new(&a, NULL), 0);
	assert_int_equal(seckey_new(&b, NULL), 0);
	seckey_public(a, raw);
	assert_int_equal(pubkey_json_ed25519(raw, &j, NULL), 0);
	s.key = j;
	assert_int_equal(signer_sign(&s, span_str("m"), &out, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	s.seckey = b;
	assert_int_equal(signer_sign(&s, span_str("m"), &out, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(out.len, 0);
	s.seckey = a;
	assert_int_equal(signer_sign(&s, span_str("m"), &out, &e), 0);
	assert_int_equal(out.len, 64);
}

static void
whether_a_key_has_a_passphrase_is_told_without_it(void **state)
{
	AUTO_SECKEY struct seckey *k = NULL;
	bool encrypted = false;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(seckey_new(&k, &e), 0);
	assert_int_equal(seckey_save(k, key_path, "secret", &e), 0);
	assert_int_equal(seckey_is_encrypted(key_path, &encrypted, &e), 0);
	assert_true(encrypted);
	assert_int_equal(unlink(key_path), 0);
	assert_int_equal(seckey_save(k, key_path, NULL, &e), 0);
	assert_int_equal(seckey_is_encrypted(key_path, &encrypted, &e), 0);
	assert_false(encrypted);
	assert_int_equal(chmod(key_path, 0644), 0);
	assert_int_equal(seckey_is_encrypted(key_path, &encrypted, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(seckey_is_encrypted(file_path, &encrypted, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

int
main(void)
{
#define test(t) cmocka_unit_test_setup_teardown(t, dir_new, dir_drop)
	const struct CMUnitTest tests[] = {
		test(a_saved_key_is_read_back),
		test(two_new_keys_differ),
		test(whether_a_key_has_a_passphrase_is_told_without_it),
		test(a_key_file_is_never_written_over),
		test(a_wrong_passphrase_is_refused_and_nobody_home_is_said),
		test(a_folder_is_no_key_and_nobody_is_told_to_chmod_it),
		test(a_key_that_others_may_read_is_refused),
		test(kdf_limits_over_minisigns_own_are_refused_before_asking),
		test(a_key_in_the_clear_has_its_checksum_and_zeros_will_do),
		test(halves_that_do_not_belong_together_are_refused),
		test(every_prefix_and_flip_of_a_key_file_is_refused_or_the_same_key),
		test(files_that_are_no_keys_are_refused),
		test(a_secret_key_file_is_not_taken_for_a_public_one),
		test(minisign_signs_with_our_keys),
		test(a_key_by_minisign_in_the_clear_signs_here),
		test(a_key_by_minisign_with_a_passphrase_signs_here),
		test(pem_public_key_files_are_read_too),
		test(a_command_signs_and_its_answer_is_verified),
		test(a_signer_whose_halves_differ_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
