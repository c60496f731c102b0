#include "tests/unit/sample.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/footprint.h"

enum { BLOCK = 4096, BLOCKS = 2048 };

/* A line of /proc/self/status in KiB. */
static unsigned long
status_kib(const char *name)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	unsigned long kib = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtoul(line + strlen(name), NULL, 10);
	}
	assert_int_equal(fclose(f), 0);
	return kib;
}

static void
trimming_gives_back_pages_of_files(void **state)
{
	unsigned long before = status_kib("RssFile:"), after;

	(void)state;
	footprint_trim();
	after = status_kib("RssFile:");
	assert_true(before > 0);
	assert_in_range(after, 0, before * 2 / 3);
}

/* What is not as in the file stays: relocated constants, variables, the heap. */
static void
trimming_loses_nothing(void **state)
{
	static const char *const constants[] = {"one", "two", "three"};
	static int variable = 1;
	char *kept = malloc(BLOCK);

	(void)state;
	assert_non_null(kept);
	memset(kept, 'x', BLOCK);
	variable++;
	footprint_trim();
	assert_int_equal(variable, 2);
	for (size_t i = 0; i < BLOCK; i++)
		assert_int_equal(kept[i], 'x');
	assert_string_equal(constants[2], "three");
	free(kept);
}

static void
trimming_gives_back_free_heap(void **state)
{
	void **blocks = calloc(BLOCKS, sizeof(*blocks));
	size_t arena;
	unsigned long before;

	(void)state;
	assert_non_null(blocks);
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(BLOCK);
		assert_non_null(blocks[i]);
		memset(blocks[i], 'x', BLOCK);
	}
	arena = mallinfo2().arena;
	/* The last one stays, and all of the heap below it is free. */
	for (size_t i = 0; i + 1 < BLOCKS; i++)
		free(blocks[i]);
	before = status_kib("RssAnon:");
	footprint_trim();
	if (arena > (size_t)BLOCKS * BLOCK) /* or the heap is not libc's to trim */
		assert_in_range(status_kib("RssAnon:"), 0, before - BLOCKS * (BLOCK / 1024) / 2);
	free(blocks[BLOCKS - 1]);
	free(blocks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trimming_gives_back_pages_of_files),
		cmocka_unit_test(trimming_loses_nothing),
		cmocka_unit_test(trimming_gives_back_free_heap),
	};

	return cmocka_run_group_tests_name("footprint", tests, NULL, NULL);
}
