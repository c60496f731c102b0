#include "tests/unit/folder.h"
#include "tests/unit/payload.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/slot.h"

enum { SLOT_BYTES = 4 * CHUNK_BYTES };

static bool files_are_devices;

int
fstat(int fd, struct stat *st)
{
	int rc = fstatat(fd, "", st, AT_EMPTY_PATH);

	if (rc == 0 && files_are_devices)
		st->st_mode = (st->st_mode & 07777) | S_IFBLK;
	return rc;
}

/* No reads and writes past the cache, by a file system that let itself be opened for them. */
static int direct_errnum;

static bool
is_refused(int fd)
{
	errno = direct_errnum;
	return direct_errnum != 0 && (fcntl(fd, F_GETFL) & O_DIRECT);
}

static int read_errnum;

ssize_t
pread(int fd, void *data, size_t len, off_t offset)
{
	if (read_errnum) {
		errno = read_errnum;
		return -1;
	}
	return is_refused(fd) ? -1 : syscall(SYS_pread64, fd, data, len, offset);
}

/* Of a block that cannot be read no part is written. */
static bool parts_fail;

ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
	if (parts_fail && len % 4096 != 0) {
		errno = EIO;
		return -1;
	}
	return is_refused(fd) ? -1 : syscall(SYS_pwrite64, fd, data, len, offset);
}

static struct slot_class
file_class(const char *a, const char *b)
{
	struct slot_class class = {.name = "rootfs", .type = SLOT_FILE};

	class.path[SIDE_A] = strdup(a);
	class.path[SIDE_B] = strdup(b);
	return class;
}

static void
class_free(struct slot_class *class)
{
	free(class->path[SIDE_A]);
	free(class->path[SIDE_B]);
}

static void
make_file(const char *path, off_t size)
{
	struct err e = ERR_INIT;

	assert_int_equal(file_create(path, 0600, span_str("x"), &e), 0);
	assert_int_equal(truncate(path, size), 0);
}

static void
file_slot_is_written_synced_and_read(void **state)
{
	CLEANUP(class_free) struct slot_class class = file_class("a", "b");
	AUTO_SLOT struct slot s = SLOT_INIT;
	uint8_t data[1000], back[1000];
	struct err e = ERR_INIT;
	struct place p;

	(void)state;
	make_file("b", SLOT_BYTES);
	assert_int_equal(slot_open(&class, SIDE_B, true, &s, &e), 0);
	assert_int_equal(s.size, SLOT_BYTES);
	assert_string_equal(s.name, "rootfs B");
	p = slot_place(&s);
	noise(data, sizeof(data), 1);
	assert_int_equal(p.write(p.arg, data, sizeof(data), 70000, &e), 0);
	assert_int_equal(slot_sync(&s, &e), 0);
	assert_int_equal(p.read(p.arg, back, sizeof(back), 70000, &e), 0);
	assert_memory_equal(data, back, sizeof(data));
}

/* And without a word of what was tried: an error that is filled in ends an install. */
static void
where_nothing_goes_past_the_cache_all_goes_through_it(void **state)
{
	static const int errnums[] = {EINVAL, EOPNOTSUPP};
	CLEANUP(class_free) struct slot_class class = file_class("a", "b");
	AUTO_FREE uint8_t *data = aligned_alloc(4096, 2 * CHUNK_BYTES);
	uint8_t *back = data + CHUNK_BYTES;

	(void)state;
	assert_non_null(data);
	make_file("b", SLOT_BYTES);
	for (size_t i = 0; i < ARRAY_LEN(errnums); i++) {
		AUTO_SLOT struct slot s = SLOT_INIT;
		struct err e = ERR_INIT;
		struct place p;

		assert_int_equal(slot_open(&class, SIDE_B, true, &s, &e), 0);
		p = slot_place(&s);
		noise(data, CHUNK_BYTES, i);
		/* A tmpfs of an older kernel does not even let it be opened. */
		if (s.direct < 0)
			s.direct = open("/dev/full", O_RDWR | O_DIRECT | O_CLOEXEC);
		direct_errnum = errnums[i];
		assert_int_equal(p.write(p.arg, data, CHUNK_BYTES, 4096, &e), 0);
		assert_int_equal(e.class, ERR_NONE);
		assert_int_equal(p.read(p.arg, back, CHUNK_BYTES, 4096, &e), 0);
		assert_int_equal(e.class, ERR_NONE);
		assert_memory_equal(data, back, CHUNK_BYTES);
		direct_errnum = EIO;
		assert_int_equal(p.write(p.arg, data, CHUNK_BYTES, 4096, &e), -1);
		assert_int_equal(e.errnum, EIO);
		assert_int_equal(p.read(p.arg, back, CHUNK_BYTES, 4096, &e), -1);
		assert_int_equal(e.errnum, EIO);
		direct_errnum = 0;
	}
}

/* Whole blocks go past the kernel's cache, what is left of them through it: what either wrote, both
 * read, whatever memory it comes from. */
static void
blocks_and_what_is_left_of_them_are_one_slot(void **state)
{
	static const struct {
		uint64_t offset;
		size_t len, from;
	} pieces[] = {{0, 4096, 0}, {4096, 4095, 4096}, {8192, 65536, 0}, {73728, 4097, 0},
		{81920, 8192, 8}, {90113, 4096, 0}, {131072, 1, 0}};
	CLEANUP(class_free) struct slot_class class = file_class("a", "b");
	AUTO_SLOT struct slot s = SLOT_INIT;
	AUTO_FREE uint8_t *data = aligned_alloc(4096, SLOT_BYTES);
	AUTO_FREE uint8_t *back = aligned_alloc(4096, SLOT_BYTES);
	AUTO_FREE uint8_t *want = calloc(1, SLOT_BYTES);
	struct err e = ERR_INIT;
	struct place p;

	(void)state;
	assert_true(data && back && want);
	make_file("b", SLOT_BYTES);
	assert_int_equal(slot_open(&class, SIDE_B, true, &s, &e), 0);
	p = slot_place(&s);
	assert_true(p.shared);
	assert_int_equal(p.read(p.arg, want, SLOT_BYTES, 0, &e), 0);
	noise(data, SLOT_BYTES, 4);
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		const uint8_t *from = data + pieces[i].from;

		memcpy(want + pieces[i].offset, from, pieces[i].len);
		assert_int_equal(p.write(p.arg, from, pieces[i].len, pieces[i].offset, &e), 0);
	}
	for (int synced = 0; synced < 2; synced++) {
		assert_int_equal(p.read(p.arg, back, SLOT_BYTES, 0, &e), 0);
		assert_memory_equal(back, want, SLOT_BYTES);
		assert_int_equal(p.read(p.arg, back + 1, SLOT_BYTES - 1, 1, &e), 0);
		assert_memory_equal(back + 1, want + 1, SLOT_BYTES - 1);
		assert_int_equal(slot_sync(&s, &e), 0);
	}
}

/* A condemned release would be the wrong answer to a disk that shrinks. */
static void
a_slot_that_ends_early_is_the_machines_fault(void **state)
{
	CLEANUP(class_free) struct slot_class class = file_class("a", "b");
	AUTO_SLOT struct slot s = SLOT_INIT;
	uint8_t back[100];
	struct err e = ERR_INIT;
	struct digest sum;
	struct place p;

	(void)state;
	make_file("b", SLOT_BYTES);
	assert_int_equal(slot_open(&class, SIDE_B, true, &s, &e), 0);
	assert_int_equal(truncate("b", 50), 0);
	p = slot_place(&s);
	assert_int_equal(p.read(p.arg, back, sizeof(back), 0, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(slot_digest(&s, 100, NULL, &sum, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
}

static void
nothing_is_written_past_the_end(void **state)
{
	CLEANUP(class_free) struct slot_class class = file_class("a", "b");
	AUTO_SLOT struct slot s = SLOT_INIT;
	struct err e = ERR_INIT;
	struct place p;
	struct stat st;
	uint64_t written;

	(void)state;
	make_file("a", SLOT_BYTES);
	assert_int_equal(slot_open(&class, SIDE_A, true, &s, &e), 0);
	p = slot_place(&s);
	assert_int_equal(p.write(p.arg, "12", 2, SLOT_BYTES - 1, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(p.write(p.arg, "12", 2, UINT64_MAX, &e), -1);
	assert_int_equal(p.zero(p.arg, SLOT_BYTES, CHUNK_BYTES, &written, &e), -1);
	assert_int_equal(stat("a", &st), 0);
	assert_int_equal(st.st_size, SLOT_BYTES);
}

static void
zeroed_ranges_become_holes(void **state)
{
	CLEANUP(class_free) struct slot_class class = file_class("a", "b");
	AUTO_SLOT struct slot s = SLOT_INIT;
	AUTO_FREE uint8_t *data = malloc(SLOT_BYTES);
	struct err e = ERR_INIT;
	struct place p;
	struct stat full, holed;
	uint64_t written = 99;

	(void)state;
	assert_non_null(data);
	make_file("a", SLOT_BYTES);
	assert_int_equal(slot_open(&class, SIDE_A, true, &s, &e), 0);
	p = slot_place(&s);
	noise(data, SLOT_BYTES, 3);
	assert_int_equal(p.write(p.arg, data, SLOT_BYTES, 0, &e), 0);
	assert_int_equal(slot_sync(&s, &e), 0);
	assert_int_equal(stat("a", &full), 0);
	assert_int_equal(p.zero(p.arg, CHUNK_BYTES, 2 * CHUNK_BYTES, &written, &e), 0);
	assert_int_equal(written, 0);
	assert_int_equal(slot_sync(&s, &e), 0);
	assert_int_equal(stat("a", &holed), 0);
	assert_true(holed.st_blocks < full.st_blocks);
	memset(data + CHUNK_BYTES, 0, 2 * CHUNK_BYTES);
	for (size_t at = 0; at < SLOT_BYTES; at += CHUNK_BYTES) {
		uint8_t back[CHUNK_BYTES];

		assert_int_equal(p.read(p.arg, back, CHUNK_BYTES, at, &e), 0);
		assert_memory_equal(back, data + at, CHUNK_BYTES);
	}
}

static void
zeros_are_written_only_where_other_bytes_are(void **state)
{
	CLEANUP(class_free) struct slot_class class = file_class("a", "b");
	AUTO_SLOT struct slot s = SLOT_INIT;
	struct err e = ERR_INIT;
	struct place p;
	uint64_t written = 0;
	uint8_t back;

	(void)state;
	make_file("a", SLOT_BYTES);
	assert_int_equal(slot_open(&class, SIDE_A, true, &s, &e), 0);
	p = slot_place(&s);
	assert_int_equal(p.write(p.arg, "x", 1, 2 * CHUNK_BYTES + 5, &e), 0);
	assert_int_equal(place_zero_by_writing(&p, 0, SLOT_BYTES, &written, &e), 0);
	/* The file's first byte was an x as well. */
	assert_int_equal(written, 2 * CHUNK_BYTES);
	assert_int_equal(p.read(p.arg, &back, 1, 2 * CHUNK_BYTES + 5, &e), 0);
	assert_int_equal(back, 0);
}

/* An unread one may be anything; to write it is what mends it. A device that is gone says so. */
static void
zeros_are_written_where_nothing_can_be_read(void **state)
{
	CLEANUP(class_free) struct slot_class class = file_class("a", "b");
	AUTO_SLOT struct slot s = SLOT_INIT;
	struct err e = ERR_INIT;
	uint64_t written = 0;
	struct place p;

	(void)state;
	make_file("a", SLOT_BYTES);
	assert_int_equal(slot_open(&class, SIDE_A, true, &s, &e), 0);
	s.holeless = true;
	p = slot_place(&s);
	read_errnum = ENODEV;
	assert_int_equal(p.zero(p.arg, 0, SLOT_BYTES, &written, &e), -1);
	assert_int_equal(e.errnum, ENODEV);
	assert_int_equal(written, 0);
	read_errnum = EIO;
	assert_int_equal(p.zero(p.arg, 0, SLOT_BYTES, &written, &e), 0);
	read_errnum = 0;
	assert_int_equal(written, SLOT_BYTES);
}

/* An image may end in a block that cannot be read. */
static void
the_last_block_is_written_whole_where_its_rest_cannot_be_read(void **state)
{
	CLEANUP(class_free) struct slot_class class = file_class("a", "b");
	AUTO_SLOT struct slot s = SLOT_INIT;
	struct err e = ERR_INIT;
	uint8_t data[CHUNK_BYTES], back[CHUNK_BYTES];
	struct place p;

	(void)state;
	make_file("a", SLOT_BYTES);
	assert_int_equal(slot_open(&class, SIDE_A, true, &s, &e), 0);
	assert_true(s.direct >= 0);
	p = slot_place(&s);
	noise(data, sizeof(data), 9);
	parts_fail = true;
	assert_int_equal(p.write(p.arg, data, 100, CHUNK_BYTES, &e), 0);
	assert_int_equal(e.class, ERR_NONE);
	/* Not what is no end, nor where there is no whole block. */
	assert_int_equal(p.write(p.arg, data, 100, 1, &e), -1);
	assert_int_equal(e.errnum, EIO);
	assert_int_equal(p.write(p.arg, data, 4097, 0, &e), -1);
	s.size = 3 * CHUNK_BYTES + 50;
	assert_int_equal(p.write(p.arg, data, 40, 3 * CHUNK_BYTES, &e), -1);
	parts_fail = false;
	assert_int_equal(p.read(p.arg, back, 4096, CHUNK_BYTES, &e), 0);
	memset(data + 100, 0, 4096 - 100);
	assert_memory_equal(back, data, 4096);
}

static void
place_of_another_type_is_refused(void **state)
{
	CLEANUP(class_free) struct slot_class class = file_class(".", "/dev/null");
	AUTO_SLOT struct slot s = SLOT_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(slot_open(&class, SIDE_A, false, &s, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	assert_int_equal(slot_open(&class, SIDE_B, true, &s, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	class.type = SLOT_BLOCK;
	assert_int_equal(slot_open(&class, SIDE_B, true, &s, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	class.type = SLOT_DIR;
	assert_int_equal(slot_open(&class, SIDE_A, true, &s, &e), -1);
	assert_int_equal(s.fd, -1);
}

/* A device that is called a file would be written though it is mounted. */
static void
a_device_is_no_file_and_a_file_no_device(void **state)
{
	CLEANUP(class_free) struct slot_class class = file_class("a", "b");
	AUTO_SLOT struct slot s = SLOT_INIT;
	struct err e = ERR_INIT;

	(void)state;
	make_file("a", SLOT_BYTES);
	class.type = SLOT_BLOCK;
	assert_int_equal(slot_open(&class, SIDE_A, false, &s, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	class.type = SLOT_FILE;
	files_are_devices = true;
	assert_int_equal(slot_open(&class, SIDE_A, false, &s, &e), -1);
	files_are_devices = false;
	assert_int_equal(e.class, ERR_USAGE);
	assert_int_equal(slot_open(&class, SIDE_A, false, &s, &e), 0);
}

static void
missing_file_slot_says_how_to_make_it(void **state)
{
	CLEANUP(class_free) struct slot_class class = file_class("a", "b");
	AUTO_SLOT struct slot s = SLOT_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(slot_open(&class, SIDE_A, true, &s, &e), -1);
	assert_int_equal(e.errnum, ENOENT);
	assert_non_null(strstr(e.text, "truncate -s SIZE a"));
}

static void
same_place_under_two_names_is_refused(void **state)
{
	CLEANUP(class_free) struct slot_class class = file_class("a", "b");
	struct err e = ERR_INIT;

	(void)state;
	make_file("a", SLOT_BYTES);
	assert_int_equal(link("a", "b"), 0);
	assert_int_equal(slot_check_apart(&class, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(unlink("b"), 0);
	assert_int_equal(symlink("a", "b"), 0);
	assert_int_equal(slot_check_apart(&class, &e), -1);
	assert_int_equal(unlink("b"), 0);
	make_file("b", SLOT_BYTES);
	assert_int_equal(slot_check_apart(&class, &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter, folder_leave)
		IN_FOLDER(file_slot_is_written_synced_and_read),
		IN_FOLDER(where_nothing_goes_past_the_cache_all_goes_through_it),
		IN_FOLDER(blocks_and_what_is_left_of_them_are_one_slot),
		IN_FOLDER(a_slot_that_ends_early_is_the_machines_fault),
		IN_FOLDER(nothing_is_written_past_the_end),
		IN_FOLDER(zeroed_ranges_become_holes),
		IN_FOLDER(zeros_are_written_only_where_other_bytes_are),
		IN_FOLDER(zeros_are_written_where_nothing_can_be_read),
		IN_FOLDER(the_last_block_is_written_whole_where_its_rest_cannot_be_read),
		IN_FOLDER(place_of_another_type_is_refused),
		IN_FOLDER(a_device_is_no_file_and_a_file_no_device),
		IN_FOLDER(missing_file_slot_says_how_to_make_it),
		IN_FOLDER(same_place_under_two_names_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
