/* Offline: the roots in a folder that somebody brought along. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "common/base/file.h"
#include "common/tuf/client.h"

/* dir/VERSION.root.json, which may be anything that somebody put there. *found false: nothing. */
static int
root_read(const char *dir, uint64_t version, char path[PATH_MAX], struct buf *out, bool *found,
	struct err *e)
{
	char name[40];

	(void)snprintf(name, sizeof(name), "%" PRIu64 ".root.json", version);
	if (path_join(path, PATH_MAX, dir, name, e) < 0)
		return -1;
	*found = file_exists(path);
	return *found ? file_read_regular(path, out, e) : 0;
}

int
tuf_take_roots(struct tuf_client *c, const char *dir, struct err *e)
{
	for (int taken = 0;; taken++) {
		AUTO_BUF struct buf text = BUF_INIT(TUF_ROOT_BYTES_MAX);
		char path[PATH_MAX];
		bool found;

		if (root_read(dir, c->root->version + 1, path, &text, &found, e) < 0)
			return -1;
		if (!found)
			return 0;
		if (taken == TUF_ROOT_ROTATIONS_MAX)
			return err_set(e, ERR_LIMIT, "%s: more than %d roots follow each other",
				dir, TUF_ROOT_ROTATIONS_MAX);
		if (tuf_take_root(c, buf_span(&text), e) < 0)
			return err_context(e, "%s", path);
	}
}
