/* TLS settings that libcurl has no option for. */
#ifndef SLUICE_CRYPTO_TLS_H
#define SLUICE_CRYPTO_TLS_H

#include <stdbool.h>
#include <stdint.h>

/* Whoever does not know the time: certificates of any date are right. */
#define TLS_ANY_TIME INT64_MAX

/* Has certificates judged at now_s and not by the wall clock, which may be wrong on a box without
 * a battery. ssl_ctx is the SSL_CTX that CURLOPT_SSL_CTX_FUNCTION hands over. */
bool tls_set_time(void *ssl_ctx, int64_t now_s);

#endif
