/* TLS settings that libcurl has no option for. */
#ifndef SLUICE_CRYPTO_TLS_H
#define SLUICE_CRYPTO_TLS_H

#include <stdbool.h>
#include <stdint.h>

/* Whoever does not know the time: certificates of any date are right. */
#define TLS_ANY_TIME INT64_MAX

/* Whoever knows only that it is s or later (s > 0), because his clock stood still for a while: what
 * has ended by then is refused, and what begins after it is right. */
#define TLS_SINCE(s) (-(s))

/* Whether a time is one of those two. What was let in so is not to be let in again at another time:
 * connections and sessions are not kept. */
static inline bool
tls_is_lenient(int64_t now_s)
{
	return now_s == TLS_ANY_TIME || now_s < 0;
}

/* Has certificates judged at now_s and not by the wall clock, which may be wrong on a box without
 * a battery. ssl_ctx is the SSL_CTX that CURLOPT_SSL_CTX_FUNCTION hands over. */
bool tls_set_time(void *ssl_ctx, int64_t now_s);

/* Alerts. certain: those by which a server says that it does not take the certificate it was shown,
 * or misses one; all: also those of a handshake that failed, which may mean that, too. */
struct tls_refusals {
	uint64_t all, certain;
};

/* Counts them. The counter is to outlive all connections of ssl_ctx. */
bool tls_count_refusals(void *ssl_ctx, struct tls_refusals *refusals);

#endif
