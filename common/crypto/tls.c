#include "common/crypto/tls.h"

#include <openssl/ssl.h>

static int
since(int good, X509_STORE_CTX *ctx)
{
	if (good || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_CERT_NOT_YET_VALID)
		return good;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

bool
tls_set_time(void *ssl_ctx, int64_t now_s)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl_ctx);

	if (!param)
		return false;
	if (now_s == TLS_ANY_TIME)
		return X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME) == 1;
	if (now_s < 0)
		SSL_CTX_set_verify(ssl_ctx, SSL_VERIFY_PEER, since);
	X509_VERIFY_PARAM_set_time(param, (time_t)(now_s < 0 ? -now_s : now_s));
	return true;
}

static bool
is_refusal(int alert)
{
	return alert == SSL_AD_BAD_CERTIFICATE || alert == SSL_AD_UNSUPPORTED_CERTIFICATE ||
	       alert == SSL_AD_CERTIFICATE_REVOKED || alert == SSL_AD_CERTIFICATE_EXPIRED ||
	       alert == SSL_AD_CERTIFICATE_UNKNOWN || alert == SSL_AD_UNKNOWN_CA ||
	       alert == SSL_AD_ACCESS_DENIED || alert == SSL_AD_CERTIFICATE_REQUIRED;
}

static int
counter_index(void)
{
	static int made = -1;

	if (made < 0)
		made = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return made;
}

static void
on_event(const SSL *ssl, int where, int value)
{
	struct tls_refusals *refusals = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), counter_index());

	if (where != SSL_CB_READ_ALERT)
		return;
	refusals->certain += is_refusal(value & 0xff);
	/* Of a handshake that failed, a server may say no more than that. */
	refusals->all += is_refusal(value & 0xff) || (value & 0xff) == SSL_AD_HANDSHAKE_FAILURE;
}

bool
tls_count_refusals(void *ssl_ctx, struct tls_refusals *refusals)
{
	if (counter_index() < 0 || !SSL_CTX_set_ex_data(ssl_ctx, counter_index(), refusals))
		return false;
	SSL_CTX_set_info_callback(ssl_ctx, on_event);
	return true;
}
