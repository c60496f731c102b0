/* What FAT and systemd-boot's order ask of the entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/boot.h"
#include "common/base/file.h"
#include "tests/unit/folder.h"

static char folder[] = "env";
static struct conf conf = {.boot_file = folder};
static const struct boot_backend *const boot = &boot_entries;

static void
entry_put(const char *path, const char *version)
{
	char text[128];
	int len = snprintf(
		text, sizeof(text), "sort-key sluice\nversion %s\nlinux /a/vmlinuz\n", version);

	assert_int_equal(folder_put(path, text, (size_t)len), 0);
}

static void
begin(void)
{
	assert_int_equal(mkdir(folder, 0755), 0);
	entry_put("env/sluice-a.conf", "7");
	entry_put("env/sluice-b+0.conf", "3");
}

static void
done(int rc, const struct err *e)
{
	if (rc < 0)
		fail_msg("%s", e->text);
}

static struct boot_vars
vars_now(void)
{
	struct boot_vars vars = {0};
	struct err e = ERR_INIT;

	done(boot->load(&conf, &vars, &e), &e);
	return vars;
}

static void
the_entry_of_the_side_that_works_is_not_touched_to_go_back_to_it(void **state)
{
	AUTO_BUF struct buf before = BUF_INIT(1024), after = BUF_INIT(1024);
	struct err e = ERR_INIT;

	(void)state;
	begin();
	done(file_read("env/sluice-a.conf", &before, &e), &e);
	done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
	assert_int_equal(rename("env/sluice-b+3.conf", "env/sluice-b+0-3.conf"), 0);
	done(boot->go_back(boot, &conf, SIDE_A, &e), &e);
	done(boot->disable(boot, &conf, SIDE_B, &e), &e);
	assert_int_equal(vars_now().primary, SIDE_A);
	done(file_read("env/sluice-a.conf", &after, &e), &e);
	assert_true(span_equal(buf_span(&before), buf_span(&after)));
}

/* What a cut on FAT leaves between a new name and where its bytes are. */
static void
a_blank_entry_is_none(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	begin();
	assert_int_equal(folder_put("env/sluice-b+3.conf", "", 0), 0);
	assert_int_equal(folder_put("env/sluice-b.conf", "", 0), 0);
	assert_int_equal(vars_now().primary, SIDE_A);
	assert_false(vars_now().side[SIDE_B].bootable);
	done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
	assert_int_equal(vars_now().primary, SIDE_B);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(the_entry_of_the_side_that_works_is_not_touched_to_go_back_to_it),
		IN_FOLDER(a_blank_entry_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
