#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <string.h>

#include "common/base/num.h"
#include "common/crypto/answer.h"

#define MESSAGE "the exact bytes"
#define DER                                                                                        \
	"3045022100834c2be4663bd0043b4561908b4f20d0293bb2c8d65ce305b1d53cb76428397e"               \
	"02200b2af879ae6421620492c933858a683b6461cd94b1960a061a8e85ca8e5c27f2"
#define R_AND_S                                                                                    \
	"834c2be4663bd0043b4561908b4f20d0293bb2c8d65ce305b1d53cb76428397e"                         \
	"0b2af879ae6421620492c933858a683b6461cd94b1960a061a8e85ca8e5c27f2"
#define BASE64                                                                                     \
	"MEUCIQCDTCvkZjvQBDtFYZCLTyDQKTuyyNZc4wWx\n1Ty3ZCg5fgIgCyr4ea5kIWIEkskzhYpoO2RhzZSx\n"     \
	"lgoGGo6Fyo5cJ/I=\n"

enum { DER_BYTES = sizeof(DER) / 2, RAW_BYTES = 64 };

/* A P-256 key of `openssl genpkey`; the signature is by `openssl dgst -sha256 -sign`. */
static struct pubkey *
key(void)
{
	static const char pem[] =
		"-----BEGIN PUBLIC KEY-----\n"
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEU4cRrUSUGllPet9/k5marR0K1xr0\n"
		"68gKlfhj2HXn2p+05G4DUML0PC4+V6lTXszViQBa3U2VLQyWmRRB6P+q+A==\n"
		"-----END PUBLIC KEY-----\n";
	AUTO_JSON json_t *j = NULL;
	struct pubkey *k = NULL;

	assert_int_equal(pubkey_json_pem(span_str(pem), &j, NULL), 0);
	assert_int_equal(pubkey_parse(j, &k, NULL), 0);
	return k;
}

static void
check_taken(struct span answer)
{
	AUTO_PUBKEY struct pubkey *k = key();
	AUTO_BUF struct buf out = BUF_INIT(SIGNATURE_BYTES_MAX);
	uint8_t der[DER_BYTES];

	assert_int_equal(hex_decode(DER, der, sizeof(der), NULL), 0);
	assert_int_equal(answer_read(k, span_str(MESSAGE), answer, &out, NULL), 0);
	assert_true(span_equal(buf_span(&out), span_of(der, sizeof(der))));
}

static void
check_refused(struct span answer)
{
	AUTO_PUBKEY struct pubkey *k = key();
	AUTO_BUF struct buf out = BUF_INIT(SIGNATURE_BYTES_MAX);
	struct err e = ERR_INIT;

	assert_int_equal(answer_read(k, span_str(MESSAGE), answer, &out, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(out.len, 0);
}

static void
der_is_taken_as_it_is(void **state)
{
	uint8_t der[DER_BYTES];

	(void)state;
	assert_int_equal(hex_decode(DER, der, sizeof(der), NULL), 0);
	check_taken(span_of(der, sizeof(der)));
}

static void
r_and_s_become_der(void **state)
{
	uint8_t raw[RAW_BYTES];

	(void)state;
	assert_int_equal(hex_decode(R_AND_S, raw, sizeof(raw), NULL), 0);
	check_taken(span_of(raw, sizeof(raw)));
	check_taken(span_str(R_AND_S));
}

static void
hexadecimal_and_base64_text_is_taken(void **state)
{
	(void)state;
	check_taken(span_str(DER));
	check_taken(span_str(DER "\r\n"));
	check_taken(span_str(BASE64));
}

static void
every_prefix_is_refused(void **state)
{
	uint8_t der[DER_BYTES];

	(void)state;
	assert_int_equal(hex_decode(DER, der, sizeof(der), NULL), 0);
	for (size_t len = 0; len < sizeof(der); len++)
		check_refused(span_of(der, len));
	for (size_t len = 0; len < strlen(DER); len++)
		check_refused(span_of(DER, len));
	/* Without its padding and its last line break base64 says nothing else. */
	for (size_t len = 0; len < strlen(BASE64) - 2; len++)
		check_refused(span_of(BASE64, len));
}

static void
every_flipped_bit_of_r_and_s_is_refused(void **state)
{
	uint8_t raw[RAW_BYTES];

	(void)state;
	assert_int_equal(hex_decode(R_AND_S, raw, sizeof(raw), NULL), 0);
	for (size_t i = 0; i < sizeof(raw); i++) {
		raw[i] ^= 1;
		check_refused(span_of(raw, sizeof(raw)));
		raw[i] ^= 1;
	}
}

static void
text_longer_than_any_signature_is_refused(void **state)
{
	static char text[ANSWER_BYTES_MAX];

	(void)state;
	memset(text, 'a', sizeof(text));
	check_refused(span_of(text, sizeof(text)));
	memset(text, ' ', sizeof(text));
	check_refused(span_of(text, sizeof(text)));
	check_refused(span_str("Enter PIN: " DER));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(der_is_taken_as_it_is),
		cmocka_unit_test(r_and_s_become_der),
		cmocka_unit_test(hexadecimal_and_base64_text_is_taken),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(every_flipped_bit_of_r_and_s_is_refused),
		cmocka_unit_test(text_longer_than_any_signature_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
