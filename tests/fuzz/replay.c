/* The driver of a fuzz target where there is no libFuzzer: every file of a corpus as it is, and
 * then changed a number of times, always in the same ways.
 *
 *     fuzz_NAME [-c CHANGES] FILE|FOLDER...        prints how many inputs it ran,
 *                                                    and how often one was accepted
 */
#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "tests/fuzz/harness.h"

enum { INPUT_MAX = 1 << 20, SECONDS_MAX = 20, CHANGES_MAX = 1 << 20 };

struct replay {
	uint64_t changes, inputs;
	struct buf last; /* another input, to take pieces from */
};

/* splitmix64: the same numbers everywhere. */
static uint64_t
next(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static size_t
below(uint64_t *seed, size_t bound)
{
	return bound ? (size_t)(next(seed) % bound) : 0;
}

/* In memory of exactly its length, so that a sanitizer sees the first byte past it. */
static void
run(struct replay *r, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	MUST(copy);
	if (len)
		memcpy(copy, data, len);
	(void)alarm(SECONDS_MAX);
	MUST(LLVMFuzzerTestOneInput(copy, len) == 0);
	(void)alarm(0);
	free(copy);
	r->inputs++;
}

static void
put(struct buf *b, size_t at, const uint8_t *piece, size_t len)
{
	struct err e;

	if (at > b->len || len > INPUT_MAX - b->len)
		return;
	MUST(buf_reserve(b, len, &e) == 0);
	memmove(b->data + at + len, b->data + at, b->len - at);
	memcpy(b->data + at, piece, len);
	b->len += len;
}

static void
cut(struct buf *b, size_t at, size_t len)
{
	memmove(b->data + at, b->data + at + len, b->len - at - len);
	b->len -= len;
}

/* One small change. */
static void
change(struct buf *b, const struct buf *other, uint64_t *seed)
{
	static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff, '"', '\n', '/', '.', '-', '0', '9'};
	size_t at = below(seed, b->len), len = 1 + below(seed, 16);
	uint8_t piece[64];

	if (b->len == 0)
		return;
	switch (below(seed, 7)) {
	case 0:
		b->data[at] ^= (uint8_t)(1 << below(seed, 8));
		break;
	case 1:
		b->data[at] = bytes[below(seed, ARRAY_LEN(bytes))];
		break;
	case 2:
		cut(b, at, num_min(len, b->len - at));
		break;
	case 3:
		len = num_min(4 * len, b->len - at);
		memcpy(piece, b->data + at, len);
		put(b, at, piece, len);
		break;
	case 4:
		b->len = at;
		break;
	case 5:
		b->data[at] = (uint8_t)(b->data[at] + 1 + below(seed, 8));
		break;
	default:
		if (other->len > sizeof(piece))
			put(b, at, other->data + below(seed, other->len - sizeof(piece)), len);
	}
}

static int
replay_file(struct replay *r, const char *path, struct err *e)
{
	AUTO_BUF struct buf was = BUF_INIT(INPUT_MAX), b = BUF_INIT(2 * INPUT_MAX);
	uint64_t seed;

	if (file_read(path, &was, e) < 0)
		return -1;
	run(r, was.data, was.len);
	seed = was.len;
	for (size_t i = 0; i < was.len; i++)
		seed = seed * 31 + was.data[i];
	for (uint64_t n = 0; n < r->changes; n++) {
		buf_clear(&b);
		if (buf_append(&b, was.data, was.len, e) < 0)
			return -1;
		for (size_t i = 1 + below(&seed, 4); i > 0; i--)
			change(&b, &r->last, &seed);
		run(r, b.data, b.len);
	}
	buf_clear(&r->last);
	return buf_append(&r->last, was.data, was.len, e);
}

struct folder {
	struct replay *replay;
	const char *path;
};

static int
replay_entry(void *arg, const char *name, struct err *e)
{
	struct folder *f = arg;
	char path[PATH_MAX];

	if (path_join(path, sizeof(path), f->path, name, e) < 0)
		return -1;
	return replay_file(f->replay, path, e);
}

static int
replay_path(struct replay *r, const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(e, errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return dir_each(path, 10000, replay_entry, &(struct folder){r, path}, e);
	return replay_file(r, path, e);
}

int
main(int argc, char **argv)
{
	struct replay r = {.last = BUF_INIT(INPUT_MAX)};
	struct err e = ERR_INIT;
	int option, rc = 0;

	while ((option = getopt(argc, argv, "c:")) != -1) {
		if (option != 'c' || num_parse(optarg, 0, CHANGES_MAX, &r.changes, &e) < 0)
			return 2;
	}
	for (int i = optind; i < argc && rc == 0; i++)
		rc = replay_path(&r, argv[i], &e);
	buf_free(&r.last);
	if (rc < 0)
		(void)fprintf(stderr, "replay: %s\n", e.text);
	else
		(void)printf("%llu inputs, %llu deep\n", (unsigned long long)r.inputs,
			(unsigned long long)fuzz_deep_count());
	return rc < 0;
}
