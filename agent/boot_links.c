/* Sides that are chosen by a symbolic link, for trees: one rename is the commit point. No
 * bootloader is asked, and nothing counts tries: the agent counts boots by itself (settle.h). */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot_vars.h"
#include "common/base/file.h"

/* The first class with a link: conf_load() saw to it that all such classes share it. */
static const struct slot_class *
linked_class(const struct conf *c, bool *shared)
{
	const struct slot_class *first = NULL;

	*shared = false;
	for (size_t i = 0; i < c->class_count; i++) {
		if (c->classes[i].current && first)
			*shared = true;
		else if (c->classes[i].current)
			first = &c->classes[i];
	}
	return first;
}

/* Where the link points for a side: the slot, or the folder of all slots of that side. */
static int
link_target(const struct conf *c, enum side s, char out[PATH_MAX], const char **link, struct err *e)
{
	bool shared;
	const struct slot_class *class = linked_class(c, &shared);

	if (!class)
		return err_set(e, ERR_USAGE, "agent.conf: no slot has current");
	(void)snprintf(out, PATH_MAX, "%s", class->path[s]);
	if (shared)
		*strrchr(out, '/') = 0;
	*link = class->current;
	return 0;
}

static int
links_current(const struct boot_backend *b, const struct conf *c, enum side *out, struct err *e)
{
	char now[PATH_MAX], target[PATH_MAX];
	const char *link;
	ssize_t len;

	(void)b;
	for (size_t i = 0; i < SIDES; i++) {
		if (link_target(c, (enum side)i, target, &link, e) < 0)
			return -1;
		len = readlink(link, now, sizeof(now) - 1);
		if (len < 0)
			return err_sys(e, errno, "reading the link %s (make it once: ln -s %s %s)",
				link, target, link);
		now[len] = 0;
		if (strcmp(now, target) == 0) {
			*out = (enum side)i;
			return 0;
		}
	}
	return err_set(e, ERR_SYSTEM, "the link %s points to %s, which is neither side", link, now);
}

static int
links_look(const struct boot_backend *b, const struct conf *c, enum side s, struct boot_side *out,
	struct err *e)
{
	char target[PATH_MAX];
	const char *link;

	(void)b;
	if (link_target(c, s, target, &link, e) < 0)
		return -1;
	*out = (struct boot_side){.bootable = file_exists(target), .confirmed = true};
	return 0;
}

/* What the link does not point to is off already. */
static int
links_disable(const struct boot_backend *b, const struct conf *c, enum side s, struct err *e)
{
	enum side now;

	if (links_current(b, c, &now, e) < 0)
		return -1;
	if (now == s)
		return err_set(e, ERR_REFUSED, "side %s is in use", side_name(s));
	return 0;
}

static int
links_switch(const struct boot_backend *b, const struct conf *c, enum side s, struct err *e)
{
	char target[PATH_MAX], temp[PATH_MAX];
	const char *link;
	enum side back;

	if (link_target(c, s, target, &link, e) < 0)
		return -1;
	if (snprintf(temp, sizeof(temp), "%s.new", link) >= (int)sizeof(temp))
		return err_set(e, ERR_SYSTEM, "the path %.64s... is too long", link);
	if (unlink(temp) < 0 && errno != ENOENT)
		return err_sys(e, errno, "removing %s", temp);
	if (symlink(target, temp) < 0)
		return err_sys(e, errno, "making the link %s", temp);
	/* The link must be on disk before it takes the place of the one that works. */
	if (dir_sync_parent(temp, e) < 0 || file_rename(temp, link, e) < 0 ||
		links_current(b, c, &back, e) < 0)
		return -1;
	if (back != s)
		return err_set(
			e, ERR_SYSTEM, "the link %s reads back other than it was made", link);
	return 0;
}

static int
links_activate(const struct boot_backend *b, const struct conf *c, enum side s, uint64_t tries,
	struct err *e)
{
	(void)tries;
	return links_switch(b, c, s, e);
}

static int
links_confirm(const struct boot_backend *b, const struct conf *c, enum side s, struct err *e)
{
	enum side now;

	if (links_current(b, c, &now, e) < 0)
		return -1;
	if (now != s)
		return err_set(e, ERR_REFUSED, "side %s is not in use", side_name(s));
	return 0;
}

const struct boot_backend boot_links = {
	.name = "links",
	.tries_max = UINT64_MAX,
	.current = links_current,
	.primary = links_current,
	.look = links_look,
	.disable = links_disable,
	.activate = links_activate,
	.confirm = links_confirm,
	.go_back = links_switch,
	.boot_id = boot_kernel_boot_id,
};
