#include "common/crypto/tls.h"

#include <openssl/ssl.h>

bool
tls_set_time(void *ssl_ctx, int64_t now_s)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl_ctx);

	if (!param)
		return false;
	if (now_s == TLS_ANY_TIME)
		return X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME) == 1;
	X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
	return true;
}
