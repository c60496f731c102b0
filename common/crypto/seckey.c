#include "common/crypto/seckey.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/minisign.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/random.h"
#include "common/crypto/secret.h"
#include "common/limits.h"

void
seckey_free(struct seckey **k)
{
	if (!k)
		return;
	secret_free(k);
	*k = NULL;
}

int
seckey_new(struct seckey **out, struct err *e)
{
	uint8_t pk[MINISIGN_PK_BYTES];
	struct seckey *k;
	void *memory;

	if (secret_new(sizeof(*k), &memory, e) < 0)
		return -1;
	k = memory;
	random_bytes(k->id, sizeof(k->id));
	(void)crypto_sign_keypair(pk, k->sk);
	*out = k;
	return 0;
}

void
seckey_public(const struct seckey *k, uint8_t out[32])
{
	memcpy(out, k->sk + MINISIGN_SK_BYTES - MINISIGN_PK_BYTES, MINISIGN_PK_BYTES);
}

uint64_t
seckey_minisign_id(const struct seckey *k)
{
	return num_get_le64(k->id);
}

int
seckey_sign(const struct seckey *k, struct span message, uint8_t signature[64], struct err *e)
{
	if (crypto_sign_detached(signature, NULL, message.data, message.len, k->sk) != 0)
		return err_set(e, ERR_SYSTEM, "signing failed");
	return 0;
}

/* The text of a key file as a C string in secret memory: some keys are in the clear. */
static int
text_read(const char *path, char *out, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	ssize_t got;

	if (file_open_secret(path, &fd, e) < 0)
		return -1;
	got = file_read_some(fd, path, out, KEY_FILE_MAX + 1, e);
	if (got < 0)
		return -1;
	if (got > KEY_FILE_MAX)
		return err_set(e, ERR_LIMIT, "%s is longer than %d bytes: not a key file", path,
			KEY_FILE_MAX);
	if (strlen(out) != (size_t)got)
		return err_set(e, ERR_MALFORMED, "%s is not text: not a key file", path);
	return 0;
}

/* What reading a key needs of secret memory, in one piece. */
struct loading {
	char text[KEY_FILE_MAX + 2];
	char pass[PASSPHRASE_MAX + 1];
	struct minisign_record record;
};

static int
key_unlock(struct loading *l, const char *path, seckey_ask_fn *ask, void *arg, struct seckey *k,
	struct err *e)
{
	if (minisign_record_parse(l->text, &l->record, e) < 0)
		return err_context(e, "%s", path);
	if (minisign_record_encrypted(&l->record)) {
		if (!ask)
			return err_set(e, ERR_USAGE, "%s needs a passphrase", path);
		if (ask(arg, path, l->pass, e) < 0)
			return -1;
		l->pass[PASSPHRASE_MAX] = 0;
	}
	if (minisign_record_open(&l->record, l->pass, k, e) < 0)
		return err_context(e, "%s", path);
	return 0;
}

int
seckey_load(const char *path, seckey_ask_fn *ask, void *arg, struct seckey **out, struct err *e)
{
	AUTO_SECRET void *memory = NULL, *key = NULL;
	struct loading *l;

	if (secret_new(sizeof(*l), &memory, e) < 0 || secret_new(sizeof(**out), &key, e) < 0)
		return -1;
	l = memory;
	if (text_read(path, l->text, e) < 0 || key_unlock(l, path, ask, arg, key, e) < 0)
		return -1;
	*out = TAKE_PTR(key);
	return 0;
}

int
seckey_is_encrypted(const char *path, bool *encrypted, struct err *e)
{
	AUTO_SECRET void *memory = NULL;
	struct loading *l;

	if (secret_new(sizeof(*l), &memory, e) < 0)
		return -1;
	l = memory;
	if (text_read(path, l->text, e) < 0)
		return -1;
	if (minisign_record_parse(l->text, &l->record, e) < 0)
		return err_context(e, "%s", path);
	*encrypted = minisign_record_encrypted(&l->record);
	return 0;
}

struct saving {
	struct minisign_record record;
	char text[MINISIGN_TEXT_SIZE];
};

int
seckey_save(const struct seckey *k, const char *path, const char *pass, struct err *e)
{
	AUTO_SECRET void *memory = NULL;
	struct saving *s;

	if (secret_new(sizeof(*s), &memory, e) < 0)
		return -1;
	s = memory;
	if (minisign_record_seal(k, pass, &s->record, e) < 0)
		return -1;
	minisign_record_text(&s->record, s->text);
	return file_create(path, 0600, span_str(s->text), e);
}

int
seckey_save_public(const struct seckey *k, const char *path, struct err *e)
{
	char text[MINISIGN_TEXT_SIZE];

	minisign_public_text(k, text);
	return file_create(path, 0644, span_str(text), e);
}

int
pubkey_file_load(const char *path, json_t **out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(KEY_FILE_MAX);
	AUTO_CLOSE int fd = -1;
	uint8_t pk[MINISIGN_PK_BYTES];
	int rc;

	if (file_open_given(path, &fd, e) < 0 || file_read_fd(fd, path, &text, e) < 0)
		return -1;
	if (memmem(text.data, text.len, "-----BEGIN ", 11))
		rc = pubkey_json_pem(buf_span(&text), out, e);
	else if (strlen(buf_str(&text)) != text.len)
		rc = err_set(e, ERR_MALFORMED, "not text: not a key file");
	else if ((rc = minisign_public_parse(buf_str(&text), pk, e)) == 0)
		rc = pubkey_json_ed25519(pk, out, e);
	return rc < 0 ? err_context(e, "%s", path) : 0;
}
