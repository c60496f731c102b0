#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/files.h"

#define HEX "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define OWNED "{\"gid\":0,\"mode\":420,\"mtime\":1760000000,"
#define DIR(path)                                                                                  \
	"{\"gid\":0,\"mode\":493,\"mtime\":1760000000,\"path\":\"" path                            \
	"\",\"type\":\"dir\",\"uid\":0}\n"
#define FILE_OF(path, size)                                                                        \
	OWNED "\"path\":\"" path "\",\"sha256\":\"" HEX "\",\"size\":" size                        \
	      ",\"type\":\"file\",\"uid\":0}\n"
#define LINK(path, target, type)                                                                   \
	OWNED "\"path\":\"" path "\",\"target\":\"" target "\",\"type\":\"" type "\",\"uid\":0}\n"
#define WITH_XATTRS(xattrs)                                                                        \
	"{\"gid\":0,\"mode\":493,\"mtime\":1,\"path\":\"a\",\"type\":\"dir\",\"uid\":0,"           \
	"\"xattrs\":" xattrs "}\n"

static const char sample[] = DIR("usr") DIR("usr/bin") FILE_OF("usr/bin/app", "5")
	LINK("usr/bin/b", "usr/bin/app", "hardlink") LINK("usr/bin/c", "../../../x", "symlink")
		FILE_OF("usr/bin-old", "7") DIR("var");
enum { SAMPLE_LINES = 7, SAMPLE_BYTES = 12, BEFORE = 512 };

struct list {
	int fd;
	struct payload p;
};

static struct list
list_make(struct span text, uint64_t bytes)
{
	struct list l = {.p = {.name = "app", .kind = PAYLOAD_TREE, .size = bytes}};
	struct err e = ERR_INIT;

	l.fd = memfd_create("files", MFD_CLOEXEC);
	assert_true(l.fd >= 0);
	assert_int_equal(file_pwrite_full(l.fd, "list", text.data, text.len, BEFORE, &e), 0);
	l.p.digest = digest_of(text);
	l.p.members[MEMBER_FILES] =
		(struct member){.present = true, .size = text.len, .digest = l.p.digest};
	return l;
}

/* Walks to the end; what was read is written anew into again. */
static int
list_walk(const struct list *l, struct buf *again, size_t *count, struct err *e)
{
	AUTO_FILES struct files_reader *r = NULL;
	const struct tree_entry *t;
	bool more;

	*count = 0;
	if (files_open(l->fd, "x.ota", BEFORE, &l->p, &r, e) < 0)
		return -1;
	for (;;) {
		if (files_next(r, &t, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		assert_int_equal(files_put(t, again, e), 0);
		++*count;
	}
}

static int
walk_text(struct span text, uint64_t bytes, size_t *count, struct err *e)
{
	AUTO_BUF struct buf again = BUF_INIT(8 << 20);
	struct list l = list_make(text, bytes);
	int got = list_walk(&l, &again, count, e);

	if (got == 0)
		assert_true(span_equal(text, buf_span(&again)));
	assert_int_equal(close(l.fd), 0);
	return got;
}

static void
assert_accepted(const char *text, uint64_t bytes)
{
	struct err e = ERR_INIT;
	size_t count;

	if (walk_text(span_str(text), bytes, &count, &e) < 0)
		fail_msg("%s", e.text);
}

static void
assert_refused(const char *text, uint64_t bytes, enum err_class class, const char *says)
{
	struct err e = ERR_INIT;
	size_t count;

	if (walk_text(span_str(text), bytes, &count, &e) == 0)
		fail_msg("accepted: %s", text);
	if (e.class != class || !strstr(e.text, says))
		fail_msg("%s: class %s, \"%s\" (not \"%s\")", text, err_class_name(e.class), e.text,
			says);
}

static void
files_are_read(void **state)
{
	AUTO_FILES struct files_reader *r = NULL;
	struct list l = list_make(span_str(sample), SAMPLE_BYTES);
	const struct tree_entry *t;
	struct err e = ERR_INIT;
	bool more;

	(void)state;
	assert_int_equal(files_open(l.fd, "x.ota", BEFORE, &l.p, &r, &e), 0);
	assert_int_equal(files_next(r, &t, &more, &e), 0);
	assert_true(more && t->type == TREE_DIR && t->mode == 0755 && t->size == 0);
	assert_string_equal(t->path, "usr");
	assert_int_equal(files_next(r, &t, &more, &e), 0);
	assert_int_equal(files_next(r, &t, &more, &e), 0);
	assert_true(t->type == TREE_FILE && t->size == 5 && t->mtime_s == 1760000000);
	assert_int_equal(t->sha256.b[0], 0x2c);
	assert_int_equal(files_next(r, &t, &more, &e), 0);
	assert_int_equal(t->type, TREE_HARDLINK);
	assert_string_equal(t->target, "usr/bin/app");
	assert_int_equal(files_next(r, &t, &more, &e), 0);
	assert_int_equal(t->type, TREE_SYMLINK);
	assert_string_equal(t->target, "../../../x");
	assert_int_equal(files_next(r, &t, &more, &e), 0);
	assert_int_equal(files_next(r, &t, &more, &e), 0);
	assert_string_equal(t->path, "var");
	for (int past = 0; past < 2; past++) {
		assert_int_equal(files_next(r, &t, &more, &e), 0);
		assert_false(more);
	}
	assert_int_equal(close(l.fd), 0);
}

static void
files_put_and_read_are_each_others_inverse(void **state)
{
	struct err e = ERR_INIT;
	size_t count;

	(void)state;
	assert_int_equal(walk_text(span_str(sample), SAMPLE_BYTES, &count, &e), 0);
	assert_int_equal(count, SAMPLE_LINES);
	assert_accepted("", 0);
	assert_accepted(WITH_XATTRS("{\"security.capability\":\"0100\",\"user.x\":\"\"}"), 0);
}

static void
files_cut_anywhere_are_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < strlen(sample); len++) {
		struct list l = list_make(span_str(sample), SAMPLE_BYTES);
		AUTO_BUF struct buf again = BUF_INIT(8 << 20);
		struct err e = ERR_INIT;
		size_t count;

		/* The file is cut, and then the manifest says so too. But for the last folder,
		 * which has no bytes, a whole line less is a sum that is wrong. */
		assert_int_equal(ftruncate(l.fd, (off_t)(BEFORE + len)), 0);
		assert_int_equal(list_walk(&l, &again, &count, &e), -1);
		assert_int_equal(e.class, ERR_SYSTEM);
		l.p.members[MEMBER_FILES].size = len;
		assert_int_equal(list_walk(&l, &again, &count, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		l.p.members[MEMBER_FILES].digest = digest_of(span_of(sample, len));
		if (list_walk(&l, &again, &count, &e) < 0)
			assert_int_equal(e.class, ERR_MALFORMED);
		else
			assert_int_equal(count, SAMPLE_LINES - 1);
		assert_int_equal(close(l.fd), 0);
	}
}

static void
files_flipped_anywhere_are_refused_or_mean_what_they_say(void **state)
{
	char text[sizeof(sample)];

	(void)state;
	memcpy(text, sample, sizeof(text));
	for (size_t bit = 0; bit < 8 * strlen(sample); bit++) {
		struct err e = ERR_INIT;
		size_t count;

		text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
		/* walk_text writes anew what was accepted, and compares. */
		if (walk_text(span_of(text, strlen(sample)), SAMPLE_BYTES, &count, &e) < 0)
			assert_true(e.class == ERR_MALFORMED || e.class == ERR_LIMIT);
		text[bit / 8] = sample[bit / 8];
	}
}

static void
files_that_changed_since_they_were_checked_are_untrusted(void **state)
{
	struct list l = list_make(span_str(sample), SAMPLE_BYTES);
	AUTO_BUF struct buf again = BUF_INIT(8 << 20);
	struct err e = ERR_INIT;
	const char *at = strstr(sample, "2cf2");
	size_t count;

	(void)state;
	assert_int_equal(
		file_pwrite_full(l.fd, "x", "d", 1, BEFORE + (uint64_t)(at - sample), &e), 0);
	assert_int_equal(list_walk(&l, &again, &count, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(count, SAMPLE_LINES);
	assert_int_equal(close(l.fd), 0);
}

static void
files_flipped_on_the_disk_are_never_malformed(void **state)
{
	struct list l = list_make(span_str(sample), SAMPLE_BYTES);

	(void)state;
	for (size_t bit = 0; bit < 8 * strlen(sample); bit++) {
		AUTO_BUF struct buf again = BUF_INIT(8 << 20);
		uint8_t was = (uint8_t)sample[bit / 8], now = (uint8_t)(was ^ 1 << bit % 8);
		struct err e = ERR_INIT;
		size_t count;

		assert_int_equal(file_pwrite_full(l.fd, "x", &now, 1, BEFORE + bit / 8, &e), 0);
		assert_int_equal(list_walk(&l, &again, &count, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		assert_int_equal(file_pwrite_full(l.fd, "x", &was, 1, BEFORE + bit / 8, &e), 0);
	}
	assert_int_equal(close(l.fd), 0);
}

static void
files_paths_stay_inside_the_tree(void **state)
{
	(void)state;
	assert_refused(DIR("/a"), 0, ERR_MALFORMED, "line 1: /a: a path that is absolute");
	assert_refused(DIR("/"), 0, ERR_MALFORMED, "absolute");
	assert_refused(DIR(""), 0, ERR_MALFORMED, "absolute or has an empty part");
	assert_refused(DIR("a") DIR("a/"), 0, ERR_MALFORMED, "line 2: a/: a path");
	assert_refused(DIR("a") DIR("a//b"), 0, ERR_MALFORMED, "empty part");
	assert_refused(DIR("."), 0, ERR_MALFORMED, "with . or ..");
	assert_refused(DIR(".."), 0, ERR_MALFORMED, "with . or ..");
	assert_refused(DIR("../a"), 0, ERR_MALFORMED, "with . or ..");
	assert_refused(DIR("a") DIR("a/."), 0, ERR_MALFORMED, "with . or ..");
	assert_refused(DIR("a") DIR("a/..") DIR("a/../b"), 0, ERR_MALFORMED, "with . or ..");
	assert_accepted(DIR("...") DIR("..a") DIR(".a") DIR("a"), 0);
	assert_refused(
		FILE_OF("a", "0") LINK("b", "../a", "hardlink"), 0, ERR_MALFORMED, "hard link");
	assert_refused(
		FILE_OF("a", "0") LINK("b", "/a", "hardlink"), 0, ERR_MALFORMED, "hard link");
}

static void
files_texts_hold_no_control_characters(void **state)
{
	(void)state;
	assert_refused(DIR("a\\n"), 0, ERR_MALFORMED, "");
	assert_refused(DIR("a\\u001b[2J"), 0, ERR_MALFORMED, "control characters");
	assert_refused(DIR("a\x1b"), 0, ERR_MALFORMED, "");
	assert_refused(DIR("a\x7f"), 0, ERR_MALFORMED, "control characters");
	assert_refused(DIR("a\\u0000b"), 0, ERR_MALFORMED, "");
	assert_refused(DIR("a\xff"), 0, ERR_MALFORMED, "");
	assert_refused(LINK("a", "b\x7f", "symlink"), 0, ERR_MALFORMED, "good target");
	assert_refused(LINK("a", "", "symlink"), 0, ERR_MALFORMED, "good target");
	assert_accepted(DIR("gr\xc3\xbc\xc3\x9f"
			    "e \\\\ \\\""),
		0);
}

static void
files_come_in_order_and_once(void **state)
{
	(void)state;
	assert_refused(DIR("a") DIR("a"), 0, ERR_MALFORMED, "line 2: a: twice");
	assert_refused(DIR("b") DIR("a"), 0, ERR_MALFORMED, "not in order");
	assert_refused(DIR("a") DIR("a-b") DIR("a/b"), 0, ERR_MALFORMED, "not in order");
	assert_accepted(DIR("a") DIR("a/b") DIR("a-b"), 0);
	assert_refused(DIR("a") FILE_OF("a", "0"), 0, ERR_MALFORMED, "twice");
}

static void
files_path_order_puts_a_folder_before_its_content_and_that_before_the_rest(void **state)
{
	static const char *const ordered[] = {
		"!", "a", "a/a", "a/a/z", "a/b", "a!", "a-b", "aa", "b", "\xc3\xa9"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ordered); i++) {
		for (size_t k = 0; k < ARRAY_LEN(ordered); k++) {
			int c = tree_path_compare(ordered[i], ordered[k]);

			assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
		}
	}
}

static void
files_stand_in_folders_of_the_list(void **state)
{
	(void)state;
	assert_refused(DIR("a/b"), 0, ERR_MALFORMED, "a/b: its folder is no folder");
	assert_refused(DIR("a") DIR("a/b/c"), 0, ERR_MALFORMED, "its folder is no folder");
	assert_refused(FILE_OF("a", "0") DIR("a/b"), 0, ERR_MALFORMED, "its folder is no folder");
	assert_refused(LINK("a", "/etc", "symlink") FILE_OF("a/b", "0"), 0, ERR_MALFORMED,
		"its folder is no folder");
	assert_refused(DIR("a") LINK("a/l", "..", "symlink") FILE_OF("a/l/x", "0"), 0,
		ERR_MALFORMED, "its folder is no folder");
	assert_refused(DIR("a") DIR("ab/c"), 0, ERR_MALFORMED, "its folder is no folder");
	assert_accepted(DIR("a") DIR("a/b") DIR("a/b/c") DIR("a/d") DIR("e"), 0);
}

static void
files_hard_links_name_a_file_before_them(void **state)
{
	(void)state;
	assert_refused(LINK("a", "b", "hardlink") FILE_OF("b", "0"), 0, ERR_MALFORMED, "no file");
	assert_refused(DIR("a") LINK("b", "a", "hardlink"), 0, ERR_MALFORMED, "no file");
	assert_refused(
		LINK("a", "x", "symlink") LINK("b", "a", "hardlink"), 0, ERR_MALFORMED, "no file");
	assert_refused(LINK("a", "a", "hardlink"), 0, ERR_MALFORMED, "no file");
	assert_refused(FILE_OF("a", "0") LINK("b", "a", "hardlink") LINK("c", "b", "hardlink"), 0,
		ERR_MALFORMED, "no file");
	assert_accepted(FILE_OF("a", "0") LINK("b", "a", "hardlink") LINK("c", "a", "hardlink"), 0);
}

static void
files_sums_are_the_payloads(void **state)
{
	(void)state;
	assert_refused(sample, SAMPLE_BYTES - 1, ERR_MALFORMED, "line 6: usr/bin-old: more bytes");
	assert_refused(sample, SAMPLE_BYTES + 1, ERR_MALFORMED, "files have 12 bytes");
	assert_refused(sample, 0, ERR_MALFORMED, "line 3");
	assert_refused(FILE_OF("a", "9223372036854775807") FILE_OF("b", "9223372036854775807"),
		PAYLOAD_BYTES_MAX, ERR_LIMIT, "'size'");
	assert_refused(FILE_OF("a", "1099511627776") FILE_OF("b", "1099511627776"),
		PAYLOAD_BYTES_MAX, ERR_MALFORMED, "line 2");
	assert_refused(FILE_OF("a", "-1"), 0, ERR_LIMIT, "'size'");
}

static void
files_lines_are_canonical_and_of_their_type(void **state)
{
	(void)state;
	assert_refused("\n", 0, ERR_MALFORMED, "line 1");
	assert_refused(DIR("a") "\n", 0, ERR_MALFORMED, "line 2");
	assert_refused("[]\n", 0, ERR_MALFORMED, "line 1");
	assert_refused(" " DIR("a"), 0, ERR_MALFORMED, "canonical");
	assert_refused("{\"gid\": 0,\"mode\":1,\"mtime\":1,\"path\":\"a\",\"type\":\"dir\","
		       "\"uid\":0}\n",
		0, ERR_MALFORMED, "canonical");
	assert_refused("{\"mode\":1,\"gid\":0,\"mtime\":1,\"path\":\"a\",\"type\":\"dir\","
		       "\"uid\":0}\n",
		0, ERR_MALFORMED, "canonical");
	assert_refused(DIR("\\u0061"), 0, ERR_MALFORMED, "canonical");
	assert_refused(LINK("a", "b", "dir"), 0, ERR_MALFORMED, "a word that its type");
	assert_refused(LINK("a", "b", "file"), 0, ERR_MALFORMED, "'size' is missing");
	assert_refused(FILE_OF("a", "0}"), 0, ERR_MALFORMED, "line 1");
	assert_refused(LINK("a", "b", "device"), 0, ERR_MALFORMED, "'type' is not");
	assert_refused("{\"gid\":0,\"mode\":1,\"mtime\":1,\"path\":\"a\",\"rdev\":1,"
		       "\"type\":\"dir\",\"uid\":0}\n",
		0, ERR_MALFORMED, "'rdev' is not a word");
	assert_refused(
		"{\"gid\":0,\"gid\":0,\"mode\":1,\"mtime\":1,\"path\":\"a\",\"type\":\"dir\","
		"\"uid\":0}\n",
		0, ERR_MALFORMED, "duplicate");
}

#define NUMBERS(gid, mode, mtime, uid)                                                             \
	"{\"gid\":" gid ",\"mode\":" mode ",\"mtime\":" mtime                                      \
	",\"path\":\"a\",\"type\":\"dir\",\"uid\":" uid "}\n"

static void
files_numbers_are_within_limits(void **state)
{
	(void)state;
	assert_accepted(NUMBERS("4294967294", "4095", "253402300799", "4294967294"), 0);
	assert_accepted(NUMBERS("0", "0", "0", "0"), 0);
	assert_refused(NUMBERS("4294967295", "0", "0", "0"), 0, ERR_LIMIT, "no user or group");
	assert_refused(NUMBERS("0", "0", "0", "4294967295"), 0, ERR_LIMIT, "no user or group");
	assert_refused(NUMBERS("4294967296", "0", "0", "0"), 0, ERR_LIMIT, "'gid'");
	assert_refused(NUMBERS("0", "0", "0", "-1"), 0, ERR_LIMIT, "'uid'");
	assert_refused(NUMBERS("0", "4096", "0", "0"), 0, ERR_LIMIT, "mode");
	assert_refused(NUMBERS("0", "0", "-1", "0"), 0, ERR_LIMIT, "'mtime'");
	assert_refused(NUMBERS("0", "0", "253402300800", "0"), 0, ERR_LIMIT, "'mtime'");
}

static void
files_xattrs_are_hexadecimal_and_never_on_hard_links(void **state)
{
	(void)state;
	assert_refused(WITH_XATTRS("{}"), 0, ERR_MALFORMED, "canonical");
	assert_refused(WITH_XATTRS("null"), 0, ERR_MALFORMED, "'xattrs' is not an object");
	assert_refused(WITH_XATTRS("[\"00\"]"), 0, ERR_MALFORMED, "'xattrs' is not an object");
	assert_refused(WITH_XATTRS("{\"user.x\":\"0\"}"), 0, ERR_MALFORMED, "hexadecimal");
	assert_refused(WITH_XATTRS("{\"user.x\":\"0G\"}"), 0, ERR_MALFORMED, "hexadecimal");
	assert_refused(WITH_XATTRS("{\"user.x\":\"AB\"}"), 0, ERR_MALFORMED, "hexadecimal");
	assert_refused(WITH_XATTRS("{\"user.x\":1}"), 0, ERR_MALFORMED, "hexadecimal");
	assert_refused(WITH_XATTRS("{\"\":\"00\"}"), 0, ERR_MALFORMED, "good name");
	assert_refused(WITH_XATTRS("{\"user.\x7f\":\"00\"}"), 0, ERR_MALFORMED, "good name");
	assert_refused(FILE_OF("a", "0") OWNED
		"\"path\":\"b\",\"target\":\"a\",\"type\":\"hardlink\",\"uid\":0,"
		"\"xattrs\":{\"user.x\":\"00\"}}\n",
		0, ERR_MALFORMED, "hard link with extended attributes");
}

/* A folder with an extended attribute that makes its line this long, with the newline. */
static void
put_long_line(struct buf *out, size_t len)
{
	static const char start[] =
		"{\"gid\":0,\"mode\":0,\"mtime\":0,\"path\":\"a\",\"type\":\"dir\","
		"\"uid\":0,\"xattrs\":{\"user.x\":\"";
	struct err e = ERR_INIT;
	size_t digits = len - strlen(start) - strlen("\"}}\n");

	assert_int_equal(buf_append(out, start, strlen(start), &e), 0);
	while (digits-- > 0)
		assert_int_equal(buf_append(out, "0", 1, &e), 0);
	assert_int_equal(buf_append(out, "\"}}\n", 4, &e), 0);
}

static void
files_lines_have_a_longest_length(void **state)
{
	/* An even number of digits, whatever the rest comes to. */
	size_t longest = 0;

	(void)state;
	(void)alarm(60); /* a reader that waited for the line's end would do so for ever */
	for (size_t len = TREE_LINE_MAX - 1; len <= TREE_LINE_MAX + 2; len++) {
		AUTO_BUF struct buf text = BUF_INIT(8 << 20);
		struct err e = ERR_INIT;
		size_t count;

		put_long_line(&text, len);
		if (walk_text(buf_span(&text), 0, &count, &e) == 0)
			longest = len;
		else if (len > TREE_LINE_MAX)
			assert_int_equal(e.class, ERR_LIMIT);
	}
	(void)alarm(0);
	assert_true(longest == TREE_LINE_MAX || longest == TREE_LINE_MAX - 1);
}

static void
files_of_many_windows_are_read_whole(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(8 << 20);
	struct err e = ERR_INIT;
	size_t count;

	(void)state;
	for (int i = 0; i < 5000; i++)
		assert_int_equal(buf_printf(&text, &e,
					 OWNED "\"path\":\"f%05d\",\"sha256\":\"" HEX
					       "\",\"size\":3,\"type\":\"file\",\"uid\":0}\n",
					 i),
			0);
	assert_int_equal(walk_text(buf_span(&text), 15000, &count, &e), 0);
	assert_int_equal(count, 5000);
}

static void
files_names_have_longest_lengths(void **state)
{
	struct tree_entry t = {.type = TREE_DIR};
	AUTO_BUF struct buf line = BUF_INIT(TREE_LINE_MAX);
	struct err e = ERR_INIT;

	(void)state;
	memset(t.path, 'a', 255);
	assert_int_equal(files_put(&t, &line, &e), 0);
	t.path[255] = 'a';
	assert_int_equal(files_put(&t, &line, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	for (size_t i = 0; i < TREE_PATH_MAX; i++)
		t.path[i] = i % 200 == 199 ? '/' : 'a';
	assert_int_equal(files_put(&t, &line, &e), 0);
}

static void
files_put_refuses_what_is_not_read_and_leaves_the_buffer_alone(void **state)
{
	struct tree_entry t = {.type = TREE_FILE, .path = "a", .mode = 0644};
	AUTO_BUF struct buf line = BUF_INIT(TREE_LINE_MAX);
	struct err e = ERR_INIT;

	(void)state;
	t.mtime_s = -1;
	assert_int_equal(files_put(&t, &line, &e), -1);
	t.mtime_s = 0;
	t.size = PAYLOAD_BYTES_MAX + 1;
	assert_int_equal(files_put(&t, &line, &e), -1);
	t.size = 0;
	(void)strcpy(t.path, "\xff\xfe");
	assert_int_equal(files_put(&t, &line, &e), -1);
	assert_non_null(strstr(e.text, "UTF-8"));
	(void)strcpy(t.path, "../a");
	assert_int_equal(files_put(&t, &line, &e), -1);
	t = (struct tree_entry){.type = TREE_HARDLINK, .path = "a", .target = "../b"};
	assert_int_equal(files_put(&t, &line, &e), -1);
	assert_int_equal(line.len, 0);
}

static void
files_have_so_many_entries_and_no_more(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 28);
	AUTO_FILES struct files_reader *r = NULL;
	const struct tree_entry *t;
	struct err e = ERR_INIT;
	struct list l;
	bool more;

	(void)state;
	for (unsigned i = 0; i <= TREE_FILES_MAX; i++)
		assert_int_equal(buf_printf(&text, &e,
					 "{\"gid\":0,\"mode\":0,\"mtime\":0,\"path\":\"%07u\","
					 "\"type\":\"dir\",\"uid\":0}\n",
					 i),
			0);
	l = list_make(buf_span(&text), 0);
	assert_int_equal(files_open(l.fd, "x.ota", BEFORE, &l.p, &r, &e), 0);
	for (unsigned i = 0; i < TREE_FILES_MAX; i++)
		assert_int_equal(files_next(r, &t, &more, &e), 0);
	assert_int_equal(files_next(r, &t, &more, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(close(l.fd), 0);
}

static void
files_of_a_payload_without_a_list_are_not_opened(void **state)
{
	struct list l = list_make(span_str(sample), SAMPLE_BYTES);
	struct files_reader *r = NULL;
	struct err e = ERR_INIT;

	(void)state;
	l.p.members[MEMBER_FILES].present = false;
	assert_int_equal(files_open(l.fd, "x.ota", BEFORE, &l.p, &r, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_null(r);
	assert_int_equal(close(l.fd), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(files_put_and_read_are_each_others_inverse),
		cmocka_unit_test(files_cut_anywhere_are_refused),
		cmocka_unit_test(files_flipped_anywhere_are_refused_or_mean_what_they_say),
		cmocka_unit_test(files_that_changed_since_they_were_checked_are_untrusted),
		cmocka_unit_test(files_flipped_on_the_disk_are_never_malformed),
		cmocka_unit_test(files_paths_stay_inside_the_tree),
		cmocka_unit_test(files_texts_hold_no_control_characters),
		cmocka_unit_test(files_come_in_order_and_once),
		cmocka_unit_test(
			files_path_order_puts_a_folder_before_its_content_and_that_before_the_rest),
		cmocka_unit_test(files_stand_in_folders_of_the_list),
		cmocka_unit_test(files_hard_links_name_a_file_before_them),
		cmocka_unit_test(files_sums_are_the_payloads),
		cmocka_unit_test(files_lines_are_canonical_and_of_their_type),
		cmocka_unit_test(files_numbers_are_within_limits),
		cmocka_unit_test(files_xattrs_are_hexadecimal_and_never_on_hard_links),
		cmocka_unit_test(files_lines_have_a_longest_length),
		cmocka_unit_test(files_of_many_windows_are_read_whole),
		cmocka_unit_test(files_names_have_longest_lengths),
		cmocka_unit_test(files_put_refuses_what_is_not_read_and_leaves_the_buffer_alone),
		cmocka_unit_test(files_have_so_many_entries_and_no_more),
		cmocka_unit_test(files_of_a_payload_without_a_list_are_not_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
