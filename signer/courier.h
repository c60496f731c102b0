/* Takes events to webhooks, by curl(1): a POST over https, signed, as
 *
 *   Content-Type: application/json
 *   Sluice-Event: stopped
 *   Sluice-Id: 32 hexadecimal digits, the same each time that this event is sent
 *   Sluice-Timestamp: seconds since 1970, of this try
 *   Sluice-Signature: v1=HMAC-SHA256(secret, timestamp "." body), in hexadecimal
 *
 * The server's certificate is verified; nothing is redirected; what it answers beside status and
 * Retry-After is thrown away. A try takes WEBHOOK_TIMEOUT_S at most. */
#ifndef SLUICE_SIGNER_COURIER_H
#define SLUICE_SIGNER_COURIER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "signer/outbox.h"
#include "signer/webhook.h"

/* The value of Sluice-Signature. */
enum { COURIER_SIGNATURE_SIZE = sizeof("v1=") + 64 };
void courier_sign(const struct webhook_secret *secret, int64_t at_s, const char *body,
	char out[COURIER_SIGNATURE_SIZE]);

struct courier_post {
	const struct webhook *webhook;
	const char *name, *kind, *body;
	struct outbox_answer answer; /* out */
};

/* Sends up to WEBHOOK_ROUND_MAX at once. A post that gets no answer, or whose secret cannot be
 * read, says so in its answer. ERR_SYSTEM where there is no curl(1). */
int courier_send(struct courier_post *posts, size_t count, int64_t now_s, struct err *e);

/* Reads what curl(1) said of post number `number` in said, of which each line is "@NUMBER STATUS
 * EXIT_STATUS RETRY_AFTER TAB ERROR": for tests, too. */
void courier_answer_read(const char *said, size_t number, int64_t now_s, struct outbox_answer *out);

#endif
