#include "common/crypto/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"

enum { READ_STEP = 64 * 1024 };

struct digest_state {
	EVP_MD_CTX *ctx;
};

/* Fetched once: looking an algorithm up costs OpenSSL 3 more than hashing a 4 KiB block. */
static EVP_MD *sha256, *sha512;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

/* Nothing here works without SHA-256, and an answer that nobody computed is worse than an end. */
static void
must(int done)
{
	if (done != 1)
		abort();
}

static void
fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	sha512 = EVP_MD_fetch(NULL, "SHA512", NULL);
	must(sha256 && sha512);
}

struct digest
digest_of(struct span bytes)
{
	struct digest d;

	must(pthread_once(&fetched, fetch) == 0);
	must(EVP_Digest(bytes.data, bytes.len, d.b, NULL, sha256, NULL));
	return d;
}

void
digest512_of(struct span bytes, uint8_t out[DIGEST512_BYTES])
{
	must(pthread_once(&fetched, fetch) == 0);
	must(EVP_Digest(bytes.data, bytes.len, out, NULL, sha512, NULL));
}

int
digest_begin(struct digest_state **out, struct err *e)
{
	struct digest_state *s = malloc(sizeof(*s));

	if (!s)
		return err_sys(e, ENOMEM, "hashing");
	s->ctx = EVP_MD_CTX_new();
	if (!s->ctx) {
		free(s);
		return err_sys(e, ENOMEM, "hashing");
	}
	must(pthread_once(&fetched, fetch) == 0);
	must(EVP_DigestInit_ex2(s->ctx, sha256, NULL));
	*out = s;
	return 0;
}

void
digest_add(struct digest_state *s, const void *data, size_t len)
{
	must(EVP_DigestUpdate(s->ctx, data, len));
}

struct digest
digest_end(struct digest_state **s)
{
	struct digest d;

	must(EVP_DigestFinal_ex((*s)->ctx, d.b, NULL));
	digest_abandon(s);
	return d;
}

void
digest_abandon(struct digest_state **s)
{
	if (!s || !*s)
		return;
	EVP_MD_CTX_free((*s)->ctx);
	free(*s);
	*s = NULL;
}

int
digest_fd(
	int fd, const char *name, uint64_t offset, uint64_t len, struct digest *out, struct err *e)
{
	CLEANUP(digest_abandon) struct digest_state *s = NULL;
	AUTO_FREE uint8_t *piece = malloc(READ_STEP);
	uint64_t end;

	if (!piece)
		return err_sys(e, ENOMEM, "hashing %s", name);
	if (num_add(offset, len, &end, name, e) < 0 || digest_begin(&s, e) < 0)
		return -1;
	while (offset < end) {
		size_t step = (size_t)num_min(READ_STEP, end - offset);

		if (file_pread_full(fd, name, piece, step, offset, e) < 0)
			return -1;
		digest_add(s, piece, step);
		offset += step;
	}
	*out = digest_end(&s);
	return 0;
}

bool
digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_BYTES) == 0;
}

const char *
digest_hex(const struct digest *d, char out[DIGEST_HEX_SIZE])
{
	hex_encode(d->b, DIGEST_BYTES, out);
	return out;
}

int
digest_parse(const char *hex, struct digest *out, struct err *e)
{
	struct digest d = {0};

	if (hex_decode(hex, d.b, DIGEST_BYTES, e) < 0)
		return err_context(e, "a SHA-256 is 64 hexadecimal digits");
	*out = d;
	return 0;
}
