/* The list of a tree's files, behind the digest that the manifest gives it. */
#include <ctype.h>

#include "common/format/files.h"
#include "tests/fuzz/harness.h"

enum { DIRS_MAX = 512 };

/* Where the walk stands: what every entry is held against. */
struct walk {
	struct span text;
	size_t at; /* of the next line in text */
	char last[TREE_PATH_MAX + 1];
	char *dirs[DIRS_MAX];
	size_t dir_count, count;
	uint64_t bytes;
};

static void
walk_free(struct walk *w)
{
	for (size_t i = 0; i < w->dir_count; i++)
		free(w->dirs[i]);
}

static void
check_path(const char *path)
{
	size_t len = strlen(path);

	MUST(len > 0 && len <= TREE_PATH_MAX && path[0] != '/' && path[len - 1] != '/');
	for (const char *part = path; part; part = strchr(part, '/')) {
		size_t n;

		part += *part == '/';
		n = strcspn(part, "/");
		MUST(n > 0 && n <= 255);
		MUST(strncmp(part, ".", n) != 0 && strncmp(part, "..", n) != 0);
	}
	for (size_t i = 0; i < len; i++)
		MUST(!iscntrl((unsigned char)path[i]));
}

/* The folder that path is in was given before. */
static void
check_parent(const struct walk *w, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	bool found = !slash;

	for (size_t i = 0; i < w->dir_count && !found; i++)
		found = strlen(w->dirs[i]) == len && memcmp(w->dirs[i], path, len) == 0;
	MUST(found || w->dir_count == DIRS_MAX);
}

/* The line is the one way to write the entry. */
static void
check_line(struct walk *w, const struct tree_entry *t)
{
	AUTO_BUF struct buf line = BUF_INIT(TREE_LINE_MAX);
	struct err e = ERR_INIT;

	MUST(files_put(t, &line, &e) == 0);
	MUST(line.len <= w->text.len - w->at);
	MUST(memcmp(line.data, w->text.data + w->at, line.len) == 0);
	w->at += line.len;
}

static void
take(struct walk *w, const struct tree_entry *t)
{
	check_path(t->path);
	MUST(w->count == 0 || tree_path_compare(w->last, t->path) < 0);
	MUST(tree_path_compare(t->path, w->last) > 0 || w->count == 0);
	check_parent(w, t->path);
	check_line(w, t);
	MUST(t->mode <= 07777 && t->uid != UINT32_MAX && t->gid != UINT32_MAX);
	if (t->type == TREE_HARDLINK)
		check_path(t->target);
	if (t->type == TREE_DIR && w->dir_count < DIRS_MAX)
		w->dirs[w->dir_count++] = fuzz_text(span_str(t->path));
	memcpy(w->last, t->path, sizeof(w->last));
	w->bytes += t->size;
	w->count++;
}

/* Returns how many entries were given, and in *whole whether that was all. */
static size_t
read_list(struct span text, const struct payload *p, bool *whole)
{
	CLEANUP(walk_free) struct walk w = {.text = text};
	AUTO_FILES struct files_reader *r = NULL;
	const struct tree_entry *t = NULL;
	struct err e = ERR_INIT;
	bool more = true;

	MUST(files_open(fuzz_file(0, text), "fuzz", 0, p, &r, &e) == 0);
	while (more && files_next(r, &t, &more, &e) == 0) {
		if (more)
			take(&w, t);
	}
	*whole = !more;
	if (more)
		fuzz_check_err(&e);
	else
		MUST(w.bytes == p->size && w.at == text.len);
	if (!more && w.count > 0)
		fuzz_deep();
	return w.count;
}

/* What the files of the list have together, as far as it can be told. */
static uint64_t
sizes_of(struct span text)
{
	static const char word[] = "\"size\":";
	const uint8_t *at = text.data;
	uint64_t sum = 0;

	while (at && (at = memmem(at, text.len - (size_t)(at - text.data), word, strlen(word)))) {
		uint64_t n = 0;

		for (at += strlen(word); at < text.data + text.len && isdigit(*at); at++)
			n = n * 10 + (uint64_t)(*at - '0');
		sum += n;
	}
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct payload p = {.name = "app", .slot_class = "app", .kind = PAYLOAD_TREE};
	struct span text = span_of(data, size);
	bool whole, again;
	size_t count;

	p.size = sizes_of(text);
	p.digest = digest_of(text);
	p.members[MEMBER_FILES] = (struct member){true, size, p.digest};
	count = read_list(text, &p, &whole);
	MUST(read_list(text, &p, &again) == count && again == whole);
	if (whole) {
		p.size++;
		(void)read_list(text, &p, &again);
		MUST(!again);
		p.size--;
	}
	if (whole && p.size > 0) {
		p.size--;
		(void)read_list(text, &p, &again);
		MUST(!again);
	}
	return 0;
}
