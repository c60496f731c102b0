/* The files of a folder that runs, read here and there. */
#include "tests/unit/rig.h"

#include <sys/syscall.h>

#include "agent/tree_old.h"

enum { FILES = 4000 };

struct scene {
	struct buf list, bytes; /* what the list says, and what the files hold */
	struct payload p;
	int fd;
	struct tree_list as_list;
	struct tree_old *old;
	struct place place;
};

/* What was read of the list. */
static int list_fd;
static uint64_t list_read;

ssize_t
pread(int fd, void *data, size_t len, off_t offset)
{
	if (fd == list_fd)
		list_read += len;
	return syscall(SYS_pread64, fd, data, len, offset);
}

static void
scene_free(struct scene *s)
{
	tree_old_close(&s->old);
	list_fd = -1;
	(void)close(s->fd);
	buf_free(&s->list);
	buf_free(&s->bytes);
}

static void
scene_begin(struct scene *s)
{
	*s = (struct scene){.list = BUF_INIT(64 << 20), .bytes = BUF_INIT(64 << 20), .fd = -1};
	assert_int_equal(mkdir("app", 0755), 0);
}

static void
text_put(const char *path, const char *text)
{
	assert_int_equal(folder_put(path, text, strlen(text)), 0);
}

/* A file of the list, and of the folder; content NULL: a folder. */
static void
scene_add(struct scene *s, const char *path, const char *content, json_t *xattrs)
{
	struct tree_entry t = {.type = content ? TREE_FILE : TREE_DIR, .xattrs = xattrs};
	char there[64];
	struct err e = ERR_INIT;

	(void)snprintf(t.path, sizeof(t.path), "%s", path);
	(void)snprintf(there, sizeof(there), "app/%s", path);
	if (content) {
		t.size = strlen(content);
		assert_int_equal(buf_append(&s->bytes, content, strlen(content), &e), 0);
		text_put(there, content);
	} else {
		assert_int_equal(mkdir(there, 0755), 0);
	}
	if (files_put(&t, &s->list, &e) < 0)
		fail_msg("%s", e.text);
	json_decref(xattrs);
}

static void
scene_open(struct scene *s)
{
	struct err e = ERR_INIT;

	s->p = (struct payload){.name = "app", .kind = PAYLOAD_TREE, .size = s->bytes.len};
	s->p.members[MEMBER_FILES] = (struct member){.present = true, .size = s->list.len};
	s->fd = memory_file(buf_span(&s->list));
	s->as_list = (struct tree_list){s->fd, "the head", &s->p, 0};
	list_fd = s->fd;
	list_read = 0;
	assert_int_equal(tree_old_open("app", &s->as_list, &s->old, &e), 0);
	s->place = tree_old_place(s->old);
}

/* Some are empty, and some are long. */
static void
scene_many(struct scene *s)
{
	scene_begin(s);
	for (unsigned i = 0; i < FILES; i++) {
		char path[16], content[1024];

		(void)snprintf(path, sizeof(path), "f%05u", i);
		(void)snprintf(content, sizeof(content), "%0*u", (int)(i * 7919 % 900 + 4), i);
		scene_add(s, path, i % 5 == 0 ? "" : content, NULL);
	}
	scene_open(s);
}

static void
assert_reads(struct scene *s, uint64_t offset, size_t len)
{
	AUTO_FREE uint8_t *got = malloc(len + 1);
	struct err e = ERR_INIT;

	assert_non_null(got);
	if (s->place.read(s->place.arg, got, len, offset, &e) < 0)
		fail_msg("%s", e.text);
	assert_memory_equal(got, s->bytes.data + offset, len);
}

static void
reads_may_jump_anywhere(void **state)
{
	CLEANUP(scene_free) struct scene s;
	uint64_t at = 1;

	(void)state;
	scene_many(&s);
	assert_true(s.list.len > 8 * 64 * 1024);
	for (unsigned i = 0; i < 3000; i++) {
		size_t len = (size_t)(at >> 40) % 3000 + 1;

		at = at * 6364136223846793005ULL + 1442695040888963407ULL;
		assert_reads(&s, (at >> 16) % (s.bytes.len - 3000), len);
	}
	assert_reads(&s, 0, s.bytes.len);
	assert_reads(&s, s.bytes.len - 1, 1);
	assert_reads(&s, 0, 1);
}

/* It is not gone through from its beginning. */
static void
going_back_costs_a_window_of_the_list_at_most(void **state)
{
	CLEANUP(scene_free) struct scene s;
	uint64_t near;

	(void)state;
	scene_many(&s);
	assert_reads(&s, 0, s.bytes.len);
	assert_in_range(list_read, s.list.len, s.list.len * 2);
	near = s.bytes.len / 2;
	assert_reads(&s, near, 1);
	list_read = 0;
	for (unsigned i = 0; i < 100; i++)
		assert_reads(&s, near + i * 37 % 10 * 1000, 100);
	assert_in_range(list_read, 0, TREE_LINE_MAX);
	for (unsigned i = 0; i < 10; i++) {
		assert_reads(&s, s.bytes.len - 100, 100);
		assert_reads(&s, 100, 100);
	}
	assert_in_range(list_read, 0, 21 * TREE_LINE_MAX);
}

/* Marks are made as far as anybody has come, and whoever goes further comes there all the same. */
static void
what_lies_far_ahead_is_found_at_once(void **state)
{
	CLEANUP(scene_free) struct scene s;

	(void)state;
	scene_many(&s);
	assert_reads(&s, s.bytes.len - 10, 10);
	list_read = 0;
	assert_reads(&s, 10, 10);
	assert_reads(&s, s.bytes.len / 2, 10);
	assert_in_range(list_read, 1, 2 * TREE_LINE_MAX);
}

static void
what_is_no_file_any_more_reads_as_zeros(void **state)
{
	static const char *const changes[] = {"rm app/b", "rm app/b; mkdir app/b",
		"rm app/b; printf bbbbbb > c; ln -s ../c app/b", "rm app/b; mkfifo app/b",
		"rm app/b; ln -s \"$PWD/app/a\" app/b", ": > app/b"};
	char got[19];
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		CLEANUP(scene_free) struct scene s;

		assert_int_equal(system("rm -rf app"), 0);
		scene_begin(&s);
		scene_add(&s, "a", "aaaaaa", NULL);
		scene_add(&s, "b", "bbbbbb", NULL);
		scene_add(&s, "c", "cccccc", NULL);
		assert_int_equal(system(changes[i]), 0);
		scene_open(&s);
		assert_int_equal(s.place.read(s.place.arg, got, 18, 0, &e), 0);
		assert_memory_equal(got, "aaaaaa\0\0\0\0\0\0cccccc", 18);
	}
}

static void
a_folder_on_the_way_that_is_a_link_is_not_gone_through(void **state)
{
	CLEANUP(scene_free) struct scene s;
	char got[4];
	struct err e = ERR_INIT;

	(void)state;
	scene_begin(&s);
	scene_add(&s, "d", NULL, NULL);
	scene_add(&s, "d/x", "what", NULL);
	assert_int_equal(rename("app/d", "d"), 0);
	assert_int_equal(symlink("../d", "app/d"), 0);
	scene_open(&s);
	assert_int_equal(s.place.read(s.place.arg, got, 4, 0, &e), 0);
	assert_memory_equal(got, "\0\0\0\0", 4);
}

static void
a_file_that_became_shorter_or_longer_keeps_to_its_room(void **state)
{
	CLEANUP(scene_free) struct scene s;
	char got[13];
	struct err e = ERR_INIT;

	(void)state;
	scene_begin(&s);
	scene_add(&s, "a", "aaaaaa", NULL);
	scene_add(&s, "b", "bbbbbb", NULL);
	text_put("app/a", "123");
	text_put("app/b", "1234567890");
	scene_open(&s);
	assert_int_equal(s.place.read(s.place.arg, got, 12, 0, &e), 0);
	assert_memory_equal(got,
		"123\0\0\0"
		"123456",
		12);
}

static void
without_a_folder_all_is_zeros(void **state)
{
	CLEANUP(scene_free) struct scene s;
	char got[6];
	struct err e = ERR_INIT;

	(void)state;
	scene_begin(&s);
	scene_add(&s, "a", "aaaaaa", NULL);
	assert_int_equal(rename("app", "elsewhere"), 0);
	assert_int_equal(symlink("elsewhere", "app"), 0);
	scene_open(&s);
	assert_int_equal(s.place.read(s.place.arg, got, 6, 0, &e), 0);
	assert_memory_equal(got, "\0\0\0\0\0\0", 6);
}

/* Names and attributes that look like what a line says of a size; and lines as long as can be. */
static void
what_stands_in_a_line_besides_is_not_taken_for_its_size(void **state)
{
	static char long_hex[120001];
	CLEANUP(scene_free) struct scene s;

	(void)state;
	memset(long_hex, 'a', sizeof(long_hex) - 1);
	scene_begin(&s);
	scene_add(&s, "a\",\"size\":7,\"b", "twelve bytes", NULL);
	scene_add(&s, "d", NULL, json_pack("{s:s, s:s}", "aa", "00", "size", "77"));
	scene_add(&s, "e", "with", json_pack("{s:s, s:s}", "aa", "00", "size", "77"));
	scene_add(&s, "f", NULL, json_pack("{s:s}", "user.long", long_hex));
	scene_add(&s, "g", "behind", json_pack("{s:s}", "user.long", long_hex));
	scene_add(&s, "h", "the last", json_pack("{s:s}", "user.long", long_hex));
	scene_open(&s);
	for (size_t at = s.bytes.len; at-- > 0;)
		assert_reads(&s, at, s.bytes.len - at);
}

static void
a_list_that_has_rotted_condemns_no_release(void **state)
{
	static const char *const rot[] = {"no line", "{\"path\":\"a\",\"size\":9}\n",
		"{,\"size\":99999999999999999999999999}\n", "\n\n\n\n"};
	char got[6];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rot); i++) {
		CLEANUP(scene_free) struct scene s;
		struct err e = ERR_INIT;

		assert_int_equal(system("rm -rf app"), 0);
		scene_begin(&s);
		scene_add(&s, "a", "aaaaaa", NULL);
		buf_clear(&s.list);
		assert_int_equal(buf_append(&s.list, rot[i], strlen(rot[i]), &e), 0);
		scene_open(&s);
		assert_int_equal(s.place.read(s.place.arg, got, 6, 0, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)
		IN_FOLDER(reads_may_jump_anywhere),
		IN_FOLDER(going_back_costs_a_window_of_the_list_at_most),
		IN_FOLDER(what_lies_far_ahead_is_found_at_once),
		IN_FOLDER(what_is_no_file_any_more_reads_as_zeros),
		IN_FOLDER(a_folder_on_the_way_that_is_a_link_is_not_gone_through),
		IN_FOLDER(a_file_that_became_shorter_or_longer_keeps_to_its_room),
		IN_FOLDER(without_a_folder_all_is_zeros),
		IN_FOLDER(what_stands_in_a_line_besides_is_not_taken_for_its_size),
		IN_FOLDER(a_list_that_has_rotted_condemns_no_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
