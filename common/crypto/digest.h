/* SHA-256 and SHA-512 (libcrypto). */
#ifndef SLUICE_CRYPTO_DIGEST_H
#define SLUICE_CRYPTO_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum { DIGEST_BYTES = 32, DIGEST_HEX_SIZE = 65, DIGEST512_BYTES = 64 };

/* A SHA-256. */
struct digest {
	uint8_t b[DIGEST_BYTES];
};

/* Of bytes in memory. Cannot fail: a libcrypto without SHA-256 aborts the program. */
struct digest digest_of(struct span bytes);
void digest512_of(struct span bytes, uint8_t out[DIGEST512_BYTES]);

/* In pieces. digest_begin's result is ended by digest_end (which gives the digest and may be
 * called once) or digest_abandon; both free it, both take NULL's address. */
struct digest_state;
int digest_begin(struct digest_state **out, struct err *e);
void digest_add(struct digest_state *s, const void *data, size_t len);
struct digest digest_end(struct digest_state **s);
void digest_abandon(struct digest_state **s);

/* Of the next len bytes of fd from offset on. A file that ends before is ERR_MALFORMED. */
int digest_fd(
	int fd, const char *name, uint64_t offset, uint64_t len, struct digest *out, struct err *e);

bool digest_equal(const struct digest *a, const struct digest *b);
const char *digest_hex(const struct digest *d, char out[DIGEST_HEX_SIZE]);

/* Exactly 64 hexadecimal digits; anything else, the empty string above all, is ERR_MALFORMED. */
int digest_parse(const char *hex, struct digest *out, struct err *e);

#endif
