/* The simulated boot environment: a text file that plays the part of a bootloader's variables.
 *
 *     primary=A            what boots next, as long as it can
 *     a_bootable=yes  a_confirmed=yes  a_tries=0      (a line each; the same for b)
 *     booted=A             what runs now, and its boot_id: the bootloader player writes these two,
 *     boot_id=...          the agent all others
 *
 * Every key exactly once, in any order, nothing else. The file is replaced as a whole. */
#ifndef SLUICE_AGENT_BOOT_ENV_H
#define SLUICE_AGENT_BOOT_ENV_H

#include "agent/boot.h"
#include "common/base/buf.h"

struct boot_env {
	struct boot_vars vars;
	enum side booted;
	char boot_id[BOOT_ID_MAX + 1];
};

/* text[len] is a zero byte; text is cut up. ERR_MALFORMED naming the line for anything that is not
 * as above. */
int boot_env_parse(char *text, size_t len, struct boot_env *out, struct err *e);
int boot_env_format(const struct boot_env *env, struct buf *out, struct err *e);

/* ERR_SYSTEM naming the line for anything that is not as above. */
int boot_env_load(const char *path, struct boot_env *out, struct err *e);

/* Durable, read back and compared when 0 is returned. */
int boot_env_save(const char *path, const struct boot_env *env, struct err *e);

/* What a bootloader does at power-on: takes one try of the primary side where that is on trial, or
 * the other side where the primary cannot boot. Writes booted and boot_id. ERR_REFUSED when neither
 * side can boot. */
int boot_env_power_on(struct boot_env *env, const char *boot_id, struct err *e);

#endif
