#include "agent/delta_find.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"

/* What runs, of the slots that the bootloader switches or of those that a link does. */
static int
running_of(const struct box *b, bool tree_only, enum side *side, const struct release **out,
	struct err *e)
{
	const struct boot_backend *boot = boot_for(b->boot, tree_only);

	if (boot->current(boot, &b->conf, side, e) < 0)
		return -1;
	*out = tree_only ? &b->state->linked[*side] : &b->state->running[*side];
	return 0;
}

/* Whether it leads from what runs to the bundle. */
static bool
is_ours(const struct delta_offer *o, const struct release *from, const struct listing *bundle,
	const char *path)
{
	if (digest_equal(&o->listing.from, &from->manifest) &&
		digest_equal(&o->listing.to, &bundle->manifest_sha256))
		return true;
	log_detail("%s is made from another %s, or for another %s, than this box has to do with",
		path, from->version, bundle->version);
	return false;
}

/* *out has its url where there is one. */
static int
look_up(struct poller *p, const struct release *from, const struct listing *bundle,
	const struct keep_going *keep_going, struct delta_offer *out, struct err *e)
{
	AUTO_TARGET struct tuf_target t = {0};
	AUTO_BUF struct buf url = BUF_INIT(4 * TUF_PATH_MAX);
	char path[TUF_PATH_MAX];
	bool found;

	if (delta_path(bundle->name, bundle->version, from->version, path, e) < 0 ||
		poller_find(p, path, keep_going, &t, &url, &found, e) < 0)
		return -1;
	if (!found)
		return 0;
	if (delta_listing_parse(t.custom, &out->listing, e) < 0)
		return err_context(e, "%s", path);
	if (!is_ours(out, from, bundle, path))
		return 0;
	out->length = t.length;
	out->url = (char *)buf_take(&url, NULL);
	return 0;
}

void
delta_find(struct poller *p, const struct box *b, const struct listing *bundle,
	const struct keep_going *keep_going, struct delta_offer *out)
{
	*out = (struct delta_offer){0};
	for (int tree_only = 0; tree_only < 2; tree_only++) {
		const struct release *from;
		struct err why = ERR_INIT;

		if (running_of(b, tree_only, &out->side, &from, &why) < 0 || !from->known ||
			strcmp(from->name, bundle->name) != 0)
			continue;
		if (look_up(p, from, bundle, keep_going, out, &why) < 0)
			log_warning("%s", why.text);
		if (!out->url)
			continue;
		out->tree_only = tree_only;
		(void)snprintf(out->version, sizeof(out->version), "%s", from->version);
		return;
	}
}
