#include "agent/boot.h"

#include <string.h>

#include "common/base/num.h"

static const struct boot_backend *const BACKENDS[] = {
	&boot_grub, &boot_uboot, &boot_entries, &boot_efi, &boot_custom, &boot_simulated};

int
boot_backend_find(const struct conf *c, const struct boot_backend **out, struct err *e)
{
	const struct boot_backend *found = NULL;

	if (!c->boot_backend)
		found = &boot_links;
	for (size_t i = 0; i < ARRAY_LEN(BACKENDS) && !found; i++) {
		if (strcmp(BACKENDS[i]->name, c->boot_backend) == 0)
			found = BACKENDS[i];
	}
	if (!found)
		return err_set(e, ERR_USAGE,
			"agent.conf: [boot] backend = %s is not known; there are: grub, u-boot, "
			"systemd-boot, efi, custom, simulated",
			c->boot_backend);
	if (c->boot_tries > found->tries_max)
		return err_set(e, ERR_USAGE,
			"agent.conf: [boot] tries = %llu, but %s counts up to %llu",
			(unsigned long long)c->boot_tries, found->name,
			(unsigned long long)found->tries_max);
	*out = found;
	return 0;
}

const struct boot_backend *
boot_for(const struct boot_backend *boot, bool tree_only)
{
	return tree_only ? &boot_links : boot;
}

int
boot_check(const struct boot_backend *b, const struct conf *c, struct err *e)
{
	return b->check ? b->check(c, e) : 0;
}
