#include <stdio.h>
#include <string.h>

#include "common/base/num.h"
#include "common/crypto/hmac.h"
#include "tests/unit/sample.h"

static void
assert_hmac(struct span key, struct span data, const char *expected)
{
	char hex[DIGEST_HEX_SIZE];

	/* Wherever the message is cut. */
	for (size_t cut = 0; cut <= data.len; cut += data.len / 3 + 1) {
		const struct span parts[] = {
			span_of(data.data, cut), span_of(data.data + cut, data.len - cut)};
		struct digest d = hmac_sha256(key, parts, ARRAY_LEN(parts));

		assert_string_equal(digest_hex(&d, hex), expected);
	}
}

/* https://www.rfc-editor.org/rfc/rfc4231, section 4; test case 5 is of a cut output. */
static void
the_vectors_of_rfc_4231_hold(void **state)
{
	uint8_t key[131], data[50];

	(void)state;
	memset(key, 0x0b, 20);
	assert_hmac(span_of(key, 20), span_str("Hi There"),
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	assert_hmac(span_str("Jefe"), span_str("what do ya want for nothing?"),
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, sizeof(data));
	assert_hmac(span_of(key, 20), span_of(data, sizeof(data)),
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	for (uint8_t i = 0; i < 25; i++)
		key[i] = i + 1;
	memset(data, 0xcd, sizeof(data));
	assert_hmac(span_of(key, 25), span_of(data, sizeof(data)),
		"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
	memset(key, 0xaa, sizeof(key));
	assert_hmac(span_of(key, 131),
		span_str("Test Using Larger Than Block-Size Key - Hash Key First"),
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	assert_hmac(span_of(key, 131),
		span_str("This is a test using a larger than block-size key and a larger than "
			 "block-size data. The key needs to be hashed before being used by the "
			 "HMAC algorithm."),
		"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vectors_of_rfc_4231_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
