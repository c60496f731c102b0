#include "signer/hand.h"

#include <string.h>

void
hand_close(struct hand *h)
{
	for (size_t i = 0; i < h->opened; i++)
		opened_key_close(&h->key[i]);
	h->opened = 0;
}

int
hand_add(struct hand *h, const char *path, struct err *e)
{
	if (h->count == HAND_KEYS_MAX)
		return err_set(e, ERR_USAGE, "more than %d keys to sign with", HAND_KEYS_MAX);
	for (size_t i = 0; i < h->count; i++) {
		if (strcmp(h->path[i], path) == 0)
			return 0;
	}
	h->path[h->count++] = path;
	return 0;
}

int
hand_sign_with(struct hand *h, const char *command, struct err *e)
{
	if (h->count == 0 || h->sign_with[h->count - 1])
		return err_set(e, ERR_USAGE,
			"--sign-with goes behind the --key K.pub that the command signs for");
	h->sign_with[h->count - 1] = command;
	return 0;
}

int
hand_open(struct hand *h, struct passphrase_source *pass, struct err *e)
{
	for (; h->opened < h->count; h->opened++) {
		size_t i = h->opened;

		if ((h->sign_with[i]
				    ? opened_key_outside(h->path[i], h->sign_with[i], &h->key[i], e)
				    : opened_key_open(h->path[i], pass, &h->key[i], e)) < 0)
			return -1;
	}
	return 0;
}

int
hand_check(const struct hand *h, const struct metadata *a, const struct metadata *b, struct err *e)
{
	for (size_t i = 0; i < h->opened; i++) {
		if (metadata_check_signer(a, &h->key[i].signer, NULL) < 0 &&
			(!b || metadata_check_signer(b, &h->key[i].signer, NULL) < 0))
			return err_set(e, ERR_REFUSED,
				"%s (key %.16s) has no say here: it is not one of the role %s%s%s",
				h->path[i], h->key[i].signer.keyid, a->role, b ? " or " : "",
				b ? b->role : "");
	}
	return 0;
}

int
hand_sign(const struct hand *h, const struct workspace *w, struct metadata *m, struct err *e)
{
	const struct signer nobody = {0};
	bool any = false;

	if (metadata_prepare(w, m, e) < 0)
		return -1;
	for (size_t i = 0; i < h->opened; i++) {
		if (metadata_check_signer(m, &h->key[i].signer, NULL) < 0)
			continue;
		if (metadata_sign(w, m, &h->key[i].signer, e) < 0)
			return -1;
		any = true;
	}
	return any ? 0 : metadata_sign(w, m, &nobody, e);
}
