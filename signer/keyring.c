#include "signer/keyring.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/text.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "common/limits.h"

void
keyring_free(struct keyring *k)
{
	json_decref(k->names);
	*k = (struct keyring){0};
}

struct adding {
	json_t *names;
	const char *dir;
};

static int
add_file(void *arg, const char *file, struct err *e)
{
	struct adding *a = arg;
	AUTO_JSON json_t *key = NULL;
	char path[PATH_MAX], id[DIGEST_HEX_SIZE];
	json_t *name;

	if (!text_ends_with(file, ".pub") ||
		path_join(path, sizeof(path), a->dir, file, NULL) < 0 ||
		pubkey_file_load(path, &key, NULL) < 0 || pubkey_id(key, id, NULL) < 0 ||
		json_object_get(a->names, id))
		return 0;
	/* It is printed as it is. */
	name = name_is_plain(file) ? json_stringn(file, strlen(file) - strlen(".pub"))
				   : json_string("(odd name)");
	if (json_object_set_new(a->names, id, name) < 0)
		return err_sys(e, ENOMEM, "%s", path);
	return 0;
}

int
keyring_add(struct keyring *k, const char *dir, struct err *e)
{
	struct adding a = {.dir = dir};

	if (!k->names)
		k->names = json_object();
	a.names = k->names;
	if (!a.names)
		return err_sys(e, ENOMEM, "the keys in %s", dir);
	if (!file_exists(dir))
		return 0;
	return dir_each(dir, KEY_FILES_MAX, add_file, &a, e);
}

const char *
keyring_name(const struct keyring *k, const char *keyid)
{
	return json_string_value(json_object_get(k->names, keyid));
}
