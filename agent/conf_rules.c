#include "agent/conf_rules.h"

#include <stdio.h>
#include <string.h>

struct rules {
	const struct conf *c;
	conf_complain_fn *complain;
	const void *arg;
	struct err *e;
};

static int
section_error(const struct rules *r, const char *section, const char *what)
{
	return r->complain(r->arg, section, what, r->e);
}

static int
class_error(const struct rules *r, const struct slot_class *class, const char *what)
{
	char section[NAME_BYTES_MAX + 8];

	(void)snprintf(section, sizeof(section), "slot %s", class->name);
	return section_error(r, section, what);
}

/* The folder of an absolute path: how many of its characters. */
static size_t
folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == path ? 1 : (size_t)(slash - path);
}

static bool
same_folder(const char *a, const char *b)
{
	return folder_len(a) == folder_len(b) && strncmp(a, b, folder_len(a)) == 0;
}

/* Two classes that are switched by a link share it, for one rename can switch only one; and then
 * the folder that the link points to has to hold both. */
static int
links_check(const struct rules *r, const struct slot_class *a, const struct slot_class *b)
{
	if (!a->current || !b->current)
		return 0;
	if (strcmp(a->current, b->current) != 0)
		return class_error(r, b,
			"current differs from another slot's: one rename switches all trees, so "
			"all have the same link");
	if (!same_folder(a->path[SIDE_A], b->path[SIDE_A]) ||
		!same_folder(a->path[SIDE_B], b->path[SIDE_B]) ||
		same_folder(a->path[SIDE_A], a->path[SIDE_B]))
		return class_error(r, b,
			"current is another slot's too, so their a must stand side by side in one "
			"folder, and their b in another");
	return 0;
}

static int
pair_check(const struct rules *r, const struct slot_class *a, const struct slot_class *b)
{
	for (size_t i = 0; i < SIDES; i++) {
		for (size_t j = 0; j < SIDES; j++) {
			if (strcmp(a->path[i], b->path[j]) == 0)
				return class_error(
					r, b, "a or b is the same place as another slot's");
		}
	}
	return links_check(r, a, b);
}

static int
class_check(const struct rules *r, const struct slot_class *class)
{
	if (strcmp(class->path[SIDE_A], class->path[SIDE_B]) == 0)
		return class_error(r, class, "a and b are the same place");
	if (class->current && class->type != SLOT_DIR)
		return class_error(r, class, "current is for type = dir");
	if (class->read_only && class->type == SLOT_DIR)
		return class_error(r, class, "read_only is for type = block and type = file");
	return 0;
}

static int
classes_check(const struct rules *r)
{
	const struct conf *c = r->c;

	if (c->class_count == 0)
		return section_error(r, "slot NAME", "is missing: a box has at least one");
	for (size_t i = 0; i < c->class_count; i++) {
		if (class_check(r, &c->classes[i]) < 0)
			return -1;
	}
	for (size_t i = 0; i < c->class_count; i++) {
		for (size_t j = i + 1; j < c->class_count; j++) {
			if (pair_check(r, &c->classes[i], &c->classes[j]) < 0)
				return -1;
		}
	}
	return 0;
}

static int
boot_check(const struct rules *r)
{
	const struct conf *c = r->c;

	for (size_t i = 0; i < c->class_count && !c->boot_backend; i++) {
		if (!c->classes[i].current)
			return section_error(r, "boot",
				"backend is missing: a slot without current is switched by the "
				"bootloader");
	}
	if (c->boot_backend && !c->boot_file && strcmp(c->boot_backend, "u-boot") != 0 &&
		strcmp(c->boot_backend, "efi") != 0)
		return section_error(
			r, "boot", "file is missing: it says where the bootloader's variables are");
	return 0;
}

static int
site_check(const struct rules *r)
{
	const struct conf *c = r->c;

	if (c->mirrors && !c->site_url)
		return section_error(r, "site", "mirrors needs url, which is asked first");
	if (c->targets_url && !c->site_url)
		return section_error(r, "site", "targets_url needs url, which has the rest");
	if (c->targets_url && strncmp(c->targets_url, "https://", 8) != 0)
		return section_error(r, "site", "targets_url must be https://");
	if (c->site_url && !c->plan)
		return section_error(r, "box", "plan is missing: [site] url needs it");
	if (!c->tls_cert != !c->tls_key)
		return section_error(r, "site", "cert and key need each other");
	if (c->report_url && (!c->tls_cert || !c->report_key))
		return section_error(
			r, "site", "report_url needs cert and key, and [box] report_key");
	if (c->report_url && strncmp(c->report_url, "https://", 8) != 0)
		return section_error(r, "site", "report_url must be https://");
	return 0;
}

static int
downloads_check(const struct rules *r)
{
	const struct conf *c = r->c;

	if (c->downloads.days != 0 && c->downloads.length_s == 0)
		return section_error(r, "downloads", "hours is missing: days is about it");
	if (c->proxy && !c->site_url)
		return section_error(r, "site", "proxy needs url");
	return 0;
}

static int
watchdog_check(const struct rules *r)
{
	if (r->c->watchdog_always && !r->c->watchdog_device)
		return section_error(r, "watchdog", "device is missing: always is about it");
	return 0;
}

int
conf_rules_check(const struct conf *c, conf_complain_fn *complain, const void *arg, struct err *e)
{
	struct rules r = {c, complain, arg, e};

	if (classes_check(&r) < 0 || boot_check(&r) < 0 || watchdog_check(&r) < 0 ||
		downloads_check(&r) < 0)
		return -1;
	return site_check(&r);
}
