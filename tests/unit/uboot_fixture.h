/* A U-Boot environment in two files, and the configuration that names them, in the test's folder.
 */
#ifndef SLUICE_TESTS_UNIT_UBOOT_FIXTURE_H
#define SLUICE_TESTS_UNIT_UBOOT_FIXTURE_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/boot.h"
#include "tests/unit/folder.h"

/* Last, for it makes macros of words in small letters. */
#include <zlib.h>

enum { UBOOT_ENV_BYTES = 4096 };

/* A blank U-Boot environment: CRC-32, flag (the higher of two is in force), texts. */
static inline void
uboot_put(const char *path, uint8_t flag, const char *text, size_t len)
{
	uint8_t env[UBOOT_ENV_BYTES] = {0};
	unsigned long crc;

	memcpy(env + 5, text, len);
	env[4] = flag;
	crc = crc32(0, env + 5, sizeof(env) - 5);
	for (int i = 0; i < 4; i++)
		env[i] = (uint8_t)(crc >> 8 * i);
	assert_int_equal(folder_put(path, env, sizeof(env)), 0);
}

/* conf->boot_file is the configuration. Side A is confirmed, side B off. */
static inline void
uboot_begin(const struct conf *conf)
{
	char config[1024], here[256];
	struct err e = ERR_INIT;

	assert_non_null(getcwd(here, sizeof(here)));
	(void)snprintf(config, sizeof(config),
		"# two of them\n%s/one 0x0 0x1000\n%s/two 0x0 0x1000\n", here, here);
	assert_int_equal(folder_put(conf->boot_file, config, strlen(config)), 0);
	uboot_put("one", 1, "bootdelay=0\0", 13);
	uboot_put("two", 0, "bootdelay=0\0", 13);
	assert_int_equal(boot_uboot.make(conf, SIDE_A, &e), 0);
}

#endif
