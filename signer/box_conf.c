#include "signer/box_conf.h"

#include <inttypes.h>

static int
identity_write(const struct box_conf *c, struct buf *out, struct err *e)
{
	return buf_printf(out, e,
		"# Box %s, made by `sluice box add`. This file and those beside it belong into\n"
		"# %s on the box, *.key readable by root only, and root.json to\n"
		"# %s/metadata/root.json. Then edit the slots.\n"
		"\n"
		"[box]\n"
		"id = %s\n"
		"# The class of hardware, which bundles and plans name.\n"
		"%scompatible = %s\n"
		"state_dir = %s\n"
		"# The plan that this box follows.\n"
		"plan = rollouts/%s.json\n"
		"report_key = %s/report.key\n",
		c->name, c->etc, c->state, c->name, *c->compatible ? "" : "#",
		*c->compatible ? c->compatible : "acme-gw3", c->state, c->plan, c->etc);
}

static int
tags_write(const struct box_conf *c, struct buf *out, struct err *e)
{
	const char *tag;
	json_t *value;

	if (buf_printf(out, e, "\n# What plans can choose boxes by.\n[tags]\n") < 0)
		return -1;
	json_object_foreach ((json_t *)(uintptr_t)c->tags, tag, value) {
		if (buf_printf(out, e, "%s = %s\n", tag, json_string_value(value)) < 0)
			return -1;
	}
	return 0;
}

static int
site_write(const struct workspace *w, const struct box_conf *c, struct buf *out, struct err *e)
{
	return buf_printf(out, e,
		"\n"
		"[site]\n"
		"url = %s\n"
		"report_url = %s\n"
		"ca = %s/ca.crt\n"
		"cert = %s/box.crt\n"
		"key = %s/box.key\n",
		w->site_url, w->report_url, c->etc, c->etc, c->etc);
}

static int
places_write(const struct box_conf *c, struct buf *out, struct err *e)
{
	return buf_printf(out, e,
		"\n"
		"# One section for each slot class that bundles write: type is block, file or "
		"dir.\n"
		"# read_only: the running slot is mounted read-only, so its digest can be "
		"checked.\n"
		"[slot rootfs]\n"
		"type = block\n"
		"a = /dev/disk/by-partlabel/rootfs-a\n"
		"b = /dev/disk/by-partlabel/rootfs-b\n"
		"read_only = yes\n"
		"\n"
		"[boot]\n"
		"backend = simulated\n"
		"file = %s/boot.env\n"
		"# How often a new system may try to come up before the old one is booted again.\n"
		"tries = 3\n"
		"# How to reboot into it; without this a person does.\n"
		"#reboot = systemctl reboot\n"
		"\n"
		"# Resets the box when a new system hangs before it is confirmed, so that it "
		"falls back.\n"
		"# always = yes: it guards confirmed systems too, as is right where the bootloader "
		"has\n"
		"# started it.\n"
		"#[watchdog]\n"
		"#device = /dev/watchdog0\n"
		"#timeout = 60s\n"
		"#always = no\n"
		"\n"
		"# Executables that have to succeed in a new system, within the deadline.\n"
		"[health]\n"
		"dir = %s/health.d\n"
		"\n"
		"# Executables in pre.d/ and post.d/, before and after an install; and those that "
		"may\n"
		"# say \"not now\".\n"
		"[hooks]\n"
		"dir = %s/hooks\n"
		"[inhibit]\n"
		"dir = %s/inhibit.d\n"
		"\n"
		"# How often to ask for updates; during one, how often for a stop.\n"
		"[intervals]\n"
		"poll = 15m\n"
		"stop_poll = 60s\n",
		c->state, c->etc, c->etc, c->etc);
}

int
box_conf_write(const struct workspace *w, const struct box_conf *c, struct buf *out, struct err *e)
{
	if (identity_write(c, out, e) < 0 || tags_write(c, out, e) < 0 ||
		site_write(w, c, out, e) < 0)
		return -1;
	return places_write(c, out, e);
}
