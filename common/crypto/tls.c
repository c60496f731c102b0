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
