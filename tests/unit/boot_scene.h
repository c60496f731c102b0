/* What tests of boot backends ask of one. */
#ifndef SLUICE_TESTS_BOOT_SCENE_H
#define SLUICE_TESTS_BOOT_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/boot_vars.h"
#include "agent/grub_block.h"
#include "common/base/file.h"

static inline void
done(int rc, const struct err *e)
{
	if (rc < 0)
		fail_msg("%s", e->text);
}

static inline struct boot_vars
vars_now(const struct boot_backend *boot, const struct conf *c)
{
	struct boot_vars vars = {0};
	struct err e = ERR_INIT;

	done(boot->load(c, &vars, &e), &e);
	return vars;
}

/* With a word of why. */
static inline void
refused(const struct boot_backend *boot, const struct conf *c, const char *word)
{
	struct boot_vars vars;
	struct err e = ERR_INIT;

	assert_int_equal(boot->load(c, &vars, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	if (!strstr(e.text, word))
		fail_msg("%s: no \"%s\" in it", e.text, word);
	assert_int_equal(boot->activate(boot, c, SIDE_B, 1, &e), -1);
	assert_int_equal(boot->confirm(boot, c, SIDE_A, &e), -1);
}

static inline void
check_refuses(const struct boot_backend *boot, const struct conf *c, const char *word)
{
	struct err e = ERR_INIT;

	assert_int_equal(boot_check(boot, c, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	if (!strstr(e.text, word))
		fail_msg("%s: no \"%s\" in it", e.text, word);
}

/* GRUB's. */
static inline void
area_read(const char *path, uint8_t out[GRUB_AREA_BYTES])
{
	AUTO_BUF struct buf all = BUF_INIT(GRUB_AREA_BYTES);
	struct err e = ERR_INIT;

	assert_int_equal(file_read(path, &all, &e), 0);
	assert_int_equal(all.len, GRUB_AREA_BYTES);
	memcpy(out, all.data, all.len);
}

#endif
