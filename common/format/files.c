#include "common/format/files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/member.h"
#include "common/format/path_set.h"
#include "common/limits.h"

enum { TREE_MODE_BITS = 07777 };

static const char *const type_names[] = {
	[TREE_DIR] = "dir",
	[TREE_FILE] = "file",
	[TREE_SYMLINK] = "symlink",
	[TREE_HARDLINK] = "hardlink",
};

struct files_reader {
	int fd;
	const char *name;
	const struct payload *p;
	uint64_t start;		     /* of the list, in fd */
	uint64_t at, left;	     /* what was not read yet, in fd */
	uint64_t line;		     /* the one that is being read, from 1 */
	uint64_t bytes;		     /* of all files so far */
	struct digest_state *sum;    /* of what was read; NULL once compared */
	bool good;		     /* the comparison came out well */
	struct path_set *files;	     /* what hard links may name */
	char dir[TREE_PATH_MAX + 1]; /* the innermost folder that the walk is in; "" at the top */
	struct tree_entry entries[2], *entry,
		*spare; /* the last one given, and room for the next */
	size_t window_pos, window_len;
	uint8_t window[TREE_LINE_MAX];
};

int
tree_path_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	/* A slash comes before any other byte, and the end before a slash. */
	if (!*a || !*b)
		return *a ? 1 : -1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

/* Control characters would let a name forge lines of logs and lists. */
static bool
text_is_clean(const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			return false;
	}
	return true;
}

static int
check_component(const char *start, size_t len, struct err *e)
{
	if (len == 0)
		return err_set(e, ERR_MALFORMED, "a path that is absolute or has an empty part");
	if (start[0] == '.' && (len == 1 || (len == 2 && start[1] == '.')))
		return err_set(e, ERR_MALFORMED, "a path with . or .. in it");
	if (len > FILE_NAME_MAX)
		return err_set(e, ERR_LIMIT, "a file name longer than %d bytes", FILE_NAME_MAX);
	return 0;
}

static int
check_path(const char *path, struct err *e)
{
	if (!text_is_clean(path))
		return err_set(e, ERR_MALFORMED, "a path with control characters");
	for (const char *start = path;;) {
		size_t len = strcspn(start, "/");

		if (check_component(start, len, e) < 0)
			return -1;
		if (!start[len])
			return 0;
		start += len + 1;
	}
}

static int
check_xattrs(const json_t *xattrs, struct err *e)
{
	const char *name;
	json_t *value;

	if (!json_is_object(xattrs))
		return err_set(e, ERR_MALFORMED, "'xattrs' is not an object");
	json_object_foreach ((json_t *)(uintptr_t)xattrs, name, value) {
		const char *hex = json_string_value(value);

		if (!*name || strlen(name) > TREE_XATTR_NAME_MAX || !text_is_clean(name))
			return err_set(
				e, ERR_MALFORMED, "an extended attribute without a good name");
		if (!hex || strlen(hex) % 2 != 0 || strspn(hex, "0123456789abcdef") != strlen(hex))
			return err_set(e, ERR_MALFORMED,
				"%s is not in lower-case hexadecimal digits", name);
	}
	return 0;
}

/* The rules for one entry by itself, for writing as for reading. */
static int
check_entry(const struct tree_entry *t, struct err *e)
{
	if (check_path(t->path, e) < 0)
		return -1;
	if (t->mode > TREE_MODE_BITS)
		return err_set(e, ERR_LIMIT, "mode %" PRIo32 " is more than permissions", t->mode);
	/* chown() takes this number for "leave it". */
	if (t->uid == UINT32_MAX || t->gid == UINT32_MAX)
		return err_set(e, ERR_LIMIT, "%" PRIu32 " is no user or group", UINT32_MAX);
	if (t->mtime_s < 0 || (uint64_t)t->mtime_s > TREE_MTIME_MAX_S)
		return err_set(e, ERR_LIMIT, "a time before 1970 or after 9999");
	if (t->size > PAYLOAD_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "%" PRIu64 " bytes are too many", t->size);
	if (t->type == TREE_SYMLINK && (!*t->target || !text_is_clean(t->target)))
		return err_set(e, ERR_MALFORMED, "a symbolic link without a good target");
	if (t->type == TREE_HARDLINK && check_path(t->target, e) < 0)
		return err_context(e, "hard link");
	if (t->xattrs && t->type == TREE_HARDLINK)
		return err_set(e, ERR_MALFORMED, "a hard link with extended attributes");
	return t->xattrs ? check_xattrs(t->xattrs, e) : 0;
}

static json_t *
entry_json(const struct tree_entry *t)
{
	AUTO_JSON json_t *j = json_pack("{s:I, s:I, s:I, s:s, s:s, s:I}", "gid", (json_int_t)t->gid,
		"mode", (json_int_t)t->mode, "mtime", (json_int_t)t->mtime_s, "path", t->path,
		"type", type_names[t->type], "uid", (json_int_t)t->uid);
	char hex[DIGEST_HEX_SIZE];
	int failed = 0;

	if (t->type == TREE_FILE) {
		failed |=
			json_object_set_new(j, "sha256", json_string(digest_hex(&t->sha256, hex)));
		failed |= json_object_set_new(j, "size", json_integer((json_int_t)t->size));
	} else if (t->type != TREE_DIR) {
		failed |= json_object_set_new(j, "target", json_string(t->target));
	}
	if (json_object_size(t->xattrs) > 0)
		failed |= json_object_set(j, "xattrs", t->xattrs);
	return failed ? NULL : json_incref(j);
}

int
files_put(const struct tree_entry *t, struct buf *out, struct err *e)
{
	AUTO_BUF struct buf line = BUF_INIT(TREE_LINE_MAX);
	AUTO_JSON json_t *j = NULL;

	if (check_entry(t, e) < 0)
		return err_context(e, "%s", t->path);
	j = entry_json(t);
	if (!j)
		return err_set(e, ERR_MALFORMED,
			"%s: a name that is no UTF-8 cannot stand in a list of files", t->path);
	if (json_canonical(j, &line, e) < 0 || buf_append(&line, "\n", 1, e) < 0)
		return err_context(e, "%s", t->path);
	return buf_append(out, line.data, line.len, e);
}

void
files_close(struct files_reader **r)
{
	if (!*r)
		return;
	json_decref((*r)->entries[0].xattrs);
	json_decref((*r)->entries[1].xattrs);
	digest_abandon(&(*r)->sum);
	path_set_free(&(*r)->files);
	free(*r);
	*r = NULL;
}

int
files_open(int fd, const char *name, uint64_t offset, const struct payload *p,
	struct files_reader **out, struct err *e)
{
	AUTO_FILES struct files_reader *r = NULL;

	if (!p->members[MEMBER_FILES].present)
		return err_set(e, ERR_MALFORMED, "%s: %s has no list of files", name, p->name);
	r = calloc(1, sizeof(*r));
	if (!r)
		return err_sys(e, ENOMEM, "reading %s", name);
	r->fd = fd;
	r->name = name;
	r->p = p;
	r->start = r->at = offset;
	r->left = p->members[MEMBER_FILES].size;
	r->entry = &r->entries[0];
	r->spare = &r->entries[1];
	if (digest_begin(&r->sum, e) < 0 || path_set_new(&r->files, e) < 0)
		return -1;
	*out = TAKE_PTR(r);
	return 0;
}

static int
fill_window(struct files_reader *r, struct err *e)
{
	size_t kept = r->window_len - r->window_pos;
	size_t len = (size_t)num_min(sizeof(r->window) - kept, r->left);

	memmove(r->window, r->window + r->window_pos, kept);
	r->window_pos = 0;
	r->window_len = kept;
	if (file_pread_full(r->fd, r->name, r->window + kept, len, r->at, e) < 0)
		return -1;
	digest_add(r->sum, r->window + kept, len);
	r->window_len += len;
	r->at += len;
	r->left -= len;
	return 0;
}

/* The next line with its newline. There is at least a byte left. */
static int
next_line(struct files_reader *r, struct span *line, struct err *e)
{
	const uint8_t *start, *end;

	for (;;) {
		size_t len = r->window_len - r->window_pos;

		start = r->window + r->window_pos;
		end = memchr(start, '\n', len);
		if (end)
			break;
		if (len == sizeof(r->window))
			return err_set(e, ERR_LIMIT, "longer than %d bytes", TREE_LINE_MAX);
		if (r->left == 0)
			return err_set(e, ERR_MALFORMED, "the last line has no end");
		if (fill_window(r, e) < 0)
			return -1;
	}
	*line = span_of(start, (size_t)(end - start) + 1);
	r->window_pos += line->len;
	return 0;
}

static int
get_text(const json_t *j, const char *key, char out[TREE_PATH_MAX + 1], struct err *e)
{
	const char *text;

	if (json_get_string(j, key, TREE_PATH_MAX, &text, e) < 0)
		return -1;
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int
get_u32(const json_t *j, const char *key, uint32_t *out, struct err *e)
{
	uint64_t v;

	if (json_get_uint(j, key, 0, UINT32_MAX, &v, e) < 0)
		return -1;
	*out = (uint32_t)v;
	return 0;
}

static int
get_type(const json_t *j, enum tree_type *out, struct err *e)
{
	const char *text;

	if (json_get_string(j, "type", NAME_BYTES_MAX, &text, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if (strcmp(text, type_names[i]) == 0) {
			*out = (enum tree_type)i;
			return 0;
		}
	}
	return err_set(e, ERR_MALFORMED, "'type' is not dir, file, symlink or hardlink");
}

static int
get_content(const json_t *j, struct tree_entry *t, struct err *e)
{
	const char *hex;

	if (t->type == TREE_DIR)
		return 0;
	if (t->type != TREE_FILE)
		return get_text(j, "target", t->target, e);
	if (json_get_uint(j, "size", 0, PAYLOAD_BYTES_MAX, &t->size, e) < 0 ||
		json_get_string(j, "sha256", DIGEST_HEX_SIZE - 1, &hex, e) < 0)
		return -1;
	return digest_parse(hex, &t->sha256, e);
}

/* Fills in t, which is empty. Words of other types are found by whoever compares. */
static int
parse_entry(const json_t *j, struct tree_entry *t, struct err *e)
{
	static const char *const words[] = {"gid", "mode", "mtime", "path", "sha256", "size",
		"target", "type", "uid", "xattrs", NULL};
	uint64_t mtime_s;

	if (get_text(j, "path", t->path, e) < 0 || json_only(j, words, e) < 0 ||
		get_type(j, &t->type, e) < 0 || get_u32(j, "mode", &t->mode, e) < 0 ||
		get_u32(j, "uid", &t->uid, e) < 0 || get_u32(j, "gid", &t->gid, e) < 0 ||
		json_get_uint(j, "mtime", 0, TREE_MTIME_MAX_S, &mtime_s, e) < 0 ||
		get_content(j, t, e) < 0)
		return -1;
	t->mtime_s = (int64_t)mtime_s;
	t->xattrs = json_incref(json_object_get(j, "xattrs"));
	return 0;
}

/* A line is what files_put would have written, to the byte: so there is one way to say a thing, and
 * no way to say more. */
int
files_take(struct span line, struct tree_entry *t, struct err *e)
{
	AUTO_BUF struct buf again = BUF_INIT(TREE_LINE_MAX);
	AUTO_JSON json_t *j = NULL;

	json_decref(t->xattrs);
	memset(t, 0, sizeof(*t));
	if (json_parse(span_of(line.data, line.len - 1), "JSON", &j, e) < 0 ||
		parse_entry(j, t, e) < 0 || files_put(t, &again, e) < 0)
		return -1;
	if (!span_equal(line, buf_span(&again)))
		return err_set(e, ERR_MALFORMED,
			"%s: not canonical JSON, or a word that its type does not have", t->path);
	return 0;
}

/* Only files have a size, and a quote within a name has a backslash before it. What an attribute of
 * that name has behind it is no number. */
uint64_t
files_line_bytes(struct span line)
{
	static const char key[] = "\"size\":";
	const uint8_t *c = memmem(line.data, line.len, key, sizeof(key) - 1);
	uint64_t bytes = 0;

	if (!c)
		return 0;
	for (c += sizeof(key) - 1; *c >= '0' && *c <= '9'; c++)
		bytes = bytes * 10 + (uint64_t)(*c - '0');
	return bytes;
}

static bool
path_is_in(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return len == 0 || (strncmp(path, dir, len) == 0 && path[len] == '/');
}

/* Leaves the folders that path is not in. The one that stays must be the one it stands in. */
static int
check_parent(struct files_reader *r, const char *path, struct err *e)
{
	size_t len;

	while (!path_is_in(path, r->dir)) {
		char *slash = strrchr(r->dir, '/');

		*(slash ? slash : r->dir) = 0;
	}
	len = strlen(r->dir);
	if (strchr(path + len + (len > 0), '/'))
		return err_set(e, ERR_MALFORMED, "%s: its folder is no folder of this list", path);
	return 0;
}

static int
check_in_list(struct files_reader *r, const struct tree_entry *t, struct err *e)
{
	if (r->line > TREE_FILES_MAX)
		return err_set(e, ERR_LIMIT, "more than %llu entries", TREE_FILES_MAX);
	if (r->line > 1 && tree_path_compare(r->entry->path, t->path) >= 0)
		return err_set(e, ERR_MALFORMED, "%s: twice, or not in order", t->path);
	if (check_parent(r, t->path, e) < 0)
		return -1;
	if (t->size > r->p->size - r->bytes)
		return err_set(e, ERR_MALFORMED, "%s: more bytes than the payload has", t->path);
	if (t->type == TREE_HARDLINK && !path_set_has(r->files, t->target))
		return err_set(
			e, ERR_MALFORMED, "%s: a hard link to what is no file before it", t->path);
	if (t->type == TREE_FILE && path_set_add(r->files, t->path, e) < 0)
		return -1;
	if (t->type == TREE_DIR)
		memcpy(r->dir, t->path, sizeof(r->dir));
	r->bytes += t->size;
	return 0;
}

static int
check_end(struct files_reader *r, struct err *e)
{
	struct digest got;

	if (r->sum) {
		got = digest_end(&r->sum);
		r->good = digest_equal(&got, &r->p->members[MEMBER_FILES].digest);
	}
	if (!r->good)
		return member_changed(r->name, r->p, MEMBER_FILES, e);
	if (r->bytes != r->p->size)
		return err_set(e, ERR_MALFORMED,
			"%s: %s.files: its files have %" PRIu64 " bytes, the payload %" PRIu64,
			r->name, r->p->name, r->bytes, r->p->size);
	return 0;
}

int
files_next(struct files_reader *r, const struct tree_entry **out, bool *more, struct err *e)
{
	struct tree_entry *next = r->spare;
	struct span line = {NULL, 0};

	if (r->left == 0 && r->window_pos == r->window_len) {
		if (check_end(r, e) < 0)
			return -1;
		*more = false;
		return 0;
	}
	r->line++;
	if (next_line(r, &line, e) < 0 || files_take(line, next, e) < 0 ||
		check_in_list(r, next, e) < 0) {
		(void)err_context(e, "%s: %s.files: line %" PRIu64, r->name, r->p->name, r->line);
		return member_refuse(r->fd, r->name, r->start, r->p, MEMBER_FILES, e);
	}
	r->spare = r->entry;
	r->entry = next;
	*out = next;
	*more = true;
	return 0;
}
