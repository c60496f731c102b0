/* What all bootloaders with variables share: the six changes, each loaded, made, saved, read back
 * and compared; and what the kernel says of the boot. */
#ifndef SLUICE_AGENT_BOOT_VARS_H
#define SLUICE_AGENT_BOOT_VARS_H

#include "agent/boot.h"

int boot_vars_primary(
	const struct boot_backend *b, const struct conf *c, enum side *out, struct err *e);
int boot_vars_look(const struct boot_backend *b, const struct conf *c, enum side s,
	struct boot_side *out, struct err *e);
int boot_vars_disable(
	const struct boot_backend *b, const struct conf *c, enum side s, struct err *e);
int boot_vars_activate(const struct boot_backend *b, const struct conf *c, enum side s,
	uint64_t tries, struct err *e);
int boot_vars_confirm(
	const struct boot_backend *b, const struct conf *c, enum side s, struct err *e);
int boot_vars_go_back(
	const struct boot_backend *b, const struct conf *c, enum side s, struct err *e);
int boot_vars_adopt(const struct boot_backend *b, const struct conf *c, enum side s, struct err *e);

/* The members of a struct boot_backend that has load and save. */
#define BOOT_BY_VARS                                                                               \
	.primary = boot_vars_primary, .look = boot_vars_look, .disable = boot_vars_disable,        \
	.activate = boot_vars_activate, .confirm = boot_vars_confirm,                              \
	.go_back = boot_vars_go_back, .adopt = boot_vars_adopt

/* Whether the bootloader will do the same with the one as with the other. */
bool boot_vars_same(const struct boot_vars *a, const struct boot_vars *b);

/* Whether what boots next was confirmed: nothing is on trial, and no older state is to come back.
 */
static inline bool
boot_vars_settled(const struct boot_vars *v)
{
	return v->side[v->primary].bootable && v->side[v->primary].confirmed;
}

/* A side's name in a boot environment: A or B. ERR_MALFORMED for anything else. */
int boot_side_parse(const char *text, enum side *out, struct err *e);

/* How boot environments spell a side's state: off, try or good; the tries go beside it. */
const char *boot_state_word(const struct boot_side *s);
/* ERR_MALFORMED for another word, and for tries that are no number from 0 to tries_max. */
int boot_state_parse(const char *word, const char *tries, uint64_t tries_max, struct boot_side *out,
	struct err *e);

/* The side that the kernel was started from: the one word sluice.slot=A or =B that the boot script
 * put on its command line. ERR_SYSTEM for none, two, or another value. */
int boot_kernel_current(
	const struct boot_backend *b, const struct conf *c, enum side *out, struct err *e);

/* Whether [boot] cmdline says, by itself or by default, that it is about the machine that runs
 * here. Else another's disk is looked at, or a test played. */
bool boot_kernel_is_here(const struct conf *c);

/* The kernel's own id of this boot. */
int boot_kernel_boot_id(const struct boot_backend *b, const struct conf *c,
	char out[BOOT_ID_MAX + 1], struct err *e);

#endif
