/* A store that is a folder. Role names are quoted like in a URL, so that none leaves it. */
#include <limits.h>
#include <stdio.h>

#include "common/base/file.h"
#include "common/tuf/path.h"
#include "common/tuf/tuf.h"

static int
store_path(const char *dir, const char *role, char out[PATH_MAX], struct err *e)
{
	AUTO_BUF struct buf name = BUF_INIT(NAME_MAX);

	if (path_quote(role, false, &name, e) < 0 ||
		buf_append(&name, ".json", sizeof(".json") - 1, e) < 0)
		return err_context(e, "the name of a role");
	return path_join(out, PATH_MAX, dir, buf_str(&name), e);
}

static int
store_load(void *arg, const char *role, struct buf *out, struct err *e)
{
	char path[PATH_MAX];

	if (store_path(arg, role, path, e) < 0)
		return -1;
	return file_read_regular(path, out, e);
}

static int
store_save(void *arg, const char *role, struct span bytes, struct err *e)
{
	char path[PATH_MAX];

	if (store_path(arg, role, path, e) < 0)
		return -1;
	return file_replace(path, 0644, bytes, e);
}

static int
store_drop(void *arg, const char *role, struct err *e)
{
	char path[PATH_MAX];

	if (store_path(arg, role, path, e) < 0)
		return -1;
	return file_remove(path, e);
}

struct tuf_store
tuf_store_dir(const char *dir)
{
	return (struct tuf_store){
		.load = store_load,
		.save = store_save,
		.drop = store_drop,
		.arg = (void *)(uintptr_t)dir,
	};
}
