#include "common/crypto/answer.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <sodium.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/crypto/libcrypto.h"

enum { P256_HALF_BYTES = 32, P256_BYTES = 2 * P256_HALF_BYTES, P256_DER_BYTES = 72 };

/* How libsodium reads text as bytes: 0, or anything else for what is no such text. */
static int
from_hex(uint8_t *out, size_t max, const char *text, size_t len, size_t *got)
{
	return sodium_hex2bin(out, max, text, len, " \t\r\n:", got, NULL);
}

static int
from_base64(uint8_t *out, size_t max, const char *text, size_t len, size_t *got)
{
	return sodium_base642bin(
		out, max, text, len, " \t\r\n", got, NULL, sodium_base64_VARIANT_ORIGINAL);
}

/* r and s as the DER that everybody else writes; 0 bytes where that fails. */
static size_t
p256_der(struct span raw, uint8_t out[P256_DER_BYTES])
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw.data, P256_HALF_BYTES, NULL);
	BIGNUM *s = BN_bin2bn(raw.data + P256_HALF_BYTES, P256_HALF_BYTES, NULL);
	unsigned char *end = out;
	int len = 0;

	if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL; /* sig owns them now */
		len = i2d_ECDSA_SIG(sig, &end);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return len > 0 ? (size_t)len : 0;
}

/* Whether these bytes are the signature, as they are or as r and s; *taken says so. */
static int
try_bytes(const struct pubkey *key, struct span message, struct span bytes, struct buf *out,
	bool *taken, struct err *e)
{
	uint8_t der[P256_DER_BYTES];
	size_t len;

	*taken = bytes.len <= SIGNATURE_BYTES_MAX && pubkey_verify(key, message, bytes, NULL) == 0;
	if (*taken || bytes.len != P256_BYTES)
		return *taken ? buf_append(out, bytes.data, bytes.len, e) : 0;
	len = p256_der(bytes, der);
	*taken = pubkey_verify(key, message, span_of(der, len), NULL) == 0;
	return *taken ? buf_append(out, der, len, e) : 0;
}

int
answer_read(const struct pubkey *key, struct span message, struct span answer, struct buf *out,
	struct err *e)
{
	static int (*const readers[])(uint8_t *, size_t, const char *, size_t, size_t *) = {
		from_hex, from_base64};
	uint8_t bytes[SIGNATURE_BYTES_MAX];
	bool taken;

	if (try_bytes(key, message, answer, out, &taken, e) < 0)
		return -1;
	for (size_t i = 0; !taken && i < ARRAY_LEN(readers); i++) {
		size_t len = 0;

		if (answer.len > 0 &&
			readers[i](bytes, sizeof(bytes), (const char *)answer.data, answer.len,
				&len) == 0 &&
			try_bytes(key, message, span_of(bytes, len), out, &taken, e) < 0)
			return -1;
	}
	return taken ? 0
		     : err_set(e, ERR_UNTRUSTED,
			       "the %zu bytes that came back are no signature of these bytes by "
			       "this key, neither raw nor in hexadecimal or base64",
			       answer.len);
}
