#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/process.h"
#include "common/crypto/answer.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "common/limits.h"

/* A person may have to find a token, put it in and type a PIN. */
enum { COMMAND_TIMEOUT_MS = 5 * 60 * 1000, ED25519_BYTES = 64 };

static int
words_split(char *text, const char **words, struct err *e)
{
	size_t count = 0;
	char *rest = NULL;

	for (char *w = strtok_r(text, " \t", &rest); w; w = strtok_r(NULL, " \t", &rest)) {
		if (count == COMMAND_WORDS_MAX)
			return err_set(e, ERR_LIMIT,
				"--sign-with: more than %d words; put them into a script",
				COMMAND_WORDS_MAX);
		words[count++] = w;
	}
	if (count == 0)
		return err_set(e, ERR_USAGE, "--sign-with: the command is empty");
	return 0;
}

static int
command_sign(const char *command, struct span message, struct buf *out, struct err *e)
{
	const char *words[COMMAND_WORDS_MAX + 1] = {0};
	AUTO_FREE char *text = strdup(command);
	struct process p = {.argv = words,
		.input = message,
		.output = out,
		.timeout_ms = COMMAND_TIMEOUT_MS,
		.asks_at_terminal = true};
	int status;

	if (!text)
		return err_sys(e, ENOMEM, "--sign-with");
	if (words_split(text, words, e) < 0)
		return -1;
	if (process_run(&p, &status, e) < 0)
		return err_context(e, "--sign-with");
	if (status != 0)
		return err_set(e, ERR_REFUSED, "--sign-with: %s exited %d", words[0], status);
	return 0;
}

/* A command may hold another key than it was said to: its answer has to verify. */
static int
outside_signature(const struct signer *s, const struct pubkey *key, struct span message,
	struct buf *out, struct err *e)
{
	AUTO_BUF struct buf answer = BUF_INIT(ANSWER_BYTES_MAX);

	if (command_sign(s->command, message, &answer, e) < 0)
		return -1;
	if (answer_read(key, message, buf_span(&answer), out, e) < 0)
		return err_context(e, "--sign-with %.200s: as key %.16s", s->command, s->keyid);
	return 0;
}

/* Memory may flip a bit, and halves of a key file may not belong together: what does not verify
 * here is never handed on. */
static int
own_signature(const struct signer *s, const struct pubkey *key, struct span message,
	struct buf *out, struct err *e)
{
	uint8_t signature[ED25519_BYTES];

	if (!s->seckey)
		return err_set(e, ERR_USAGE, "there is no secret key and no command to sign with");
	if (seckey_sign(s->seckey, message, signature, e) < 0)
		return -1;
	if (pubkey_verify(key, message, span_of(signature, sizeof(signature)), e) < 0)
		return err_context(e, "signing as key %.16s", s->keyid);
	return buf_append(out, signature, sizeof(signature), e);
}

int
signer_sign(const struct signer *s, struct span message, struct buf *out, struct err *e)
{
	AUTO_PUBKEY struct pubkey *key = NULL;

	if (pubkey_parse(s->key, &key, e) < 0)
		return -1;
	return s->command ? outside_signature(s, key, message, out, e)
			  : own_signature(s, key, message, out, e);
}
