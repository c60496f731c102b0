/* Key files that people are sent, keys in metadata, and signatures made with them.
 *
 * Input: a byte that says which, then the text; for keys in metadata a line of "%%" and a signature
 * behind it. */
#include "common/base/num.h"
#include "common/crypto/minisign.h"
#include "common/crypto/pubkey.h"
#include "common/limits.h"
#include "tests/fuzz/harness.h"

/* A key file that may ask for more of scrypt than a run of a fuzzer has. */
static bool
is_cheap(const struct minisign_record *r)
{
	return !minisign_record_encrypted(r) ||
	       (num_get_le64(r->b + 38) <= 32768 && num_get_le64(r->b + 46) <= (16 << 20));
}

static void
secret_file(const char *text)
{
	char written[MINISIGN_TEXT_SIZE];
	struct minisign_record r, again;
	struct seckey key = {0};
	struct err e = ERR_INIT;

	if (minisign_record_parse(text, &r, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	minisign_record_text(&r, written);
	MUST(minisign_record_parse(written, &again, &e) == 0);
	MUST(memcmp(&r, &again, sizeof(r)) == 0);
	if (is_cheap(&r) && minisign_record_open(&r, "fuzz", &key, &e) < 0)
		fuzz_check_err(&e);
}

/* A KEY object that we made parses, and its id is the same each time. */
static void
key_made(const json_t *key)
{
	AUTO_PUBKEY struct pubkey *k = NULL;
	char id[DIGEST_HEX_SIZE], again[DIGEST_HEX_SIZE];
	struct err e = ERR_INIT;

	MUST(pubkey_parse(key, &k, &e) == 0 && pubkey_equal(k, k));
	MUST(pubkey_id(key, id, &e) == 0 && pubkey_id(key, again, &e) == 0);
	MUST(strcmp(id, again) == 0);
	fuzz_deep();
}

static void
public_file(const char *text)
{
	AUTO_JSON json_t *key = NULL;
	uint8_t pk[MINISIGN_PK_BYTES];
	struct err e = ERR_INIT;

	if (minisign_public_parse(text, pk, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	MUST(pubkey_json_ed25519(pk, &key, &e) == 0);
	key_made(key);
}

static void
pem_file(struct span text)
{
	AUTO_JSON json_t *key = NULL, *again = NULL;
	const char *pem;
	struct err e = ERR_INIT;

	if (text.len > KEY_FILE_MAX)
		return;
	if (pubkey_json_pem(text, &key, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	key_made(key);
	pem = json_string_value(json_object_get(json_object_get(key, "keyval"), "public"));
	if (strcmp(json_string_value(json_object_get(key, "keytype")), "ed25519") == 0)
		return;
	MUST(pubkey_json_pem(span_str(pem), &again, &e) == 0 && json_equal(key, again));
}

static void
metadata_key(struct span in)
{
	AUTO_JSON json_t *key = NULL;
	AUTO_PUBKEY struct pubkey *k = NULL;
	struct span text = fuzz_take_part(&in, "%%");
	char id[DIGEST_HEX_SIZE];
	struct err e = ERR_INIT;
	int good;

	if (json_parse(text, "key", &key, &e) < 0)
		return;
	(void)pubkey_id(key, id, &e);
	if (pubkey_parse(key, &k, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	good = pubkey_verify(k, span_str("message"), in, &e);
	MUST(good == pubkey_verify(k, span_str("message"), in, &e));
	MUST(pubkey_verify(k, span_str("message"), span_of(NULL, 0), &e) < 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	uint8_t which = fuzz_take8(&in);
	AUTO_FREE char *text = fuzz_text(in);

	switch (which) {
	case 's':
		secret_file(text);
		break;
	case 'p':
		public_file(text);
		break;
	case 'm':
		metadata_key(in);
		break;
	default:
		pem_file(in);
	}
	return 0;
}
