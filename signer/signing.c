#include "signer/signing.h"

#include <string.h>

#include "common/base/num.h"
#include "common/base/text.h"
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
	case OPT_SIGN_WITH:
		s->sign_with = argument;
		return 0;
	case OPT_DRAFT:
		s->draft = true;
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

int
signing_options(int argc, char **argv, const struct option *known, struct signing *s, struct err *e)
{
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (signing_option(s, option, optarg, e) < 0)
			return -1;
	}
	return 0;
}

int
signing_check(const struct signing *s, const char *whose, struct err *e)
{
	if (s->draft && (s->key || s->sign_with))
		return err_set(e, ERR_USAGE,
			"--draft means that nobody signs here, so --key and --sign-with are out of "
			"place");
	if (s->sign_with && !s->key)
		return err_set(e, ERR_USAGE,
			"--sign-with needs --key K.pub beside it: the public half, %s", whose);
	if (!s->key && !s->draft)
		return err_set(e, ERR_USAGE, "--key is missing: %s", whose);
	return 0;
}

void
opened_key_close(struct opened_key *k)
{
	seckey_free(&k->secret);
	json_decref(k->public);
	*k = (struct opened_key){0};
}

int
opened_key_outside(const char *path, const char *command, struct opened_key *out, struct err *e)
{
	AUTO_JSON json_t *public = NULL;
	struct signer signer = {.command = command};

	if (pubkey_file_load(path, &public, e) < 0)
		return err_context(e, "--sign-with goes with the public half of the key");
	if (pubkey_id(public, signer.keyid, e) < 0)
		return err_context(e, "%s", path);
	signer.key = public;
	*out = (struct opened_key){.public = TAKE_PTR(public), .signer = signer};
	return 0;
}

int
opened_key_open(
	const char *path, struct passphrase_source *pass, struct opened_key *out, struct err *e)
{
	AUTO_SECKEY struct seckey *secret = NULL;
	AUTO_JSON json_t *public = NULL;
	struct signer signer = {0};
	uint8_t raw[32];

	if (text_ends_with(path, ".pub"))
		return err_set(e, ERR_USAGE,
			"%s is a public key; its secret one signs, %.*s.key, or a device that "
			"--sign-with asks",
			path, (int)(strlen(path) - strlen(".pub")), path);
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

int
signing_open(struct signing *s, struct opened_key *out, struct err *e)
{
	if (s->draft)
		return 0;
	return s->sign_with ? opened_key_outside(s->key, s->sign_with, out, e)
			    : opened_key_open(s->key, &s->pass, out, e);
}
