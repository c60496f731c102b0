#include "signer/bulk.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/limits.h"
#include "signer/place.h"
#include "signer/push.h"

int
bulk_lock(const struct workspace *w, bool waits, int *lock, struct err *e)
{
	return workspace_lock(w, "bulk.lock", "another sluice publisher, copying large files",
		waits ? BULK_WAIT_MS : 0, lock, e);
}

/* names: of what is to be pushed. */
static int
carry_one(const struct incoming *in, const char *path, const json_t *entry, json_t *carried,
	struct buf *names, struct err *e)
{
	struct err why = ERR_INIT;
	char name[PATH_MAX];
	bool there;
	json_t *done;

	if (place_site_name(in->site, path, entry, name, &there, e) < 0)
		return -1;
	if (json_object_get(carried, name))
		return 0;
	if (place_target(in->workspace, in->site, path, entry, &why) < 0)
		done = json_string(why.text);
	else
		done = json_true();
	if (json_object_set_new(carried, name, done) < 0)
		return err_sys(e, ENOMEM, "%s", path);
	return json_is_true(done) ? buf_printf(names, e, "%s\n", name) : 0;
}

int
bulk_carry(const struct incoming *in, json_t *carried, struct err *e)
{
	AUTO_BUF struct buf names = BUF_INIT(PUSH_LIST_BYTES_MAX);

	for (size_t i = 0; i < in->count; i++) {
		const char *path;
		json_t *entry;

		if (in->roles[i].state != INCOMING_DEFERRED)
			continue;
		json_object_foreach (in->roles[i].bulk, path, entry) {
			if (carry_one(in, path, entry, carried, &names, e) < 0)
				return -1;
		}
	}
	return push_bulk(in->workspace, &names, e);
}

/* With root_waits a next root counts as one that takes the publisher's keys away. */
static int
look(const struct workspace *w, const struct site *s, bool root_waits, struct incoming *out,
	struct err *e)
{
	AUTO_INCOMING struct incoming in = {0};

	if (incoming_read(w, s, &in, e) < 0)
		return -1;
	if (root_waits)
		in.online_snapshot = in.online_timestamp = "none";
	/* The publisher places what is small, under its own lock. */
	in.only_looks = true;
	if (incoming_judge(&in, clock_wall_s(), e) < 0)
		return -1;
	*out = in;
	in = (struct incoming){0};
	return 0;
}

int
bulk_run(const struct workspace *w, json_t **carried, struct err *e)
{
	AUTO_CLOSE int lock = -1;
	AUTO_SITE struct site s = {0};
	AUTO_INCOMING struct incoming in = {0}, before = {0};
	AUTO_JSON json_t *done = json_object();

	if (bulk_lock(w, true, &lock, e) < 0 || site_open(w, &s, e) < 0 ||
		look(w, &s, false, &in, e) < 0)
		return -1;
	/* Which online keys the publisher has nobody can tell here: what it has deferred may go by
	 * the root in force, while the next one waits for it to get others. */
	if (s.root && in.root != s.root && look(w, &s, true, &before, e) < 0)
		return -1;
	if (bulk_carry(&in, done, e) < 0 || (before.workspace && bulk_carry(&before, done, e) < 0))
		return err_context(e, "large content did not get to where it is served, and what "
				      "lists it waits");
	if (json_object_size(done) == 0 && s.snapshot &&
		push_listed_bulk(w, &s, s.snapshot->verified.body, NULL, e) < 0)
		return err_context(e, "large content may be missing where it is served");
	*carried = json_incref(done);
	return 0;
}
