/* Bootloaders: a small table of functions over each (DESIGN section 5). */
#ifndef SLUICE_AGENT_BOOT_H
#define SLUICE_AGENT_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/conf.h"
#include "common/base/err.h"
#include "common/format/report.h"

/* What the boot environment says of one side. */
struct boot_side {
	bool bootable;
	bool confirmed;	     /* not on trial */
	uint64_t tries_left; /* while on trial */
};

static inline bool
boot_side_may_boot(const struct boot_side *s)
{
	return s->bootable && (s->confirmed || s->tries_left > 0);
}

/* What a bootloader keeps in variables, however it spells them. */
struct boot_vars {
	enum side primary; /* what boots next */
	struct boot_side side[SIDES];
};

/* Every change is durable and was read back and compared when 0 is returned; ERR_SYSTEM when what
 * was read back differs. An environment that cannot be read or makes no sense is ERR_SYSTEM too
 * (no release is to blame for it) and is not changed. */
struct boot_backend {
	const char *name;
	uint64_t tries_max; /* how many tries it can count */
	/* A side whose tries are used up looks like one that was never activated. */
	bool forgets_tries;
	/* Never guessed. */
	int (*current)(
		const struct boot_backend *b, const struct conf *c, enum side *out, struct err *e);
	int (*primary)(
		const struct boot_backend *b, const struct conf *c, enum side *out, struct err *e);
	int (*look)(const struct boot_backend *b, const struct conf *c, enum side s,
		struct boot_side *out, struct err *e);
	/* Mark not bootable. ERR_REFUSED for the last side that can boot. */
	int (*disable)(
		const struct boot_backend *b, const struct conf *c, enum side s, struct err *e);
	/* Make s the next to boot, tries times at most, then the other side. One atomic change. */
	int (*activate)(const struct boot_backend *b, const struct conf *c, enum side s,
		uint64_t tries, struct err *e);
	int (*confirm)(
		const struct boot_backend *b, const struct conf *c, enum side s, struct err *e);
	/* Make s, confirmed before, the next to boot, and mark the other not bootable: one change.
	 */
	int (*go_back)(
		const struct boot_backend *b, const struct conf *c, enum side s, struct err *e);
	/* Make s, which runs whatever the environment says of it, the confirmed one and the next to
	 * boot, and mark the other not bootable: one change. NULL where what runs is never off. */
	int (*adopt)(
		const struct boot_backend *b, const struct conf *c, enum side s, struct err *e);
	int (*boot_id)(const struct boot_backend *b, const struct conf *c,
		char out[BOOT_ID_MAX + 1], struct err *e);
	/* For those of BOOT_BY_VARS: all of the variables, past any cache; NULL for others. */
	int (*load)(const struct conf *c, struct boot_vars *out, struct err *e);
	int (*save)(const struct conf *c, const struct boot_vars *vars, struct err *e);
	/* Make the variables where there are none, this side confirmed and the other off; NULL
	 * where there is nothing to make. ERR_REFUSED where there are some. */
	int (*make)(const struct conf *c, enum side s, struct err *e);
	/* Writes anew what is lost of the variables, from what is left, and changes nothing else.
	 * NULL where there is no second copy, or it is not seen to be lost. */
	int (*mend)(const struct conf *c, struct err *e);
	/* Whether the bootloader will do what its variables say, as far as it can be seen here:
	 * ERR_SYSTEM, saying what to write, where it will not. NULL where nothing can be seen. */
	int (*check)(const struct conf *c, struct err *e);
};

/* check(), where there is one: for whoever is about to rely on the bootloader. Going back and
 * confirming do not ask, for what they write is better than what stands there. */
int boot_check(const struct boot_backend *b, const struct conf *c, struct err *e);

/* The backend that agent.conf names; boot_links where it names none, for then all its slots are
 * switched by a link. ERR_USAGE for a name not known. */
int boot_backend_find(const struct conf *c, const struct boot_backend **out, struct err *e);

/* What switches the slots of an update: boot, or boot_links for one of trees only. */
const struct boot_backend *boot_for(const struct boot_backend *boot, bool tree_only);

extern const struct boot_backend boot_simulated, boot_grub, boot_uboot, boot_entries, boot_efi,
	boot_custom;

/* The sides of slots that have `current`: chosen by the link, not by a bootloader. Nothing reboots
 * for it: current is the new side as soon as activate returns. */
extern const struct boot_backend boot_links;

#endif
