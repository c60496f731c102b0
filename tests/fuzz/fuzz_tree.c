/* Names and links of a signed tree, put onto a disk: whatever the list says, nothing outside the
 * tree's own folder is made, changed or followed.
 *
 * Input: lines as in PAYLOAD.files, in JSON of any spelling. Sizes are cut to a few KiB, digests
 * made to fit, and the lines sorted and written canonically, so that most lists can be built. */
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/engine.h"
#include "agent/tree.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/index.h"
#include "common/format/pages.h"
#include "tests/fuzz/harness.h"

enum { LINES_MAX = 48, FILE_BYTES_MAX = 5000, CONTENT_BYTES_MAX = LINES_MAX * FILE_BYTES_MAX };

/* A list and what its files hold: the same byte everywhere, so that any piece is any other. */
struct made {
	json_t *lines[LINES_MAX];
	size_t count;
	struct buf files, index, stored; /* of one page */
	uint64_t bytes;
	struct payload p;
};

static uint8_t content[CONTENT_BYTES_MAX];

static void
made_free(struct made *m)
{
	for (size_t i = 0; i < m->count; i++)
		json_decref(m->lines[i]);
	buf_free(&m->files);
	buf_free(&m->index);
	buf_free(&m->stored);
}

static int
line_compare(const void *a, const void *b)
{
	const char *p = json_string_value(json_object_get(*(json_t *const *)a, "path"));
	const char *q = json_string_value(json_object_get(*(json_t *const *)b, "path"));

	return tree_path_compare(p, q);
}

static void
index_put(struct made *m, struct span piece)
{
	uint8_t entry[INDEX_ENTRY_BYTES], stored[STORED_ENTRY_BYTES];
	struct chunk c = {.store = CHUNK_RAW,
		.plain = digest_of(piece),
		.size = piece.len,
		.stored_size = (uint32_t)piece.len};
	struct err e;

	c.stored = c.plain;
	index_put_entry(entry, &c);
	pages_put_entry(stored, &c);
	MUST(buf_append(&m->index, entry, sizeof(entry), &e) == 0);
	MUST(buf_append(&m->stored, stored, sizeof(stored), &e) == 0);
}

/* The content of a file: a chunk of its own. */
static void
file_put(struct made *m, json_t *line)
{
	json_int_t said = json_integer_value(json_object_get(line, "size"));
	size_t size = (size_t)((uint64_t)said % FILE_BYTES_MAX);
	struct span piece = span_of(content, size);
	struct digest d = digest_of(piece);
	char hex[DIGEST_HEX_SIZE];

	(void)json_object_set_new(line, "size", json_integer((json_int_t)size));
	(void)json_object_set_new(line, "sha256", json_string(digest_hex(&d, hex)));
	m->bytes += size;
	if (size > 0)
		index_put(m, piece);
}

static void
lines_take(struct made *m, struct span in)
{
	while (in.len > 0 && m->count < LINES_MAX) {
		const uint8_t *end = memchr(in.data, '\n', in.len);
		struct span text = fuzz_take(&in, end ? (size_t)(end - in.data) : in.len);
		AUTO_JSON json_t *line = NULL;
		struct err e;

		(void)fuzz_take8(&in);
		if (json_parse(text, "line", &line, &e) == 0 &&
			json_is_string(json_object_get(line, "path")))
			m->lines[m->count++] = TAKE_PTR(line);
	}
	qsort(m->lines, m->count, sizeof(m->lines[0]), line_compare);
}

static void
make(struct made *m, struct span in)
{
	uint8_t header[INDEX_HEADER_BYTES] = {0}, offset[STORED_OFFSET_BYTES] = {0};
	struct err e;

	lines_take(m, in);
	MUST(buf_append(&m->stored, offset, sizeof(offset), &e) == 0);
	MUST(buf_append(&m->index, header, sizeof(header), &e) == 0);
	for (size_t i = 0; i < m->count; i++) {
		const char *type = json_string_value(json_object_get(m->lines[i], "type"));

		if (type && strcmp(type, "file") == 0)
			file_put(m, m->lines[i]);
		if (json_canonical(m->lines[i], &m->files, &e) == 0)
			MUST(buf_append(&m->files, "\n", 1, &e) == 0);
	}
	index_put_header(
		m->index.data, m->bytes, (m->index.len - INDEX_HEADER_BYTES) / INDEX_ENTRY_BYTES);
	m->p = (struct payload){.name = "app", .slot_class = "app", .kind = PAYLOAD_TREE};
	m->p.size = m->bytes;
	m->p.digest = digest_of(buf_span(&m->files));
	m->p.members[MEMBER_INDEX] =
		(struct member){true, m->index.len, digest_of(buf_span(&m->index))};
	m->p.members[MEMBER_FILES] = (struct member){true, m->files.len, m->p.digest};
	m->p.members[MEMBER_DATA] = (struct member){true, m->bytes, m->p.digest};
}

/* A source of the one byte. */
static uint64_t source_left;

static int
source_open(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	(void)arg;
	(void)e;
	MUST(offset <= CONTENT_BYTES_MAX && len <= CONTENT_BYTES_MAX - offset);
	source_left = len;
	return 0;
}

static ssize_t
source_read(void *arg, void *data, size_t len, struct err *e)
{
	size_t n = (size_t)num_min(len, source_left);

	(void)arg;
	(void)e;
	memcpy(data, content, n);
	source_left -= n;
	return (ssize_t)n;
}

static void
source_close(void *arg)
{
	(void)arg;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *walk)
{
	(void)st;
	(void)flag;
	(void)walk;
	return remove(path);
}

/* The folder that the tree is built in, with something beside it that must not change. */
static void
stage_set(const char *beside)
{
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	MUST(fd >= 0 && write(fd, "beside", 6) == 6 && close(fd) == 0);
}

static int entries;

static int
count_one(void *arg, const char *name, struct err *e)
{
	(void)arg;
	(void)e;
	MUST(strcmp(name, "beside") == 0 || strcmp(name, "app.new") == 0);
	entries++;
	return 0;
}

static void
stage_check(const char *beside)
{
	struct err e;
	struct stat st;
	char text[8] = "";
	int fd = open(beside, O_RDONLY | O_CLOEXEC);

	MUST(fd >= 0 && fstat(fd, &st) == 0 && read(fd, text, sizeof(text)) == 6);
	MUST(close(fd) == 0 && memcmp(text, "beside", 6) == 0);
	MUST(st.st_mode == (S_IFREG | 0600) && st.st_nlink == 1 && st.st_uid == geteuid());
	entries = 0;
	MUST(dir_each(fuzz_folder(), 3, count_one, NULL, &e) == 0 && entries <= 2);
}

/* As what the files' chunks are stored, from a file of its own. */
static void
stored_open(
	const struct made *m, struct file_source *file, struct source *source, struct stored **out)
{
	static uint64_t fetched;
	struct seal seals[2];
	struct err e;

	seals[0] = seal_of(
		span_of(m->index.data + INDEX_HEADER_BYTES, m->index.len - INDEX_HEADER_BYTES));
	seals[1] = seal_of(buf_span(&m->stored));
	*file = (struct file_source){.fd = fuzz_file(2, buf_span(&m->stored)), .name = "fuzz"};
	*source = source_file(file);
	MUST(stored_new(&(struct stored_job){.payload = &m->p,
				.source = source,
				.head_fd = fuzz_file(3, span_of(seals, sizeof(seals))),
				.head_name = "fuzz",
				.state_dir = "/tmp",
				.fetched = &fetched},
		     out, &e) == 0);
}

static void
build(const char *path, const char *fresh, const struct made *m)
{
	struct source source = {.open = source_open, .read = source_read, .close = source_close};
	struct tree_list list = {fuzz_file(0, buf_span(&m->files)), "fuzz", &m->p, 0};
	int index_fd = fuzz_file(1, buf_span(&m->index));
	AUTO_INDEX struct index_reader *index = NULL, *scout = NULL;
	AUTO_STORED struct stored *stored = NULL;
	struct file_source pages_file;
	struct source pages;
	struct install_stats stats = {0};
	struct err e = ERR_INIT, why = ERR_INIT;
	bool same = false;

	if (index_open(index_fd, "fuzz", 0, &m->p, &index, &e) < 0)
		return;
	MUST(index_open(index_fd, "fuzz", 0, &m->p, &scout, &e) == 0);
	stored_open(m, &pages_file, &pages, &stored);
	if (tree_build(path, NULL, &list,
		    &(struct engine){.index = index,
			    .scout = scout,
			    .stored = stored,
			    .source = &source,
			    .stats = &stats},
		    &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	fuzz_deep();
	MUST(tree_check(fresh, &list, NULL, &same, &why, &e) == 0);
	if (!same)
		(void)fprintf(stderr, "%s\n", why.text);
	MUST(same);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(made_free)
	struct made m = {.files = BUF_INIT(1 << 20),
		.index = BUF_INIT(1 << 20),
		.stored = BUF_INIT(1 << 20)};
	char beside[128], path[128], fresh[128];

	memset(content, 'x', sizeof(content));
	(void)snprintf(beside, sizeof(beside), "%s/beside", fuzz_folder());
	(void)snprintf(path, sizeof(path), "%s/app", fuzz_folder());
	(void)snprintf(fresh, sizeof(fresh), "%s/app.new", fuzz_folder());
	make(&m, span_of(data, size));
	stage_set(beside);
	build(path, fresh, &m);
	stage_check(beside);
	(void)nftw(fresh, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
