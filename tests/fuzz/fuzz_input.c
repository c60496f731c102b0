/* What packers are given: tarballs, and compressed images by their names' ends.
 *
 * Input: a byte that says which (t, g, x, z), then the file. */
#include <sys/stat.h>
#include <unistd.h>

#include "common/format/files.h"
#include "signer/image.h"
#include "signer/tree.h"
#include "tests/fuzz/harness.h"

enum { IMAGE_BYTES_MAX = 1 << 20 };

/* A link in a folder of our own to the file in memory, for what goes by names. */
static const char *
path_named(const char *name, struct span bytes, char out[128])
{
	(void)snprintf(out, 128, "%s/%s", fuzz_folder(), name);
	(void)unlink(out);
	MUST(symlink(fuzz_file_path(0, bytes), out) == 0);
	return out;
}

static void
image(const char *name, struct span bytes)
{
	AUTO_IMAGE struct image *i = NULL;
	uint8_t piece[16384];
	struct err e = ERR_INIT;
	uint64_t sum = 0;
	char path[128];
	size_t got = 0;

	if (image_open(path_named(name, bytes, path), &i, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	do {
		if (image_read(i, piece, sizeof(piece), &got, &e) < 0) {
			fuzz_check_err(&e);
			return;
		}
		MUST(got <= sizeof(piece) && image_done(i) <= image_total(i));
		sum += got;
	} while (got == sizeof(piece) && sum < IMAGE_BYTES_MAX);
}

/* Every item is one that a list of files can name, in its order, and refers to bytes that are
 * there. */
static void
check_item(const struct tree *t, size_t i)
{
	const struct tree_item *item = t->items[i];

	MUST(item->path && item->path[0] && item->path[0] != '/' && item->mode <= 07777);
	MUST(i == 0 || tree_path_compare(t->items[i - 1]->path, item->path) < 0);
	MUST(item->type == TREE_FILE || item->size == 0);
	MUST((item->type == TREE_SYMLINK || item->type == TREE_HARDLINK) == (item->target != NULL));
}

static void
tarball(struct span bytes)
{
	AUTO_TREE struct tree t = {.spool = -1};
	struct err e = ERR_INIT;
	struct stat st;
	char path[128];

	if (tree_open(path_named("input.tar", bytes, path), fuzz_folder(), &t, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	MUST(fstat(t.spool, &st) == 0);
	if (t.count > 0)
		fuzz_deep();
	for (size_t i = 0; i < t.count; i++) {
		check_item(&t, i);
		MUST(t.items[i]->offset + t.items[i]->size <= (uint64_t)st.st_size ||
			t.items[i]->size == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);

	switch (fuzz_take8(&in)) {
	case 'g':
		image("input.gz", in);
		break;
	case 'x':
		image("input.xz", in);
		break;
	case 'z':
		image("input.zst", in);
		break;
	default:
		tarball(in);
	}
	return 0;
}
