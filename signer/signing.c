#include "signer/signing.h"

#include <string.h>

#include "common/base/num.h"
#include "common/crypto/pubkey.h"

int
signing_option(struct signing *s, int option, const char *argument, struct err *e)
{
	uint64_t fd;

	switch (option) {
	case 'w':
		s->workspace = argument;
		return 0;
	case OPT_KEY:
		s->key = argument;
		return 0;
	case OPT_ROLE:
		s->role = argument;
		return 0;
	case OPT_YES:
		s->yes = true;
		return 0;
	case OPT_NO_PUBLISH:
		s->no_publish = true;
		return 0;
	case OPT_PASS_FILE:
		s->pass.file = argument;
		return 0;
	case OPT_PASS_FD:
		if (num_parse(argument, 0, INT16_MAX, &fd, e) < 0) {
			(void)err_context(e, "--passphrase-fd");
			e->class = ERR_USAGE;
			return -1;
		}
		s->pass.fd = (int)fd;
		return 0;
	default:
		return err_set(e, ERR_USAGE,
			"an option is not known or lacks its value; --help lists them");
	}
}

void
opened_key_close(struct opened_key *k)
{
	seckey_free(&k->secret);
	json_decref(k->public);
	*k = (struct opened_key){0};
}

int
opened_key_open(
	const char *path, struct passphrase_source *pass, struct opened_key *out, struct err *e)
{
	AUTO_SECKEY struct seckey *secret = NULL;
	AUTO_JSON json_t *public = NULL;
	struct signer signer = {0};
	size_t len = strlen(path);
	uint8_t raw[32];

	if (len > strlen(".pub") && strcmp(path + len - strlen(".pub"), ".pub") == 0)
		return err_set(e, ERR_USAGE, "%s is a public key; its secret one signs, %.*s.key",
			path, (int)(len - strlen(".pub")), path);
	if (seckey_load(path, passphrase_ask, pass, &secret, e) < 0)
		return -1;
	seckey_public(secret, raw);
	if (pubkey_json_ed25519(raw, &public, e) < 0 || pubkey_id(public, signer.keyid, e) < 0)
		return err_context(e, "%s", path);
	signer.seckey = secret;
	signer.key = public;
	out->signer = signer;
	out->secret = TAKE_PTR(secret);
	out->public = TAKE_PTR(public);
	return 0;
}
