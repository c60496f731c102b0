#include "agent/local.h"

#include <errno.h>
#include <string.h>

#include "agent/decide.h"
#include "common/base/file.h"
#include "common/base/num.h"

int
local_metadata_dir(const struct conf *c, char *out, struct err *e)
{
	return path_join(out, PATH_MAX, c->state_dir, "metadata", e);
}

/* Remembers the newest of "targets.json" (0) and "N.targets.json". */
struct newest {
	bool found;
	uint64_t version;
	char name[NAME_BYTES_MAX + 1];
};

static int
newest_look(void *arg, const char *name, struct err *e)
{
	struct newest *n = arg;
	const char *suffix = strstr(name, "targets.json");
	char number[24];
	uint64_t version = 0;

	(void)e;
	if (!suffix || strcmp(suffix, "targets.json") != 0 || strlen(name) > NAME_BYTES_MAX)
		return 0;
	if (suffix != name) {
		size_t digits = (size_t)(suffix - name) - 1;

		if (suffix[-1] != '.' || digits >= sizeof(number))
			return 0;
		memcpy(number, name, digits);
		number[digits] = 0;
		if (num_parse(number, 1, INT64_MAX, &version, NULL) < 0)
			return 0;
	}
	if (n->found && version <= n->version)
		return 0;
	n->found = true;
	n->version = version;
	memcpy(n->name, name, strlen(name) + 1);
	return 0;
}

static int
targets_take(struct tuf_client *client, const char *dir, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	struct newest newest = {0};
	char path[PATH_MAX];

	if (dir_each(dir, METADATA_FILES_MAX, newest_look, &newest, e) < 0)
		return -1;
	if (!newest.found)
		return 0;
	if (path_join(path, sizeof(path), dir, newest.name, e) < 0 ||
		file_read_regular(path, &text, e) < 0)
		return -1;
	return tuf_take_targets(client, buf_span(&text), e) < 0 ? err_context(e, "%s", path) : 0;
}

int
local_trust_open(const struct tuf_store *store, struct tuf_client **out, struct err *e)
{
	if (tuf_open(store, out, e) == 0)
		return 0;
	if (e && e->errnum == ENOENT)
		return err_context(e,
			"this box trusts nobody yet (it is given the root.json that `sluice box "
			"add` makes)");
	return -1;
}

int
local_releases(const struct tuf_store *store, const char *dir, struct tuf_floor *seen,
	struct tuf_client **client, struct role_keys *out, struct err *e)
{
	AUTO_TUF struct tuf_client *c = NULL;

	if (local_trust_open(store, &c, e) < 0)
		return -1;
	tuf_hold(c, seen);
	if (dir && (tuf_take_roots(c, dir, e) < 0 || targets_take(c, dir, e) < 0))
		return -1;
	*seen = tuf_floor_of(c);
	if (tuf_delegation(c, "releases", out, e) < 0)
		return err_context(e, "who may release for this box (--metadata DIR brings it "
				      "along)");
	*client = c;
	c = NULL;
	return 0;
}

int
local_stop_check(const struct conf *c, const struct state *s, struct err *e)
{
	char gate_path[TUF_PATH_MAX + 1];

	gate_path_of(c->plan, gate_path);
	return decide_no_stop(s, gate_path, e) < 0
		       ? err_context(e, "the stop has to be lifted first")
		       : 0;
}
