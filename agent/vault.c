#include "agent/vault.h"

#include <errno.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/num.h"
#include "common/limits.h"

static const char *const ROLES[VAULT_ROLES] = {"targets", "snapshot", "timestamp"};

static bool *
gone_of(struct vault *v, const char *role)
{
	for (size_t i = 0; i < ARRAY_LEN(ROLES); i++) {
		if (strcmp(role, ROLES[i]) == 0)
			return &v->gone[i];
	}
	return NULL;
}

/* Of what was verified before; 0 where that is not what it was. */
static json_int_t
root_version(struct span bytes)
{
	AUTO_JSON json_t *root = NULL;
	struct err e;

	if (json_parse(bytes, "root.json", &root, &e) < 0)
		return 0;
	return json_integer_value(json_object_get(json_object_get(root, "signed"), "version"));
}

/* Another process has brought a newer one to the disk, and has dropped what that makes void. */
static bool
root_is_overtaken(struct vault *v)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_ROOT_BYTES_MAX);
	struct tuf_store disk = tuf_store_dir(v->dir);
	struct err e;

	if (disk.load(disk.arg, "root", &bytes, &e) < 0 ||
		root_version(buf_span(&bytes)) <= root_version(buf_span(&v->root)))
		return false;
	log_notice("another process has kept a newer root");
	buf_clear(&v->root);
	memset(v->gone, 0, sizeof(v->gone));
	return true;
}

static int
vault_load(void *arg, const char *role, struct buf *out, struct err *e)
{
	struct vault *v = arg;
	struct tuf_store disk = tuf_store_dir(v->dir);
	const bool *gone = gone_of(v, role);

	if (gone && *gone)
		return err_sys(e, ENOENT, "%s", role);
	if (strcmp(role, "root") == 0 && v->root.len > 0 && !root_is_overtaken(v))
		return buf_append(out, v->root.data, v->root.len, e);
	return disk.load(disk.arg, role, out, e);
}

static int
vault_drop(void *arg, const char *role, struct err *e)
{
	struct vault *v = arg;
	struct tuf_store disk = tuf_store_dir(v->dir);
	bool *gone = gone_of(v, role);
	struct err why;
	int rc = disk.drop(disk.arg, role, &why);

	if (gone)
		*gone = rc < 0;
	if (rc == 0)
		return 0;
	if (!gone) {
		*e = why;
		return -1;
	}
	log_warning("going on all the same: %s", why.text);
	return 0;
}

/* What was dropped goes first: with the root alone, wrong versions would stay in force for good. */
static int
root_write(struct vault *v, struct span bytes, struct err *e)
{
	struct tuf_store disk = tuf_store_dir(v->dir);

	for (size_t i = 0; i < ARRAY_LEN(ROLES); i++) {
		if (!v->gone[i])
			continue;
		if (disk.drop(disk.arg, ROLES[i], e) < 0)
			return -1;
		v->gone[i] = false;
	}
	return disk.save(disk.arg, "root", bytes, e);
}

static int
root_save(struct vault *v, struct span bytes, struct err *e)
{
	struct err why;

	buf_clear(&v->root);
	if (root_write(v, bytes, &why) == 0)
		return 0;
	log_error("a new root is trusted, and not kept: %s", why.text);
	return buf_append(&v->root, bytes.data, bytes.len, e);
}

static int
vault_save(void *arg, const char *role, struct span bytes, struct err *e)
{
	struct vault *v = arg;
	struct tuf_store disk = tuf_store_dir(v->dir);
	bool *gone = gone_of(v, role);
	struct err why;

	if (strcmp(role, "root") == 0)
		return root_save(v, bytes, e);
	if (disk.save(disk.arg, role, bytes, &why) < 0)
		log_warning("going on without: %s", why.text);
	else if (gone)
		*gone = false;
	return 0;
}

struct tuf_store
vault_store(struct vault *v)
{
	return (struct tuf_store){
		.load = vault_load,
		.save = vault_save,
		.drop = vault_drop,
		.arg = v,
	};
}

int
vault_init(struct vault *v, const char *state_dir, struct err *e)
{
	*v = (struct vault){.root = BUF_INIT(TUF_ROOT_BYTES_MAX)};
	return path_join(v->dir, sizeof(v->dir), state_dir, "metadata", e);
}

void
vault_free(struct vault *v)
{
	buf_free(&v->root);
}

int
vault_settle(struct vault *v, struct err *e)
{
	if (v->root.len == 0)
		return 0;
	if (root_is_overtaken(v))
		return err_set(e, ERR_SYSTEM, "the next poll is by the newer root on the disk");
	if (root_write(v, buf_span(&v->root), e) < 0)
		return err_context(
			e, "the new root is not kept, and nothing is started or confirmed by it");
	log_notice("the new root is kept now");
	buf_clear(&v->root);
	return 0;
}
