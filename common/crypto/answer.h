/* What a signing command answered: a signature, in one of the forms that such commands print. */
#ifndef SLUICE_CRYPTO_ANSWER_H
#define SLUICE_CRYPTO_ANSWER_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/crypto/pubkey.h"
#include "common/limits.h"

/* Appends the signature as TUF has it (Ed25519: 64 bytes; ECDSA: DER; RSA: the number) to out. The
 * answer may be that itself, or its hexadecimal or base64 text with blanks and line breaks; an
 * ECDSA signature may also be r and s of 32 bytes each, as PKCS #11 has it. Which it is is never
 * guessed: the form that verifies as key's signature of message is taken. ERR_UNTRUSTED when none
 * does. */
int answer_read(const struct pubkey *key, struct span message, struct span answer, struct buf *out,
	struct err *e);

#endif
